// What a backend under test computes against what the reference backend computes in double.
#include "ops/agreement.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include <gtest/gtest.h>

namespace snug::ops_test {

namespace {

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
    case Op::dense_forward:
    case Op::conv1x1_forward: return per_first_axis(1);
    case Op::conv_backward_data:
    case Op::conv1x1_backward_data:
    case Op::dense_backward_data:
    case Op::conv1x1_backward_weights:
    case Op::conv_backward_weights:
    case Op::dense_backward_weights: return per_last_axis(1);
    case Op::batchnorm_forward:
    case Op::batchnorm_backward:
    case Op::batchnorm_statistics:
    case Op::batchnorm_backward_apply:
    case Op::batchnorm_inference_backward: return per_last_axis(0);
    case Op::batchnorm_maxpool_backward: return per_last_axis(6);
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
    case Op::batchnorm_statistics:
    case Op::batchnorm_backward_apply:
    case Op::batchnorm_maxpool_forward:
    case Op::batchnorm_maxpool_backward:
    case Op::conv1x1_forward:
    case Op::conv1x1_backward_data:
    case Op::conv1x1_backward_weights:
    case Op::batchnorm_inference_backward: return 1e-6 * std::max(root, 2.0);
    default: return 1e-6;
  }
}

/// 3×3 convolutions may round transformed pixels and filters, too, before they multiply them (Winograd).
bool may_transform(const StepCase& step) {
  const auto* conv = std::get_if<ConvAttributes>(&step.attributes);
  return conv != nullptr && step.op != Op::conv_backward_weights && conv->window.kernel == std::array{3L, 3L} &&
         conv->window.stride == std::array{1L, 1L} && conv->groups == 1;
}

/// Engines of a library add a bias of the images' type.
bool may_narrow_bias(const StepCase& step) {
  const auto* conv = std::get_if<ConvAttributes>(&step.attributes);
  const auto* dense = std::get_if<DenseAttributes>(&step.attributes);
  return (step.op == Op::conv_forward && conv->bias) || (step.op == Op::dense_forward && dense->bias);
}

/// The same for an operand of a step on 16-bit numbers. They are multiplied and added up as floats, so an fp32 operand
/// is as exact as ever; a narrow one is rounded once more, by half of its last place: 2^-8 of a bf16's value, 2^-11 of
/// an fp16's.
double narrow_tolerance(const StepCase& step, std::size_t operand, double half_place) {
  // The gradient is rounded as if the pool's backward step had stored it, before anything is made of it.
  if (step.op == Op::batchnorm_maxpool_backward) return tolerance(step) + 2 * half_place;
  // What a fused product normalises, and what it adds up for the norm before it, is rounded on the way.
  if (is_fused_product(step.op)) return tolerance(step) + 2 * half_place;
  const bool rounded_once = step.args[operand].kind == Kind::real && !stays_wide(step, operand) && tolerance(step) > 0;
  const auto* norm = std::get_if<BatchNormAttributes>(&step.attributes);
  // The gradient that a fused norm hands on is rounded before dx is made of it.
  const bool rounded_twice = step.op == Op::batchnorm_backward && norm != nullptr && norm->residual;
  const bool twice = rounded_twice || may_transform(step) || may_narrow_bias(step);
  return tolerance(step) + (rounded_once ? (twice ? 2 * half_place : half_place) : 0);
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
    const double allowed =
        real == DType::f32 ? tolerance(step) : narrow_tolerance(step, i, real == DType::bf16 ? 0x1p-8 : 0x1p-11);
    expect_operand(step, i, actual[i], expected[i], allowed);
  }
}

}  // namespace

void expect_agreement(Backend& backend, Backend& reference, const StepCase& exact, DType real) {
  const StepCase step = rounded(exact, real);
  SCOPED_TRACE(step.name + " in " + std::string(to_string(real)));
  const std::vector<Values> expected = run_step(reference, DType::f64, step);
  const std::vector<Values> actual = run_step(backend, real, step);
  expect_outputs(step, real, actual, expected);
  {
    SCOPED_TRACE("at odd addresses");
    expect_outputs(step, real, run_step(backend, real, step, {.skew_elements = 1}), expected);
  }
  for (const InPlace& pair : in_place_operands({.op = step.op, .attributes = step.attributes})) {
    if (step.args[pair.input].pitch > 0 || step.args[pair.output].pitch > 0) continue;  // slices stay where they are
    if (step.args[pair.output].shape != step.args[pair.input].shape) continue;
    SCOPED_TRACE("operand " + std::to_string(pair.output) + " over operand " + std::to_string(pair.input));
    const std::vector<Values> shared = run_step(backend, real, step, {.in_place = pair});
    const std::vector<Values> shared_reference = run_step(reference, DType::f64, step, {.in_place = pair});
    for (std::size_t i = 0; i < step.args.size(); ++i) {
      if (step.args[i].access == Access::in) continue;
      EXPECT_EQ(shared[i], actual[i]) << "operand " << i;
      EXPECT_EQ(shared_reference[i], expected[i]) << "operand " << i;
    }
  }
}

bool has_narrow_operands(const StepCase& step) {
  for (std::size_t i = 0; i < step.args.size(); ++i) {
    if (step.args[i].kind == Kind::real && !stays_wide(step, i)) return true;
  }
  return false;
}

std::vector<StepCase> steps_of(const std::vector<GradientCase>& cases) {
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
  return steps;
}

}  // namespace snug::ops_test
