#include "ops/op_cases.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

#include "snug/config.h"

namespace snug::ops_test {

namespace {

std::string name_of(std::string_view what, const Shape& shape, std::string_view more = "") {
  return std::string(what) + " " + to_string(shape) + (more.empty() ? "" : " ") + std::string(more);
}

BackwardCase backward(std::string name, Op op, Attributes attributes, std::vector<Arg> args, int dy,
                      std::vector<std::pair<int, int>> gradients) {
  return {.step = {.name = std::move(name), .op = op, .attributes = std::move(attributes), .args = std::move(args)},
          .dy = dy,
          .gradients = std::move(gradients)};
}

/// A gradient operand: written, or added to what is there.
Arg gradient(const Shape& shape, bool accumulate) {
  return accumulate ? inout(shape, random_values(shape, 91)) : out(shape);
}

// ---- conv -----------------------------------------------------------------------------------------------------

struct ConvCase {
  Shape input;
  std::int64_t filters = 1;
  Extent2 kernel{1, 1}, stride{1, 1}, dilation{1, 1}, pad_begin{0, 0}, pad_end{0, 0};
  std::int64_t groups = 1;
  bool bias = false, accumulate = false;
};

std::int64_t extent(const Window& window, std::size_t axis, std::int64_t input) {
  const std::int64_t reach = window.dilation[axis] * (window.kernel[axis] - 1) + 1;
  return (input + window.pad_begin[axis] + window.pad_end[axis] - reach) / window.stride[axis] + 1;
}

Window window_of(const ConvCase& c) { return {c.kernel, c.stride, c.dilation, c.pad_begin, c.pad_end}; }

GradientCase conv_case(const ConvCase& c) {
  const ConvAttributes attributes{
      .window = window_of(c), .groups = c.groups, .bias = c.bias, .accumulate = c.accumulate};
  const Shape w{c.filters, c.kernel[0], c.kernel[1], c.input[3] / c.groups};
  const Shape y{c.input[0], extent(attributes.window, 0, c.input[1]), extent(attributes.window, 1, c.input[2]),
                c.filters};
  ConvAttributes forward_attributes = attributes;
  forward_attributes.accumulate = false;
  StepCase forward{.name = name_of("conv", c.input, "to " + to_string(y) + ", weights " + to_string(w)),
                   .op = Op::conv_forward,
                   .attributes = forward_attributes,
                   .args = {in(c.input, random_values(c.input, 1)), in(w, random_values(w, 2))}};
  if (c.bias) forward.args.push_back(in({c.filters}, random_values(c.filters, 3)));
  forward.args.push_back(out(y));

  ConvAttributes data_attributes = forward_attributes;
  data_attributes.bias = false;
  BackwardCase data = backward("backward data", Op::conv_backward_data, data_attributes,
                               {in(y, random_values(y, 4)), saved(forward, 1), out(c.input)}, 0, {{2, 0}});
  BackwardCase weights =
      backward("backward weights", Op::conv_backward_weights, attributes,
               {saved(forward, 0), in(y, random_values(y, 5)), gradient(w, c.accumulate)}, 1, {{2, 1}});
  if (c.bias) {
    weights.step.args.push_back(gradient({c.filters}, c.accumulate));
    weights.gradients.emplace_back(3, 2);
  }
  return {.forward = forward, .output = c.bias ? 3 : 2, .backward = {data, weights}};
}

}  // namespace

std::vector<StepCase> fused_conv_cases() {
  std::vector<StepCase> cases;
  for (const ActivationFunction function :
       {ActivationFunction::relu, ActivationFunction::relu6, ActivationFunction::leaky_relu}) {
    for (const ConvCase& c : {ConvCase{.input = {2, 7, 5, 3}, .filters = 8, .kernel = {3, 3}, .bias = true},
                              ConvCase{.input = {2, 9, 9, 16}, .filters = 17, .kernel = {1, 1}},
                              ConvCase{.input = {2, 6, 6, 8}, .filters = 8, .kernel = {3, 3}, .groups = 8}}) {
      StepCase step = conv_case(c).forward;
      auto& attributes = std::get<ConvAttributes>(step.attributes);
      attributes.activation = function;
      for (Arg& arg : step.args) {
        for (double& value : arg.values) value *= 3;  // beyond 6
      }
      cases.push_back(std::move(step));
    }
  }
  return cases;
}

std::vector<StepCase> winograd_cases() {
  const std::vector<ConvCase> table{
      {.input = {4, 9, 7, 64}, .filters = 64, .kernel = {3, 3}, .pad_begin = {1, 1}, .pad_end = {1, 1}},
      {.input = {2, 13, 15, 80}, .filters = 64, .kernel = {3, 3}, .bias = true},
      {.input = {3, 10, 8, 96}, .filters = 96, .kernel = {3, 3}, .pad_begin = {2, 2}, .pad_end = {2, 2}, .bias = true},
      {.input = {9, 6, 7, 64}, .filters = 64, .kernel = {3, 3}, .pad_begin = {0, 1}, .pad_end = {2, 0}},
      {.input = {70, 4, 4, 160}, .filters = 128, .kernel = {3, 3}, .pad_begin = {1, 1}, .pad_end = {1, 1}},
  };
  std::vector<StepCase> steps;
  for (const ConvCase& c : table) {
    const GradientCase made = conv_case(c);
    steps.push_back(made.forward);
    StepCase data = made.backward[0].step;
    data.args[1] = made.forward.args[1];
    data.name = made.forward.name + ": " + data.name;
    steps.push_back(std::move(data));
  }
  for (const ActivationFunction function :
       {ActivationFunction::relu, ActivationFunction::relu6, ActivationFunction::leaky_relu}) {
    StepCase step = conv_case(table[2]).forward;
    std::get<ConvAttributes>(step.attributes).activation = function;
    for (double& weight : step.args[1].values) weight *= 0.2;  // to about 6
    steps.push_back(std::move(step));
  }
  return steps;
}

std::vector<GradientCase> conv_cases() {
  const std::vector<ConvCase> table{
      {.input = {1, 1, 1, 1}},
      {.input = {2, 5, 7, 3}, .filters = 4, .kernel = {3, 3}},
      {.input = {2, 7, 5, 3}, .filters = 8, .kernel = {3, 3}, .pad_begin = {1, 1}, .pad_end = {1, 1}, .bias = true},
      {.input = {3, 8, 8, 16}, .filters = 17, .kernel = {3, 3}, .stride = {2, 2}, .pad_end = {1, 1}},  // "same", even
      {.input = {1, 9, 11, 5},
       .filters = 7,
       .kernel = {5, 3},
       .stride = {2, 3},
       .pad_begin = {2, 0},
       .pad_end = {1, 2},
       .bias = true,
       .accumulate = true},
      {.input = {2, 13, 11, 2},
       .filters = 3,
       .kernel = {3, 2},
       .dilation = {2, 3},
       .pad_begin = {2, 1},
       .pad_end = {2, 2}},
      {.input = {2, 12, 12, 3},
       .filters = 32,
       .kernel = {7, 7},
       .stride = {2, 2},
       .pad_begin = {3, 3},
       .pad_end = {3, 3},
       .bias = true},
      {.input = {4, 6, 6, 33}, .filters = 31, .bias = true},
      {.input = {2, 7, 7, 32}, .filters = 16, .stride = {2, 2}},  // a projection shortcut
      {.input = {2, 5, 5, 64},
       .filters = 64,
       .kernel = {3, 3},
       .pad_begin = {1, 1},
       .pad_end = {1, 1},
       .accumulate = true},
      {.input = {2, 6, 5, 12},
       .filters = 6,
       .kernel = {3, 3},
       .pad_begin = {1, 1},
       .pad_end = {1, 1},
       .groups = 3,
       .bias = true},
      {.input = {1, 7, 7, 32},
       .filters = 32,
       .kernel = {3, 3},
       .pad_begin = {1, 1},
       .pad_end = {1, 1},
       .groups = 4,
       .accumulate = true},
      {.input = {2, 7, 6, 16}, .filters = 16, .kernel = {3, 3}, .pad_begin = {1, 1}, .pad_end = {1, 1}, .groups = 16},
      {.input = {2, 8, 8, 13},
       .filters = 13,
       .kernel = {5, 5},
       .stride = {2, 2},
       .pad_begin = {1, 1},
       .pad_end = {2, 2},
       .groups = 13,
       .bias = true,
       .accumulate = true},
      {.input = {2, 9, 8, 40},
       .filters = 40,
       .kernel = {5, 5},
       .stride = {2, 1},
       .pad_begin = {2, 2},
       .pad_end = {2, 2},
       .groups = 40},
      {.input = {1, 12, 9, 3},
       .filters = 3,
       .kernel = {3, 7},
       .stride = {4, 2},
       .dilation = {2, 2},
       .pad_begin = {0, 5},
       .pad_end = {3, 4},
       .groups = 3,
       .bias = true},
      {.input = {2, 5, 6, 5},
       .filters = 15,
       .kernel = {3, 3},
       .pad_begin = {1, 1},
       .pad_end = {1, 1},
       .groups = 5,
       .bias = true},  // depthwise, multiplier 3
      {.input = {2, 9, 9, 16}, .filters = 16, .kernel = {3, 3}, .stride = {2, 2}, .groups = 16},  // depthwise, strided
      {.input = {2, 9, 9, 8}, .filters = 16, .kernel = {3, 3}, .dilation = {2, 2}, .groups = 8},  // depthwise, dilated
      {.input = {3, 1, 1, 24}, .filters = 6, .bias = true},                                       // squeeze-excite
      {.input = {1, 4, 4, 3}, .filters = 2, .kernel = {4, 4}, .bias = true},                      // one output pixel
      {.input = {1, 3, 3, 2}, .filters = 3, .kernel = {2, 2}, .pad_begin = {2, 3}, .pad_end = {3, 2}},  // all padding
  };
  std::vector<GradientCase> cases;
  cases.reserve(table.size());
  for (const ConvCase& c : table) cases.push_back(conv_case(c));
  return cases;
}

std::vector<StepCase> large_weight_gradient_cases() {
  const std::vector<ConvCase> table{
      // Channels that fill no panel; images in two blocks; projections that skip pixels.
      {.input = {4, 9, 7, 40}, .filters = 43, .kernel = {3, 3}, .pad_begin = {1, 1}, .pad_end = {1, 1}, .bias = true},
      {.input = {10, 12, 12, 64}, .filters = 48, .kernel = {3, 1}, .pad_begin = {1, 0}, .accumulate = true},
      {.input = {8, 7, 7, 128}, .filters = 200, .stride = {2, 2}},
      // An odd batch, and windows that skip pixels by stride, by dilation, and reach far out of the image.
      {.input = {7, 11, 8, 70},
       .filters = 66,
       .kernel = {5, 5},
       .stride = {2, 2},
       .pad_begin = {2, 2},
       .pad_end = {2, 1},
       .bias = true},
      {.input = {2, 10, 9, 160},
       .filters = 136,
       .kernel = {3, 3},
       .stride = {1, 3},
       .dilation = {4, 2},
       .pad_begin = {4, 1},
       .pad_end = {5, 3}},
      {.input = {2, 3, 2, 136},
       .filters = 144,
       .kernel = {3, 3},
       .pad_begin = {2, 2},
       .pad_end = {2, 2},
       .bias = true,
       .accumulate = true},
      // Rows in two blocks.
      {.input = {2, 26, 25, 48}, .filters = 49, .kernel = {5, 5}, .pad_begin = {2, 2}, .pad_end = {2, 2}, .bias = true},
  };
  std::vector<StepCase> steps;
  steps.reserve(table.size());
  for (const ConvCase& c : table) {
    const GradientCase made = conv_case(c);
    StepCase step = made.backward[1].step;
    step.args[0] = made.forward.args[0];
    step.name = made.forward.name + ": " + step.name;
    steps.push_back(std::move(step));
  }
  return steps;
}

// ---- dense ----------------------------------------------------------------------------------------------------

std::vector<GradientCase> dense_cases() {
  struct DenseCase {
    std::int64_t samples, inputs, units;
    bool bias = false, accumulate = false;
  };
  const std::vector<DenseCase> table{
      {1, 1, 1, true},           {3, 7, 5},          {13, 33, 10, true},   {5, 128, 1, true, true},
      {32, 17, 31, false, true}, {2, 300, 10, true}, {35, 1100, 33, true}, {32, 513, 34}};
  std::vector<GradientCase> cases;
  for (const DenseCase& c : table) {
    const Shape x{c.samples, c.inputs}, w{c.units, c.inputs}, y{c.samples, c.units};
    StepCase forward{.name = name_of("dense", x, "to " + to_string(y)),
                     .op = Op::dense_forward,
                     .attributes = DenseAttributes{.bias = c.bias},
                     .args = {in(x, random_values(x, 1)), in(w, random_values(w, 2))}};
    if (c.bias) forward.args.push_back(in({c.units}, random_values(c.units, 3)));
    forward.args.push_back(out(y));
    BackwardCase data = backward("backward data", Op::dense_backward_data, DenseAttributes{},
                                 {in(y, random_values(y, 4)), saved(forward, 1), out(x)}, 0, {{2, 0}});
    BackwardCase weights = backward(
        "backward weights", Op::dense_backward_weights, DenseAttributes{.bias = c.bias, .accumulate = c.accumulate},
        {saved(forward, 0), in(y, random_values(y, 5)), gradient(w, c.accumulate)}, 1, {{2, 1}});
    if (c.bias) {
      weights.step.args.push_back(gradient({c.units}, c.accumulate));
      weights.gradients.emplace_back(3, 2);
    }
    cases.push_back({.forward = forward, .output = c.bias ? 3 : 2, .backward = {data, weights}});
  }
  return cases;
}

// ---- batchnorm ------------------------------------------------------------------------------------------------

namespace {

GradientCase batchnorm_case(const Shape& x, const BatchNormAttributes& attributes) {
  const Shape c{x.back()};
  BatchNormAttributes forward_attributes = attributes;
  forward_attributes.accumulate = false;
  const StepCase forward{
      .name = name_of("batchnorm", x),
      .op = Op::batchnorm_forward,
      .attributes = forward_attributes,
      .args = {in(x, random_values(x, 1, -1, 3)), in(c, random_values(c, 2, 0.5, 1.5)), in(c, random_values(c, 3)),
               inout(c, random_values(c, 4)), inout(c, random_values(c, 5, 0.5, 2)), out(x), out(c), out(c)}};
  std::vector<BackwardCase> backwards;
  for (const Saved chosen : {Saved::input, Saved::output}) {
    BackwardCase b =
        backward(chosen == Saved::input ? "backward of x" : "backward of y", Op::batchnorm_backward, attributes,
                 {in(x, random_values(x, 6)), saved(forward, 1), saved(forward, 2), saved(forward, 6),
                  saved(forward, 7), out(x), gradient(c, attributes.accumulate), gradient(c, attributes.accumulate),
                  saved(forward, chosen == Saved::input ? 0 : 5)},
                 0, {{5, 0}, {6, 1}, {7, 2}});
    b.step.chosen = chosen;
    backwards.push_back(b);
  }
  return {.forward = forward, .output = 5, .backward = backwards};
}

/// With an activation, and with a sum before it.
GradientCase fused_batchnorm_case(const Shape& x, BatchNormAttributes attributes) {
  const Shape c{x.back()};
  const bool accumulate = std::exchange(attributes.accumulate, false);
  StepCase forward{
      .name = name_of("batchnorm fused", x),
      .op = Op::batchnorm_forward,
      .attributes = attributes,
      .args = {in(x, random_values(x, 1, -1, 3)), in(c, random_values(c, 2, 0.5, 3)), in(c, random_values(c, 3)),
               inout(c, random_values(c, 4)), inout(c, random_values(c, 5, 0.5, 2))}};
  const int y = attributes.residual ? 6 : 5;
  if (attributes.residual) forward.args.push_back(in(x, random_values(x, 7)));
  for (const Shape& shape : {x, c, c}) forward.args.push_back(out(shape));
  std::vector<Arg> args{in(x, random_values(x, 6)), saved(forward, 1), saved(forward, 2), saved(forward, y + 1),
                        saved(forward, y + 2)};
  if (attributes.residual) args.push_back(saved(forward, y));
  args.push_back(out(x));
  for (int i = 0; i < 2; ++i) args.push_back(gradient(c, accumulate));
  if (attributes.residual) args.push_back(out(x));
  args.push_back(saved(forward, 0));
  attributes.accumulate = accumulate;
  std::vector<std::pair<int, int>> gradients{{y, 0}, {y + 1, 1}, {y + 2, 2}};
  if (attributes.residual) gradients.emplace_back(9, 5);
  return {.forward = forward,
          .output = y,
          .backward = {backward("backward", Op::batchnorm_backward, attributes, std::move(args), 0, gradients)}};
}

/// `op`: batchnorm_inference or batchnorm_apply, which takes the inverse deviation for the variance.
StepCase fused_inference_case(const Shape& x, const BatchNormAttributes& attributes, Op op = Op::batchnorm_inference) {
  const Shape c{x.back()};
  StepCase step{.name = name_of(std::string(to_string(op)) + " with fixed statistics", x),
                .op = op,
                .attributes = attributes,
                .args = {in(x, random_values(x, 1, -1, 3)), in(c, random_values(c, 2, -1.5, 1.5)),
                         in(c, random_values(c, 3)), in(c, random_values(c, 4)), in(c, random_values(c, 5, 0.5, 2))}};
  if (attributes.residual) step.args.push_back(in(x, random_values(x, 7)));
  step.args.push_back(out(x));
  return step;
}

GradientCase batchnorm_inference_case(const Shape& x, const BatchNormAttributes& attributes) {
  const Shape c{x.back()};
  BatchNormAttributes forward_attributes = attributes;
  forward_attributes.accumulate = false;
  const StepCase forward{
      .name = name_of("batchnorm with fixed statistics", x),
      .op = Op::batchnorm_inference,
      .attributes = forward_attributes,
      .args = {in(x, random_values(x, 1, -1, 3)), in(c, random_values(c, 2, -1.5, 1.5)), in(c, random_values(c, 3)),
               in(c, random_values(c, 4)), in(c, random_values(c, 5, 0.5, 2)), out(x)}};
  return {.forward = forward,
          .output = 5,
          .backward = {
              backward("backward", Op::batchnorm_inference_backward, attributes,
                       {in(x, random_values(x, 6)), saved(forward, 1), saved(forward, 3), saved(forward, 4), out(x),
                        gradient(c, attributes.accumulate), gradient(c, attributes.accumulate), saved(forward, 0)},
                       0, {{4, 0}, {5, 1}, {6, 2}})}};
}

/// The norm of a slice of channels, whose gradient is added to what a slice holds.
GradientCase of_a_slice(GradientCase whole) {
  const std::int64_t channels = whole.forward.args[0].shape.back();
  const auto slice = [&](Arg& arg, std::int64_t before, std::int64_t behind) {
    arg.pitch = before + channels + behind;
    arg.begin = before;
  };
  whole.forward.name += " of a slice";
  slice(whole.forward.args[0], 3, 2);
  for (BackwardCase& backward : whole.backward) {
    backward.step.name += " of a slice";
    std::get<BatchNormAttributes>(backward.step.attributes).accumulate_dx = true;
    Arg& dx = backward.step.args[static_cast<std::size_t>(backward.gradients.front().first)];
    dx = inout(dx.shape, random_values(dx.shape, 9));
    slice(dx, 1, 6);
    slice(backward.step.args.back(), 5, 0);
  }
  return whole;
}

}  // namespace

namespace {

constexpr std::array kAllFunctions{ActivationFunction::relu, ActivationFunction::relu6, ActivationFunction::leaky_relu,
                                   ActivationFunction::silu, ActivationFunction::gelu,  ActivationFunction::sigmoid,
                                   ActivationFunction::tanh};

}  // namespace

std::vector<GradientCase> fused_batchnorm_cases() {
  std::vector<GradientCase> cases;
  for (const ActivationFunction function : kAllFunctions) {
    cases.push_back(fused_batchnorm_case({3, 4, 4, 7}, {.activation = function}));
    cases.push_back(fused_batchnorm_case({2, 5, 5, 33}, {.accumulate = true, .activation = function}));
    if (function == ActivationFunction::silu || function == ActivationFunction::gelu) continue;
    cases.push_back(fused_batchnorm_case({3, 4, 4, 7}, {.residual = true, .activation = function}));
    cases.push_back(
        fused_batchnorm_case({2, 5, 5, 65}, {.accumulate = true, .residual = true, .activation = function}));
  }
  cases.push_back(fused_batchnorm_case({3, 3, 3, 16}, {.residual = true}));
  return cases;
}

std::vector<StepCase> fused_inference_cases() {
  std::vector<StepCase> cases;
  for (const ActivationFunction function : kAllFunctions) {
    cases.push_back(fused_inference_case({3, 4, 4, 7}, {.activation = function}));
    cases.push_back(fused_inference_case({2, 5, 5, 65}, {.residual = true, .activation = function}));
  }
  cases.push_back(fused_inference_case({3, 3, 3, 16}, {.residual = true}));
  for (const Shape& shape : {Shape{3, 4, 4, 7}, Shape{2, 5, 5, 65}, Shape{3, 3, 3, 16}}) {
    cases.push_back(fused_inference_case(shape, {}, Op::batchnorm_apply));
    cases.push_back(
        fused_inference_case(shape, {.residual = true, .activation = ActivationFunction::relu}, Op::batchnorm_apply));
  }
  return cases;
}

std::vector<GradientCase> batchnorm_cases() {
  std::vector<GradientCase> cases;
  const std::vector<Shape> shapes{{2, 3, 5, 1}, {3, 4, 4, 7}, {5, 3, 3, 16}, {4, 5, 7, 33}, {3, 1, 1, 3}};
  for (const Shape& shape : shapes) {
    cases.push_back(batchnorm_case(shape, {}));
    cases.push_back(batchnorm_inference_case(shape, {}));
  }
  cases.push_back(batchnorm_case({2, 5, 5, 17}, {.epsilon = 1e-3, .momentum = 0.01, .accumulate = true}));
  cases.push_back(batchnorm_inference_case({2, 5, 5, 17}, {.epsilon = 1e-3, .momentum = 0.01, .accumulate = true}));
  cases.push_back(batchnorm_case({7, 19}, {}));  // behind a dense layer
  for (const Shape& shape : {Shape{2, 3, 5, 1}, Shape{3, 4, 4, 7}, Shape{5, 3, 3, 64}, Shape{4, 5, 7, 130}}) {
    cases.push_back(of_a_slice(batchnorm_case(shape, {})));
    cases.push_back(of_a_slice(batchnorm_inference_case(shape, {})));
    cases.push_back(of_a_slice(fused_batchnorm_case(shape, {.activation = ActivationFunction::tanh})));
    cases.push_back(
        of_a_slice(fused_batchnorm_case(shape, {.residual = true, .activation = ActivationFunction::tanh})));
  }
  cases.push_back(batchnorm_inference_case({7, 19}, {}));
  return cases;
}

// ---- activation, softmax --------------------------------------------------------------------------------------

namespace {

/// Random numbers at least 0.05 away from 0 and 6, where some functions have no derivative.
Values away_from_kinks(const Shape& shape, std::uint64_t seed) {
  Values values = random_values(shape, seed, -4, 8);
  for (double& value : values) {
    for (const double kink : {0.0, 6.0}) {
      if (std::abs(value - kink) < 0.05) value = kink + (value < kink ? -0.25 : 0.25);
    }
  }
  return values;
}

constexpr std::array kFunctions{ActivationFunction::relu, ActivationFunction::relu6, ActivationFunction::leaky_relu,
                                ActivationFunction::silu, ActivationFunction::gelu,  ActivationFunction::sigmoid,
                                ActivationFunction::tanh};

bool output_suffices(ActivationFunction function) {
  return function != ActivationFunction::silu && function != ActivationFunction::gelu;
}

}  // namespace

namespace {

GradientCase activation_case(ActivationFunction function, const Shape& x) {
  const ActivationAttributes attributes{function};
  const StepCase forward{.name = name_of("activation " + std::to_string(static_cast<int>(function)), x),
                         .op = Op::activation_forward,
                         .attributes = attributes,
                         .args = {in(x, away_from_kinks(x, 1)), out(x)}};
  GradientCase gradient_case{.forward = forward, .output = 1, .backward = {}};
  for (const Saved chosen : {Saved::input, Saved::output}) {
    if (chosen == Saved::output && !output_suffices(function)) continue;
    BackwardCase b =
        backward(chosen == Saved::input ? "backward of x" : "backward of y", Op::activation_backward, attributes,
                 {in(x, random_values(x, 2)), out(x), saved(forward, chosen == Saved::input ? 0 : 1)}, 0, {{1, 0}});
    b.step.chosen = chosen;
    gradient_case.backward.push_back(b);
  }
  return gradient_case;
}

/// The gradient and what is saved are slices of channels.
GradientCase activation_of_slices(ActivationFunction function, const Shape& x) {
  GradientCase sliced = activation_case(function, x);
  for (BackwardCase& backward : sliced.backward) {
    backward.step.name += " of slices";
    backward.step.args[0].pitch = x.back() + 3;
    backward.step.args[0].begin = 2;
    backward.step.args[2].pitch = x.back() + 5;
    backward.step.args[2].begin = 5;
  }
  return sliced;
}

GradientCase softmax_case(const Shape& x) {
  const StepCase forward{.name = name_of("softmax", x),
                         .op = Op::softmax_forward,
                         .attributes = NoAttributes{},
                         .args = {in(x, random_values(x, 1, -3, 3)), out(x)}};
  return {.forward = forward,
          .output = 1,
          .backward = {backward("backward", Op::softmax_backward, NoAttributes{},
                                {in(x, random_values(x, 2)), saved(forward, 1), out(x)}, 0, {{2, 0}})}};
}

}  // namespace

std::vector<GradientCase> activation_cases() {
  std::vector<GradientCase> cases;
  for (const ActivationFunction function : kFunctions) {
    for (const Shape& x : {Shape{2, 3, 5, 7}, Shape{3, 37}, Shape{1, 4, 4, 16}}) {
      cases.push_back(activation_case(function, x));
      cases.push_back(activation_of_slices(function, x));
    }
  }
  return cases;
}

std::vector<GradientCase> softmax_cases() {
  return {softmax_case({3, 10}), softmax_case({5, 2}), softmax_case({2, 33}), softmax_case({2, 3, 4, 5})};
}

// ---- pools ----------------------------------------------------------------------------------------------------

namespace {

struct PoolCase {
  Shape input;
  Extent2 kernel{2, 2}, stride{2, 2}, pad_begin{0, 0}, pad_end{0, 0};
};

/// Different numbers, so that every maximum is one by a margin.
Values shuffled(const Shape& shape, std::uint64_t seed) {
  const Values keys = random_values(shape, seed);
  std::vector<std::size_t> order(keys.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return keys[i]; });
  Values values(keys.size());
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    values[order[rank]] = (static_cast<double>(rank) - static_cast<double>(keys.size()) / 2) / 64;
  }
  return values;
}

