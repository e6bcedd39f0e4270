// Every launcher once or a few times at a size of several blocks and warps: what the thread sanitizer can bear. Without
// it the same steps are compared like the others.
#include <gtest/gtest.h>

#include "backend/cuda/steps/cuda_backend.h"
#include "ops/agreement.h"
#include "ops/op_cases.h"

namespace snug::kernels_test {
namespace {

using namespace ops_test;

/// Runs the step in bf16 where it can be, else in fp32, and compares.
void expect_no_race(const std::vector<StepCase>& steps) {
  const auto kernels = make_kernel_backend();
  const auto reference = make_reference_backend();
  for (const StepCase& exact : steps) {
    const DType real = has_narrow_operands(exact) ? DType::bf16 : DType::f32;
    expect_agreement(*kernels, *reference, exact, real);
  }
}

TEST(KernelRaces, steps_of_an_image) { expect_no_race(steps_of(cases_of_shape({2, 7, 5, 8}))); }
TEST(KernelRaces, steps_of_odd_channels) { expect_no_race(steps_of(cases_of_shape({1, 9, 4, 37}))); }
TEST(KernelRaces, fused_batchnorm) {
  std::vector<StepCase> steps = steps_of(fused_batchnorm_cases());
  steps.resize(std::min<std::size_t>(steps.size(), 6));
  expect_no_race(steps);
}
TEST(KernelRaces, products_with_norms) {
  Conv1x1Attributes attributes{
      .norm = true, .activation = ActivationFunction::relu, .statistics = true, .addend = true};
  expect_no_race(fused_product_cases({.rows = 150, .channels = 40, .filters = 24, .attributes = attributes}));
  attributes.residual = true;
  expect_no_race(fused_product_cases({.rows = 150, .channels = 136, .filters = 8, .attributes = attributes}));
  expect_no_race(half_norm_cases({1, 9, 4, 37}));
}
TEST(KernelRaces, losses) {
  std::vector<StepCase> steps = loss_cases();
  std::erase_if(steps, [](const StepCase& step) { return step.args[0].shape.elements() > 2'000; });
  expect_no_race(steps);
}
TEST(KernelRaces, updates) {
  std::vector<StepCase> steps = update_cases();
  std::erase_if(steps, [](const StepCase& step) { return step.args[0].shape.elements() > 2'000; });
  expect_no_race(steps);
}

}  // namespace
}  // namespace snug::kernels_test
