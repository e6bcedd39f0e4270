// The reference backend's backward steps are the derivatives of its forward steps.
#include <gtest/gtest.h>

#include "ops/op_cases.h"

namespace snug::ops_test {
namespace {

void expect_all(const std::vector<GradientCase>& cases) {
  ASSERT_FALSE(cases.empty());
  for (const GradientCase& gradient_case : cases) expect_gradients(gradient_case);
}

TEST(Gradients, conv) { expect_all(conv_cases()); }
TEST(Gradients, dense) { expect_all(dense_cases()); }
TEST(Gradients, batchnorm) { expect_all(batchnorm_cases()); }
TEST(Gradients, fused_batchnorm) { expect_all(fused_batchnorm_cases()); }
TEST(Gradients, activation) { expect_all(activation_cases()); }
TEST(Gradients, softmax) { expect_all(softmax_cases()); }
TEST(Gradients, norm_pool) { expect_all(norm_pool_cases()); }
TEST(Gradients, pool) { expect_all(pool_cases()); }
TEST(Gradients, elementwise) { expect_all(elementwise_cases()); }
TEST(Gradients, dropout) { expect_all(dropout_cases()); }

TEST(Gradients, losses) {
  const auto backend = make_reference_backend();
  for (const StepCase& step : loss_cases()) {
    if (step.op == Op::weight_sum || !std::get<LossAttributes>(step.attributes).gradient) continue;
    SCOPED_TRACE(step.name);
    const std::size_t stats = step.args.size() - 2;
    const Values analytic = run_step(*backend, DType::f64, step).back();
    // The loss, as an output whose gradient is 1 ÷ divisor at loss_sum.
    StepCase forward = step;
    std::get<LossAttributes>(forward.attributes).gradient = false;
    forward.args.pop_back();
    Values dy(TrainStats::count, 0);
    dy[TrainStats::loss_sum] = 1 / loss_divisor(step);
    expect_gradient(*backend, {.forward = forward, .output = static_cast<int>(stats), .backward = {}}, 0, dy, analytic);
  }
}

}  // namespace
}  // namespace snug::ops_test