Shape pooled(const PoolCase& c, const Window& window) {
  return {c.input[0], extent(window, 0, c.input[1]), extent(window, 1, c.input[2]), c.input[3]};
}

GradientCase maxpool_case(const PoolCase& c) {
  const PoolAttributes attributes{{c.kernel, c.stride, {1, 1}, c.pad_begin, c.pad_end}};
  const Shape y = pooled(c, attributes.window);
  const StepCase forward{.name = name_of("maxpool", c.input, "to " + to_string(y)),
                         .op = Op::maxpool_forward,
                         .attributes = attributes,
                         .args = {in(c.input, shuffled(c.input, 1)), out(y), out(y, Kind::byte)}};
  return {.forward = forward,
          .output = 1,
          .backward = {backward("backward", Op::maxpool_backward, attributes,
                                {in(y, random_values(y, 2)), saved(forward, 2), out(c.input)}, 0, {{2, 0}})}};
}

GradientCase avgpool_case(const PoolCase& c) {
  const PoolAttributes attributes{{c.kernel, c.stride, {1, 1}, c.pad_begin, c.pad_end}};
  const Shape y = pooled(c, attributes.window);
  const StepCase forward{.name = name_of("avgpool", c.input, "to " + to_string(y)),
                         .op = Op::avgpool_forward,
                         .attributes = attributes,
                         .args = {in(c.input, random_values(c.input, 1)), out(y)}};
  return {.forward = forward,
          .output = 1,
          .backward = {backward("backward", Op::avgpool_backward, attributes,
                                {in(y, random_values(y, 2)), out(c.input)}, 0, {{1, 0}})}};
}

