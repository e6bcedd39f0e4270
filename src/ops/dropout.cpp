#include "ops/definitions.h"

namespace snug {

namespace {

bool drops(const OpContext& context) {
  return context.training && std::get<DropoutAttributes>(context.node.attributes).rate > 0;
}

/// What the numbers are keyed by; see DropoutAttributes.
DropoutAttributes keyed(const OpContext& context) {
  DropoutAttributes attributes = std::get<DropoutAttributes>(context.node.attributes);
  attributes.seed = context.seed;
  attributes.layer = context.layer.value;
  attributes.sample_offset = context.sample_offset;
  return attributes;
}

Forward dropout_forward(const OpContext& context, std::vector<TensorId> inputs) {
  if (!drops(context)) {
    const TensorId x = inputs[0];
    return {.output = x, .inputs = std::move(inputs), .kept = {}};
  }
  const TensorId y = context.tensor("y", context.node.output.with_batch(context.batch));
  context.step(Op::dropout_forward, Phase::forward, keyed(context), {{inputs[0]}, {context.control}, {y, Access::out}});
  return {.output = y, .inputs = std::move(inputs), .kept = {}};
}

std::vector<TensorId> dropout_backward(const OpContext& context, const Forward& /*forward*/, TensorId dy,
                                       const std::vector<bool>& /*needed*/) {
  if (!drops(context)) return {dy};
  const TensorId dx = context.tensor("dx", context.builder.program()[dy].shape);
  context.step(Op::dropout_backward, Phase::backward, keyed(context), {{dy}, {context.control}, {dx, Access::out}});
  return {dx};
}

}  // namespace

const OpDefinition kDropout{same_shape, no_parameters, dropout_forward, dropout_backward};

}  // namespace snug
