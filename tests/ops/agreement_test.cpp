// The CPU backend computes in f32 what the reference backend computes in double; so it does with activations in bf16.
#include <cmath>

#include <gtest/gtest.h>

#include "config/precision.h"
#include "ops/agreement.h"
#include "ops/op_cases.h"

namespace snug::ops_test {
namespace {

constexpr int kThreads = 2;

/// Whether the step has operands that are bf16 in such a program, and the processor can compute with them.
bool runs_in_bf16(const StepCase& step) {
  return !cannot_compute(Precision::bf16, this_processor()) && has_narrow_operands(step);
}

void expect_all(const std::vector<StepCase>& cases, int threads = kThreads) {
  ASSERT_FALSE(cases.empty());
  const auto cpu = make_cpu_backend({.threads = threads});
  const auto reference = make_reference_backend();
  for (const StepCase& step : cases) {
    expect_agreement(*cpu, *reference, step, DType::f32);
    if (runs_in_bf16(step)) expect_agreement(*cpu, *reference, step, DType::bf16);
  }
}

void expect_all(const std::vector<GradientCase>& cases, int threads = kThreads) {
  expect_all(steps_of(cases), threads);
}

TEST(Agreement, conv) { expect_all(conv_cases()); }
TEST(Agreement, large_weight_gradients) { expect_all(large_weight_gradient_cases()); }
TEST(Agreement, winograd) { expect_all(winograd_cases()); }
TEST(Agreement, fused_conv) { expect_all(fused_conv_cases()); }
TEST(Agreement, dense) { expect_all(dense_cases()); }
TEST(Agreement, batchnorm) { expect_all(batchnorm_cases()); }
TEST(Agreement, fused_batchnorm) {
  expect_all(fused_batchnorm_cases());
  expect_all(fused_inference_cases());
}
TEST(Agreement, activation) { expect_all(activation_cases()); }
TEST(Agreement, softmax) { expect_all(softmax_cases()); }
TEST(Agreement, pool) { expect_all(pool_cases()); }
TEST(Agreement, elementwise) { expect_all(elementwise_cases()); }
TEST(Agreement, dropout) { expect_all(dropout_cases()); }
TEST(Agreement, input) { expect_all(input_cases()); }
TEST(Agreement, copy) { expect_all(copy_cases()); }
TEST(Agreement, losses) { expect_all(loss_cases()); }
TEST(Agreement, updates) { expect_all(update_cases()); }

/// Vector loops have a rest of every length.
TEST(Agreement, every_number_of_channels) {
  for (std::int64_t channels = 1; channels <= 33; ++channels) expect_all(cases_of_shape({2, 3, 4, channels}), 1);
}

/// More than one thread's worth, and more than one chunk of a reduction.
TEST(Agreement, large_images) { expect_all(cases_of_shape({3, 29, 37, 23})); }

/// A mean far from zero must not swallow the variance: with both moments taken in f32 from sums of x and x² nothing of
/// a variance of 1e-4 would be left beside a mean of 1e4.
TEST(Agreement, batchnorm_keeps_a_small_variance_beside_a_large_mean) {
  const auto cpu = make_cpu_backend({.threads = kThreads});
  const auto reference = make_reference_backend();
  const Shape x{8, 16, 16, 5}, c{5};
  Values values = random_values(x, 1, -1, 1);
  for (double& value : values) value = 1e4 + 0.01 * std::sqrt(3.0) * value;  // uniform: standard deviation 0.01
  const StepCase step = rounded({.name = "large mean",
                                 .op = Op::batchnorm_forward,
                                 .attributes = BatchNormAttributes{},
                                 .args = {in(x, values), in(c, Values(5, 1)), in(c, Values(5, 0)),
                                          inout(c, Values(5, 0)), inout(c, Values(5, 1)), out(x), out(c), out(c)}});
  const auto expected = run_step(*reference, DType::f64, step);
  const auto actual = run_step(*cpu, DType::f32, step);
  expect_close(actual[7], expected[7], 1e-3, "inverse standard deviation");
  expect_close(actual[5], expected[5], 0.05, "y");  // x itself carries 1e-3 ÷ 2 of rounding at 1e4: 5 % of 0.01
}

}  // namespace
}  // namespace snug::ops_test