GradientCase adaptive_case(const Shape& x, const Shape& y) {
  const StepCase forward{.name = name_of("adaptive avgpool", x, "to " + to_string(y)),
                         .op = Op::adaptive_avgpool_forward,
                         .attributes = NoAttributes{},
                         .args = {in(x, random_values(x, 1)), out(y)}};
  return {.forward = forward,
          .output = 1,
          .backward = {backward("backward", Op::adaptive_avgpool_backward, NoAttributes{},
                                {in(y, random_values(y, 2)), out(x)}, 0, {{1, 0}})}};
}

/// Windows as the pools have them, behind norm and relu. Numbers of sixteenths, no two alike in a window: every largest
/// one is so by more than 16 bits round away.
GradientCase norm_pool_case(const PoolCase& c, bool accumulate) {
  NormPoolAttributes attributes{.window = {c.kernel, c.stride, {1, 1}, c.pad_begin, c.pad_end}};
  const Shape y = pooled(c, attributes.window), vector{c.input.back()};
  Values x(static_cast<std::size_t>(c.input.elements()));
  Values gamma = random_values(vector, 2, 0.5, 2);
  const Values noise = random_values(c.input, 1, 0, 7);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto channels = static_cast<std::size_t>(c.input[3]), width = static_cast<std::size_t>(c.input[2]);
    const std::size_t channel = i % channels, column = i / channels % width;
    const std::size_t row = i / channels / width % static_cast<std::size_t>(c.input[1]);
    const std::size_t place = (row % 3 * 3 + column % 3) * (channel % 2 + 1) % 9;
    x[i] = (7 * static_cast<double>((place + channel) % 9) + std::floor(noise[i])) / 16 - 2;
  }
  for (std::size_t i = 1; i < gamma.size(); i += 3) gamma[i] = -gamma[i];
  const StepCase forward{.name = name_of("norm, relu, maxpool", c.input, "to " + to_string(y)),
                         .op = Op::batchnorm_maxpool_forward,
                         .attributes = attributes,
                         .args = {in(c.input, x), in(vector, gamma), in(vector, random_values(vector, 3, 0, 1)),
                                  in(vector, random_values(vector, 4, -0.5, 0.5)),
                                  in(vector, random_values(vector, 5, 0.5, 2)), out(y), out(y, Kind::byte)}};
  attributes.accumulate = accumulate;
  const auto sum = [&](std::uint64_t seed) {
    return accumulate ? inout(vector, random_values(vector, seed)) : out(vector);
  };
  return {.forward = forward,
          .output = 5,
          .backward = {backward("backward", Op::batchnorm_maxpool_backward, attributes,
                                {in(y, random_values(y, 6)), saved(forward, 6), saved(forward, 1), saved(forward, 2),
                                 saved(forward, 3), saved(forward, 4), saved(forward, 0), out(c.input), sum(7), sum(8)},
                                0, {{8, 1}, {9, 2}})}};
}

}  // namespace

