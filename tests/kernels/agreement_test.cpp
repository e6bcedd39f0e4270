// Every launcher of kernels/ over the step tables, against the reference backend: fp32, bf16 and fp16, at aligned and
// odd addresses, in place where that is allowed, with outputs that begin as NaN between guards.
#include <gtest/gtest.h>

#include <cmath>

#include "backend/cuda/steps/cuda_backend.h"
#include "ops/agreement.h"
#include "ops/op_cases.h"

namespace snug::kernels_test {
namespace {

using namespace ops_test;

void expect_all(const std::vector<StepCase>& cases) {
  ASSERT_FALSE(cases.empty());
  const auto kernels = make_kernel_backend();
  const auto reference = make_reference_backend();
  for (const StepCase& step : cases) {
    expect_agreement(*kernels, *reference, step, DType::f32);
    if (!has_narrow_operands(step)) continue;
    expect_agreement(*kernels, *reference, step, DType::bf16);
    expect_agreement(*kernels, *reference, step, DType::f16);
  }
}
void expect_all(const std::vector<GradientCase>& cases) { expect_all(steps_of(cases)); }

TEST(KernelAgreement, activation) { expect_all(activation_cases()); }
TEST(KernelAgreement, elementwise) { expect_all(elementwise_cases()); }
TEST(KernelAgreement, copy) { expect_all(copy_cases()); }
TEST(KernelAgreement, dropout) { expect_all(dropout_cases()); }
TEST(KernelAgreement, input) { expect_all(input_cases()); }
TEST(KernelAgreement, gathered_input) { expect_all(gathered_input_cases()); }
TEST(KernelAgreement, batchnorm) { expect_all(batchnorm_cases()); }
TEST(KernelAgreement, fused_batchnorm) {
  expect_all(fused_batchnorm_cases());
  expect_all(fused_inference_cases());
}
TEST(KernelAgreement, halves_of_norms) {
  for (const Shape& x : {Shape{1, 1, 1, 1}, Shape{2, 7, 5, 8}, Shape{3, 11, 13, 37}, Shape{1, 3, 2, 2'048}})
    expect_all(half_norm_cases(x));
}
TEST(KernelAgreement, norm_pool) { expect_all(norm_pool_cases()); }
TEST(KernelAgreement, pool) { expect_all(pool_cases()); }
TEST(KernelAgreement, softmax) { expect_all(softmax_cases()); }
TEST(KernelAgreement, losses) { expect_all(loss_cases()); }
TEST(KernelAgreement, updates) { expect_all(update_cases()); }
TEST(KernelAgreement, scaled_losses) { expect_all(scaled_loss_cases()); }
TEST(KernelAgreement, conv) { expect_all(conv_cases()); }
TEST(KernelAgreement, fused_conv) { expect_all(fused_conv_cases()); }
TEST(KernelAgreement, dense) { expect_all(dense_cases()); }

}  // namespace
}  // namespace snug::kernels_test
