#include <fmt/format.h>

#include "ops/definitions.h"

namespace snug {

namespace {

ShapeResult add_shape(const Node& /*node*/, std::span<const Shape> inputs) {
  if (inputs[0] == inputs[1]) return inputs[0];
  std::string fix = "make both sides end in the same height and width";
  if (inputs[0].rank() == 3 && inputs[1].rank() == 3 && inputs[0][0] > 0) {
    const std::int64_t stride = std::max<std::int64_t>(1, (inputs[1][0] + inputs[0][0] - 1) / inputs[0][0]);
    fix = fmt::format("shortcut = [ {{ conv = {}, kernel = 1, stride = {}, norm = \"batch\" }} ]", inputs[0].back(),
                      stride);
  }
  return ShapeProblem{fmt::format("the body gives {}, the shortcut {}: a sum needs equal shapes", to_string(inputs[0]),
                                  to_string(inputs[1])),
                      fix};
}

Forward add_forward(const OpContext& context, std::vector<TensorId> inputs) {
  const TensorId y = context.tensor("y", context.node.output.with_batch(context.batch));
  context.step(Op::add, Phase::forward, NoAttributes{}, {{inputs[0]}, {inputs[1]}, {y, Access::out}});
  return {.output = y, .inputs = std::move(inputs), .kept = {}};
}

std::vector<TensorId> add_backward(const OpContext& /*context*/, const Forward& /*forward*/, TensorId dy,
                                   const std::vector<bool>& needed) {
  return {needed[0] ? dy : TensorId{}, needed[1] ? dy : TensorId{}};
}

ShapeResult concat_shape(const Node& /*node*/, std::span<const Shape> inputs) {
  Shape joined = inputs[0];
  for (const Shape& input : inputs) {
    const bool flat = input.rank() == 1 && joined.rank() == 1;
    const bool image = input.rank() == 3 && joined.rank() == 3 && input[0] == joined[0] && input[1] == joined[1];
    if (!flat && !image) {
      return ShapeProblem{fmt::format("branches end in {} and {}: joining by channels needs equal height and width",
                                      to_string(inputs[0]), to_string(input)),
                          "give every branch the same strides, and padding = \"same\""};
    }
  }
  std::int64_t channels = 0;
  for (const Shape& input : inputs) channels += input.back();
  joined[joined.rank() - 1] = channels;
  return joined;
}

Forward concat_forward(const OpContext& context, std::vector<TensorId> inputs) {
  const TensorId y = context.tensor("y", context.node.output.with_batch(context.batch));
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::int64_t channels = context.builder.program()[inputs[i]].shape.back();
    const TensorId slice = context.builder.add_channel_slice(
        y, begin, channels, fmt::format("{}:y[{}]{}", context.node.path, i, context.suffix));
    context.step(Op::copy, Phase::forward, NoAttributes{}, {{inputs[i]}, {slice, Access::out}});
    begin += channels;
  }
  return {.output = y, .inputs = std::move(inputs), .kept = {}};
}

std::vector<TensorId> concat_backward(const OpContext& context, const Forward& forward, TensorId dy,
                                      const std::vector<bool>& needed) {
  std::vector<TensorId> gradients(forward.inputs.size());
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < forward.inputs.size(); ++i) {
    const Shape shape = context.builder.program()[forward.inputs[i]].shape;
    if (needed[i]) {
      const TensorId slice = context.builder.add_channel_slice(
          dy, begin, shape.back(), fmt::format("{}:dy[{}]{}", context.node.path, i, context.suffix));
      gradients[i] = context.tensor(fmt::format("dx[{}]", i), shape);
      context.step(Op::copy, Phase::backward, NoAttributes{}, {{slice}, {gradients[i], Access::out}});
    }
    begin += shape.back();
  }
  return gradients;
}

ShapeResult scale_shape(const Node& /*node*/, std::span<const Shape> inputs) { return inputs[0]; }

Forward scale_forward(const OpContext& context, std::vector<TensorId> inputs) {
  const TensorId y = context.tensor("y", context.node.output.with_batch(context.batch));
  context.step(Op::scale_channels, Phase::forward, NoAttributes{}, {{inputs[0]}, {inputs[1]}, {y, Access::out}});
  return {.output = y, .inputs = std::move(inputs), .kept = {}};
}

std::vector<TensorId> scale_backward(const OpContext& context, const Forward& forward, TensorId dy,
                                     const std::vector<bool>& /*needed*/) {
  const TensorId dx = context.tensor("dx", context.builder.program()[forward.inputs[0]].shape);
  const TensorId ds = context.tensor("ds", context.builder.program()[forward.inputs[1]].shape);
  context.step(Op::scale_channels_backward, Phase::backward, NoAttributes{},
               {{dy}, {forward.inputs[0]}, {forward.inputs[1]}, {dx, Access::out}, {ds, Access::out}});
  return {dx, ds};
}

}  // namespace

const OpDefinition kAdd{add_shape, no_parameters, add_forward, add_backward};
const OpDefinition kConcat{concat_shape, no_parameters, concat_forward, concat_backward};
const OpDefinition kScaleChannels{scale_shape, no_parameters, scale_forward, scale_backward};

}  // namespace snug