std::vector<GradientCase> norm_pool_cases() {
  const std::vector<PoolCase> table{
      {.input = {1, 1, 1, 9}, .kernel = {1, 1}, .stride = {1, 1}},
      {.input = {3, 5, 1, 1}, .kernel = {2, 1}, .stride = {2, 1}},
      {.input = {2, 7, 7, 8}, .kernel = {3, 3}, .pad_begin = {1, 1}, .pad_end = {1, 1}},  // ResNet's
      {.input = {2, 8, 6, 24}, .kernel = {3, 3}, .pad_begin = {1, 1}, .pad_end = {1, 1}},
      {.input = {3, 11, 13, 5}, .kernel = {3, 3}, .pad_begin = {1, 1}, .pad_end = {1, 1}},
      {.input = {1, 29, 31, 16}, .kernel = {3, 3}, .pad_begin = {1, 1}, .pad_end = {1, 1}},
      {.input = {2, 4, 6, 1}},
      {.input = {1, 5, 7, 16}},  // a rest that no window sees
      {.input = {2, 6, 6, 2}, .kernel = {3, 3}, .pad_end = {1, 1}},
      {.input = {1, 5, 8, 33}, .kernel = {3, 2}, .stride = {2, 3}, .pad_begin = {1, 0}, .pad_end = {2, 1}},
      {.input = {2, 6, 5, 8}, .kernel = {3, 3}, .stride = {1, 1}, .pad_begin = {1, 1}, .pad_end = {1, 1}},
      {.input = {3, 5, 5, 17}, .kernel = {1, 1}, .stride = {2, 2}},
  };
  std::vector<GradientCase> cases;
  for (const PoolCase& c : table) cases.push_back(norm_pool_case(c, cases.size() % 2 == 1));
  return cases;
}

