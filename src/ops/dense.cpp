#include <fmt/format.h>

#include "ops/definitions.h"

namespace snug {

namespace {

const DenseAttributes& attributes_of(const Node& node) { return std::get<DenseAttributes>(node.attributes); }

ShapeResult dense_shape(const Node& node, std::span<const Shape> inputs) {
  if (inputs[0].rank() != 1) {
    return ShapeProblem{
        fmt::format("dense needs flat values, receives {} (height×width×channels)", to_string(inputs[0])),
        "{ global_avgpool = true },   # or { flatten = true }, before the dense layer"};
  }
  return Shape{node.channels};
}

std::vector<Parameter> dense_parameters(const Node& node, std::span<const Shape> inputs) {
  const std::int64_t width = inputs[0].back();
  std::vector<Parameter> parameters{{.name = node.path + ".weight",
                                     .kind = ParameterKind::dense_weight,
                                     .shape = {node.channels, width},
                                     .fan_in = width,
                                     .fan_out = node.channels}};
  if (attributes_of(node).bias) {
    parameters.push_back({.name = node.path + ".bias", .kind = ParameterKind::bias, .shape = {node.channels}});
  }
  return parameters;
}

Forward dense_forward(const OpContext& context, std::vector<TensorId> inputs) {
  const TensorId y = context.tensor("y", context.node.output.with_batch(context.batch));
  std::vector<Operand> operands{{inputs[0]}, {context.parameters[0]}};
  if (attributes_of(context.node).bias) operands.push_back({context.parameters[1]});
  operands.push_back({y, Access::out});
  context.step(Op::dense_forward, Phase::forward, context.node.attributes, std::move(operands));
  return {.output = y, .inputs = std::move(inputs), .kept = {}};
}

std::vector<TensorId> dense_backward(const OpContext& context, const Forward& forward, TensorId dy,
                                     const std::vector<bool>& needed) {
  DenseAttributes dense = attributes_of(context.node);
  const TensorId x = forward.inputs[0];
  if (context.gradients[0].valid()) {
    dense.accumulate = context.accumulate;
    const Access access = dense.accumulate ? Access::inout : Access::out;
    std::vector<Operand> operands{{x}, {dy}, {context.gradients[0], access}};
    if (dense.bias) operands.push_back({context.gradients[1], access});
    context.step(Op::dense_backward_weights, Phase::backward, dense, std::move(operands));
  }
  if (!needed[0]) return {TensorId{}};
  dense = {};
  const TensorId dx = context.tensor("dx", context.builder.program()[x].shape);
  context.step(Op::dense_backward_data, Phase::backward, dense, {{dy}, {context.parameters[0]}, {dx, Access::out}});
  return {dx};
}

}  // namespace

const OpDefinition kDense{dense_shape, dense_parameters, dense_forward, dense_backward};

}  // namespace snug
