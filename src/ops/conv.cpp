#include <fmt/format.h>

#include "ops/definitions.h"

namespace snug {

namespace {

const ConvAttributes& attributes_of(const Node& node) { return std::get<ConvAttributes>(node.attributes); }

ShapeResult conv_shape(const Node& node, std::span<const Shape> inputs) {
  const ConvAttributes& conv = attributes_of(node);
  ShapeResult output = window_shape(conv.window, inputs[0], node.channels, "kernel");
  if (!std::holds_alternative<Shape>(output)) return output;
  const std::int64_t channels = inputs[0].back();
  if (channels % conv.groups != 0 || node.channels % conv.groups != 0) {
    return ShapeProblem{
        fmt::format("groups = {} must divide {} input channels and {} filters", conv.groups, channels, node.channels),
        "groups = 1"};
  }
  return output;
}

std::vector<Parameter> conv_parameters(const Node& node, std::span<const Shape> inputs) {
  const ConvAttributes& conv = attributes_of(node);
  const std::int64_t taps = conv.window.kernel[0] * conv.window.kernel[1];
  const std::int64_t group_inputs = inputs[0].back() / conv.groups;
  std::vector<Parameter> parameters{
      {.name = node.path + ".weight",
       .kind = ParameterKind::conv_weight,
       .shape = {node.channels, conv.window.kernel[0], conv.window.kernel[1], group_inputs},
       .fan_in = taps * group_inputs,
       .fan_out = taps * node.channels}};  // PyTorch's fan-out does not divide by the groups
  if (conv.bias) {
    parameters.push_back({.name = node.path + ".bias", .kind = ParameterKind::bias, .shape = {node.channels}});
  }
  return parameters;
}

Forward conv_forward(const OpContext& context, std::vector<TensorId> inputs) {
  const TensorId y = context.tensor("y", context.node.output.with_batch(context.batch));
  std::vector<Operand> operands{{inputs[0]}, {context.parameters[0]}};
  if (attributes_of(context.node).bias) operands.push_back({context.parameters[1]});
  operands.push_back({y, Access::out});
  context.step(Op::conv_forward, Phase::forward, context.node.attributes, std::move(operands));
  return {.output = y, .inputs = std::move(inputs), .kept = {}};
}

std::vector<TensorId> conv_backward(const OpContext& context, const Forward& forward, TensorId dy,
                                    const std::vector<bool>& needed) {
  ConvAttributes conv = attributes_of(context.node);
  const TensorId x = forward.inputs[0];
  // Weights first: afterwards x is not needed any more and its bytes are free for dx.
  if (context.gradients[0].valid()) {
    conv.accumulate = context.accumulate;
    const Access access = conv.accumulate ? Access::inout : Access::out;
    std::vector<Operand> operands{{x}, {dy}, {context.gradients[0], access}};
    if (conv.bias) operands.push_back({context.gradients[1], access});
    context.step(Op::conv_backward_weights, Phase::backward, conv, std::move(operands));
  }
  if (!needed[0]) return {TensorId{}};
  conv.accumulate = false;
  conv.bias = false;
  const TensorId dx = context.tensor("dx", context.builder.program()[x].shape);
  context.step(Op::conv_backward_data, Phase::backward, conv, {{dy}, {context.parameters[0]}, {dx, Access::out}});
  return {dx};
}

}  // namespace

const OpDefinition kConv{conv_shape, conv_parameters, conv_forward, conv_backward};

}  // namespace snug