std::vector<GradientCase> pool_cases() {
  const std::vector<PoolCase> table{
      {.input = {2, 4, 6, 3}},
      {.input = {1, 5, 7, 16}},                                                           // a rest that no window sees
      {.input = {2, 7, 7, 5}, .kernel = {3, 3}, .pad_begin = {1, 1}, .pad_end = {1, 1}},  // ResNet's
      {.input = {2, 6, 6, 2}, .kernel = {3, 3}, .pad_end = {1, 1}},  // ceil: the last window reaches out
      {.input = {1, 5, 8, 33}, .kernel = {3, 2}, .stride = {2, 3}, .pad_begin = {1, 0}, .pad_end = {2, 1}},
      {.input = {2, 6, 5, 7}, .kernel = {3, 3}, .stride = {1, 1}, .pad_begin = {1, 1}, .pad_end = {1, 1}},
      {.input = {1, 4, 3, 1}, .kernel = {4, 3}, .stride = {4, 3}},
      {.input = {1, 5, 7, 35}, .kernel = {2, 2}, .stride = {2, 2}},  // side by side; a row and a column are left
      {.input = {2, 5, 7, 19}, .kernel = {2, 3}, .stride = {2, 3}, .pad_begin = {1, 1}, .pad_end = {0, 1}},
      {.input = {1, 15, 15, 2}, .kernel = {15, 15}, .stride = {1, 1}},
      {.input = {3, 5, 5, 17}, .kernel = {1, 1}, .stride = {2, 2}},
  };
  std::vector<GradientCase> cases;
  for (const PoolCase& c : table) {
    cases.push_back(maxpool_case(c));
    cases.push_back(avgpool_case(c));
  }
  cases.push_back(adaptive_case({3, 5, 7, 17}, {3, 1, 1, 17}));
  cases.push_back(adaptive_case({2, 7, 7, 3}, {2, 3, 2, 3}));    // overlapping cells
  cases.push_back(adaptive_case({1, 3, 2, 16}, {1, 5, 7, 16}));  // more cells than pixels
  cases.push_back(adaptive_case({2, 8, 8, 32}, {2, 4, 4, 32}));
  return cases;
}

