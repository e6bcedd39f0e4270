#include "ops/definitions.h"

namespace snug {

namespace {

/// Whether the derivative is a function of the output (exactly, and without dividing).
bool output_suffices(ActivationFunction function) {
  switch (function) {
    case ActivationFunction::relu:
    case ActivationFunction::relu6:
    case ActivationFunction::leaky_relu:
    case ActivationFunction::sigmoid:
    case ActivationFunction::tanh: return true;
    case ActivationFunction::silu:
    case ActivationFunction::gelu: return false;
  }
  return false;
}

Forward activation_forward(const OpContext& context, std::vector<TensorId> inputs) {
  const TensorId y = context.tensor("y", context.node.output.with_batch(context.batch));
  context.step(Op::activation_forward, Phase::forward, context.node.attributes, {{inputs[0]}, {y, Access::out}});
  return {.output = y, .inputs = std::move(inputs), .kept = {}};
}

std::vector<TensorId> activation_backward(const OpContext& context, const Forward& forward, TensorId dy,
                                          const std::vector<bool>& /*needed*/) {
  const TensorId dx = context.tensor("dx", context.builder.program()[dy].shape);
  std::vector<Alternative> saved;
  if (output_suffices(std::get<ActivationAttributes>(context.node.attributes).function)) {
    saved.push_back({Saved::output, forward.output});
  }
  saved.push_back({Saved::input, forward.inputs[0]});
  context.step(Op::activation_backward, Phase::backward, context.node.attributes, {{dy}, {dx, Access::out}},
               std::move(saved));
  return {dx};
}

Forward softmax_forward(const OpContext& context, std::vector<TensorId> inputs) {
  const TensorId y = context.tensor("y", context.node.output.with_batch(context.batch));
  context.step(Op::softmax_forward, Phase::forward, NoAttributes{}, {{inputs[0]}, {y, Access::out}});
  return {.output = y, .inputs = std::move(inputs), .kept = {}};
}

std::vector<TensorId> softmax_backward(const OpContext& context, const Forward& forward, TensorId dy,
                                       const std::vector<bool>& /*needed*/) {
  const TensorId dx = context.tensor("dx", context.builder.program()[dy].shape);
  context.step(Op::softmax_backward, Phase::backward, NoAttributes{}, {{dy}, {forward.output}, {dx, Access::out}});
  return {dx};
}

}  // namespace

const OpDefinition kActivation{same_shape, no_parameters, activation_forward, activation_backward};
const OpDefinition kSoftmax{same_shape, no_parameters, softmax_forward, softmax_backward};

}  // namespace snug
