// The CPU backend computes in f32 what the reference backend computes in double; so it does with activations in bf16.
#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "config/precision.h"
#include "ops/op_cases.h"

namespace snug::ops_test {
namespace {

constexpr int kThreads = 2;

std::int64_t elements(const StepCase& step, std::size_t operand) { return step.args[operand].shape.elements(); }

/// Terms of the longest sum behind one output element.
double terms(const StepCase& step) {
  const auto per_last_axis = [&](std::size_t operand) {
    return static_cast<double>(elements(step, operand)) / static_cast<double>(step.args[operand].shape.back());
  };
  const auto per_first_axis = [&](std::size_t operand) {
    return static_cast<double>(elements(step, operand)) / static_cast<double>(step.args[operand].shape[0]);
  };
  switch (step.op) {
    case Op::conv_forward:
    case Op::dense_forward: return per_first_axis(1);
    case Op::conv_backward_data:
    case Op::dense_backward_data: return per_last_axis(1);
    case Op::conv_backward_weights:
    case Op::dense_backward_weights: return per_last_axis(1);
    case Op::batchnorm_forward:
    case Op::batchnorm_backward:
    case Op::batchnorm_inference_backward: return per_last_axis(0);
    case Op::adaptive_avgpool_forward:
    case Op::scale_channels_backward: return per_first_axis(0);
    case Op::gradient_norm: return static_cast<double>(elements(step, 0));
    default: return 1;
  }
}

/// Largest error of an output element relative to the output's largest. One rounding of f32 is 6e-8 of a value; the
/// errors of a sum grow like the root of its terms.
double tolerance(const StepCase& step) {
  const double root = std::sqrt(terms(step));
  switch (step.op) {
    case Op::fill:
    case Op::copy:
    case Op::maxpool_forward:
    case Op::wait: return 0;
    case Op::add:
    case Op::dropout_forward:
    case Op::dropout_backward:
    case Op::scale_channels:
    case Op::ema_update:
    case Op::add_stats: return 2e-7;
    case Op::conv_forward:
    case Op::conv_backward_data:
    case Op::conv_backward_weights:
    case Op::dense_forward:
    case Op::dense_backward_data:
    case Op::dense_backward_weights:
    case Op::scale_channels_backward: return 3e-7 * std::max(root, 2.0);
    case Op::batchnorm_forward:
    case Op::batchnorm_apply:
    case Op::batchnorm_inference:
    case Op::batchnorm_backward:
    case Op::batchnorm_inference_backward: return 1e-6 * std::max(root, 2.0);
    default: return 1e-6;
  }
}

/// The same for an operand of a step on bf16. Numbers are multiplied and added up as floats, so an fp32 operand is as
/// exact as ever; a bf16 one is rounded once more, by half of its last place: 2^-8 of the value.
double bf16_tolerance(const StepCase& step, std::size_t operand) {
  const bool rounded_once = step.args[operand].kind == Kind::real && !stays_wide(step, operand) && tolerance(step) > 0;
  const auto* norm = std::get_if<BatchNormAttributes>(&step.attributes);
  // The gradient that a fused norm hands on is rounded before dx is made of it.
  const bool rounded_twice = step.op == Op::batchnorm_backward && norm != nullptr && norm->residual;
  return tolerance(step) + (rounded_once ? (rounded_twice ? 0x1p-7 : 0x1p-8) : 0);
}

/// Values that a step may not touch are NaN before it (gaps between parameters): they must be NaN behind it too.
void expect_operand(const StepCase& step, std::size_t operand, Values actual, Values expected, double allowed) {
  const Arg& arg = step.args[operand];
  for (std::size_t i = 0; i < arg.values.size(); ++i) {
    if (!std::isnan(arg.values[i])) continue;
    EXPECT_TRUE(std::isnan(actual[i])) << "element " << i << " lies between parameters";
    actual[i] = expected[i] = 0;
  }
  const bool finite = std::ranges::all_of(expected, [](double v) { return std::isfinite(v); });
  EXPECT_TRUE(finite || step.poisoned) << "the reference left operand " << operand << " unwritten";
  if (finite) expect_close(actual, expected, allowed, "operand " + std::to_string(operand));
}

void expect_outputs(const StepCase& step, DType real, const std::vector<Values>& actual,
                    const std::vector<Values>& expected) {
  for (std::size_t i = 0; i < step.args.size(); ++i) {
    if (step.args[i].access == Access::in) continue;
    const double allowed = real == DType::bf16 ? bf16_tolerance(step, i) : tolerance(step);
    expect_operand(step, i, actual[i], expected[i], allowed);
  }
}

void expect_agreement(Backend& cpu, Backend& reference, const StepCase& exact, DType real) {
  const StepCase step = rounded(exact, real);
  SCOPED_TRACE(step.name + " in " + std::string(to_string(real)));
  const std::vector<Values> expected = run_step(reference, DType::f64, step);
  const std::vector<Values> actual = run_step(cpu, real, step);
  expect_outputs(step, real, actual, expected);
  {
    SCOPED_TRACE("at odd addresses");
    expect_outputs(step, real, run_step(cpu, real, step, {.skew_elements = 1}), expected);
  }
  for (const InPlace& pair : in_place_operands({.op = step.op, .attributes = step.attributes})) {
    if (step.args[pair.input].pitch > 0 || step.args[pair.output].pitch > 0) continue;  // slices stay where they are
    if (step.args[pair.output].shape != step.args[pair.input].shape) continue;
    SCOPED_TRACE("operand " + std::to_string(pair.output) + " over operand " + std::to_string(pair.input));
    const std::vector<Values> shared = run_step(cpu, real, step, {.in_place = pair});
    const std::vector<Values> shared_reference = run_step(reference, DType::f64, step, {.in_place = pair});
    for (std::size_t i = 0; i < step.args.size(); ++i) {
      if (step.args[i].access == Access::in) continue;
      EXPECT_EQ(shared[i], actual[i]) << "operand " << i;
      EXPECT_EQ(shared_reference[i], expected[i]) << "operand " << i;
    }
  }
}

/// Whether the step has operands that are bf16 in such a program, and the processor can compute with them.
bool runs_in_bf16(const StepCase& step) {
  if (cannot_compute(Precision::bf16, this_processor())) return false;
  for (std::size_t i = 0; i < step.args.size(); ++i) {
    if (step.args[i].kind == Kind::real && !stays_wide(step, i)) return true;
  }
  return false;
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

/// Forward and backward steps; backward steps read what the reference's forward step left.
void expect_all(const std::vector<GradientCase>& cases, int threads = kThreads) {
  const auto reference = make_reference_backend();
  std::vector<StepCase> steps;
  for (const GradientCase& c : cases) {
    steps.push_back(c.forward);
    const std::vector<Values> forward = run_step(*reference, DType::f64, c.forward);
    for (const BackwardCase& backward : c.backward) {
      steps.push_back(complete(backward.step, forward));
      steps.back().name = c.forward.name + ": " + steps.back().name;
    }
  }
  expect_all(steps, threads);
}

TEST(Agreement, conv) { expect_all(conv_cases()); }
TEST(Agreement, large_weight_gradients) { expect_all(large_weight_gradient_cases()); }
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
