#include "ops/definitions.h"

namespace snug {

namespace {

std::vector<Parameter> batchnorm_parameters(const Node& node, std::span<const Shape> inputs) {
  const Shape channels{inputs[0].back()};
  return {{.name = node.path + ".weight", .kind = ParameterKind::norm_weight, .shape = channels},
          {.name = node.path + ".bias", .kind = ParameterKind::norm_bias, .shape = channels},
          {.name = node.path + ".running_mean", .kind = ParameterKind::running_mean, .shape = channels},
          {.name = node.path + ".running_var", .kind = ParameterKind::running_var, .shape = channels}};
}

Forward batchnorm_forward(const OpContext& context, std::vector<TensorId> inputs) {
  const auto& [gamma, beta, running_mean, running_var] =
      std::tie(context.parameters[0], context.parameters[1], context.parameters[2], context.parameters[3]);
  const TensorId y = context.tensor("y", context.node.output.with_batch(context.batch));
  if (!context.batch_statistics) {
    context.step(Op::batchnorm_inference, Phase::forward, context.node.attributes,
                 {{inputs[0]}, {gamma}, {beta}, {running_mean}, {running_var}, {y, Access::out}});
    return {.output = y, .inputs = std::move(inputs), .kept = {}};
  }
  const Shape channels{context.node.output.back()};
  const TensorId mean = context.tensor("mean", channels, Role::activation, context.parameter_dtype());
  const TensorId inverse_std = context.tensor("inverse_std", channels, Role::activation, context.parameter_dtype());
  context.step(Op::batchnorm_forward, Phase::forward, context.node.attributes,
               {{inputs[0]},
                {gamma},
                {beta},
                {running_mean, Access::inout},
                {running_var, Access::inout},
                {y, Access::out},
                {mean, Access::out},
                {inverse_std, Access::out}});
  return {.output = y, .inputs = std::move(inputs), .kept = {mean, inverse_std}};
}

std::vector<TensorId> batchnorm_backward(const OpContext& context, const Forward& forward, TensorId dy,
                                         const std::vector<bool>& /*needed*/) {
  BatchNormAttributes attributes = std::get<BatchNormAttributes>(context.node.attributes);
  const TensorId x = forward.inputs[0];
  const TensorId dx = context.tensor("dx", context.builder.program()[x].shape);
  // A frozen layer's sums are needed for dx all the same; they go to scratch tensors.
  const bool trained = context.gradients[0].valid();
  attributes.accumulate = trained && context.accumulate;
  const Access access = attributes.accumulate ? Access::inout : Access::out;
  const Shape channels{context.node.output.back()};
  const auto sums = [&](std::size_t i, std::string_view name) {
    return trained ? context.gradients[i] : context.tensor(name, channels, Role::gradient, context.parameter_dtype());
  };
  const TensorId dgamma = sums(0, "dgamma");
  const TensorId dbeta = sums(1, "dbeta");
  // The output would do as well (op_list.h), but only while no gamma is zero; so the input is what auto keeps.
  const std::vector<Alternative> saved{{Saved::input, x}};
  if (context.batch_statistics) {
    context.step(Op::batchnorm_backward, Phase::backward, attributes,
                 {{dy},
                  {context.parameters[0]},
                  {context.parameters[1]},
                  {forward.kept[0]},
                  {forward.kept[1]},
                  {dx, Access::out},
                  {dgamma, access},
                  {dbeta, access}},
                 saved);
  } else {
    context.step(Op::batchnorm_inference_backward, Phase::backward, attributes,
                 {{dy},
                  {context.parameters[0]},
                  {context.parameters[2]},
                  {context.parameters[3]},
                  {dx, Access::out},
                  {dgamma, access},
                  {dbeta, access}},
                 saved);
  }
  return {dx};
}

}  // namespace

const OpDefinition kBatchNorm{same_shape, batchnorm_parameters, batchnorm_forward, batchnorm_backward};

}  // namespace snug