// ---- elementwise ----------------------------------------------------------------------------------------------

namespace {

GradientCase scale_case(const Shape& x) {
  const Shape s{x[0], 1, 1, x[3]};
  const StepCase forward{.name = name_of("scale channels", x),
                         .op = Op::scale_channels,
                         .attributes = NoAttributes{},
                         .args = {in(x, random_values(x, 1)), in(s, random_values(s, 2)), out(x)}};
  return {.forward = forward,
          .output = 2,
          .backward = {backward("backward", Op::scale_channels_backward, NoAttributes{},
                                {in(x, random_values(x, 3)), saved(forward, 0), saved(forward, 1), out(x), out(s)}, 0,
                                {{3, 0}, {4, 1}})}};
}

/// The gradient of a sum is dy itself, without a step.
GradientCase add_case(const Shape& x) {
  return {.forward = {.name = name_of("add", x),
                      .op = Op::add,
                      .attributes = NoAttributes{},
                      .args = {in(x, random_values(x, 1)), in(x, random_values(x, 2)), out(x)}},
          .output = 2,
          .backward = {}};
}

GradientCase dropout_case(const Shape& x, const DropoutAttributes& attributes, double step) {
  const Arg control = in({Control::count}, {0.1, step}, Kind::wide);
  const StepCase forward{.name = name_of("dropout", x),
                         .op = Op::dropout_forward,
                         .attributes = attributes,
                         .args = {in(x, random_values(x, 1, 0.5, 2)), control, out(x)}};
  return {.forward = forward,
          .output = 2,
          .backward = {backward("backward", Op::dropout_backward, attributes,
                                {in(x, random_values(x, 2, 0.5, 2)), control, out(x)}, 0, {{2, 0}})}};
}

}  // namespace

std::vector<GradientCase> elementwise_cases() {
  std::vector<GradientCase> cases;
  for (const Shape& x : {Shape{2, 3, 5, 7}, Shape{1, 4, 4, 32}, Shape{3, 1, 2, 1}}) {
    cases.push_back(scale_case(x));
    cases.push_back(add_case(x));
  }
  return cases;
}

std::vector<GradientCase> dropout_cases() {
  return {dropout_case({3, 5, 7, 3}, {.rate = 0.5, .seed = 1, .layer = 2}, 0),
          dropout_case({4, 33}, {.rate = 0.1, .seed = 7, .layer = 11}, 3),
          dropout_case({2, 3, 3, 5}, {.rate = 0.9, .seed = 1, .layer = 2, .sample_offset = 5}, 100000),
          dropout_case({17, 2, 2, 3}, {.rate = 0.5, .seed = 3, .layer = 4, .per_sample = true}, 1),
          dropout_case({1, 1}, {.rate = 0.0, .seed = 3, .layer = 4}, 0)};
}

std::vector<GradientCase> cases_of_shape(const Shape& x) {
  const std::int64_t c = x.back();
  const PoolCase pool{.input = x, .kernel = {3, 2}, .stride = {2, 1}, .pad_begin = {1, 0}, .pad_end = {1, 1}};
  const ConvCase conv{.input = x, .filters = 5, .kernel = {3, 3}, .pad_begin = {1, 1}, .pad_end = {1, 1}, .bias = true};
  ConvCase depthwise = conv;
  depthwise.filters = depthwise.groups = c;
  ConvCase widening = conv;
  widening.input[3] = 3;
  widening.filters = c;
  return {conv_case(conv),
          conv_case(depthwise),
          conv_case(widening),
          batchnorm_case(x, {}),
          batchnorm_inference_case(x, {.accumulate = true}),
          activation_case(ActivationFunction::relu, x),
          activation_case(ActivationFunction::gelu, x),
          softmax_case(x),
          maxpool_case(pool),
          avgpool_case(pool),
          adaptive_case(x, {x[0], 1, 1, c}),
          adaptive_case(x, {x[0], 2, 2, c}),
          scale_case(x),
          add_case(x),
          dropout_case(x, {.rate = 0.3, .seed = 1, .layer = 2}, 5)};
}

}  // namespace snug::ops_test
