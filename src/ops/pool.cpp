#include <fmt/format.h>

#include "base/ensure.h"
#include "ops/definitions.h"

namespace snug {

namespace {

ShapeResult maxpool_shape(const Node& node, std::span<const Shape> inputs) {
  const Window& window = std::get<PoolAttributes>(node.attributes).window;
  const std::int64_t taps = window.kernel[0] * window.kernel[1];
  if (taps > 255) {  // the place of the maximum is kept in one byte
    return ShapeProblem{fmt::format("maxpool of {}×{} has {} pixels, at most 255 are possible", window.kernel[0],
                                    window.kernel[1], taps),
                        "maxpool = 15"};
  }
  return window_shape(window, inputs[0], inputs[0].back(), "maxpool");
}

ShapeResult avgpool_shape(const Node& node, std::span<const Shape> inputs) {
  return window_shape(std::get<PoolAttributes>(node.attributes).window, inputs[0], inputs[0].back(), "avgpool");
}

/// The graph states the wanted size as the node's output; all that can be wrong is the input.
ShapeResult adaptive_shape(const Node& node, std::span<const Shape> inputs) {
  if (inputs[0].rank() != 3) {
    return ShapeProblem{
        fmt::format("average pooling needs height×width×channels, receives {} flat values", to_string(inputs[0])),
        "remove it, or move it before flatten"};
  }
  if (node.output.rank() == 1) return Shape{inputs[0].back()};
  return Shape{node.output[0], node.output[1], inputs[0].back()};
}

Forward maxpool_forward(const OpContext& context, std::vector<TensorId> inputs) {
  const Shape output = context.node.output.with_batch(context.batch);
  const TensorId y = context.tensor("y", output);
  const TensorId index = context.tensor("index", output, Role::activation, DType::u8);
  context.step(Op::maxpool_forward, Phase::forward, context.node.attributes,
               {{inputs[0]}, {y, Access::out}, {index, Access::out}});
  return {.output = y, .inputs = std::move(inputs), .kept = {index}};
}

std::vector<TensorId> maxpool_backward(const OpContext& context, const Forward& forward, TensorId dy,
                                       const std::vector<bool>& /*needed*/) {
  const TensorId dx = context.tensor("dx", context.builder.program()[forward.inputs[0]].shape);
  context.step(Op::maxpool_backward, Phase::backward, context.node.attributes,
               {{dy}, {forward.kept[0]}, {dx, Access::out}});
  return {dx};
}

Forward avgpool_forward(const OpContext& context, std::vector<TensorId> inputs) {
  const TensorId y = context.tensor("y", context.node.output.with_batch(context.batch));
  context.step(Op::avgpool_forward, Phase::forward, context.node.attributes, {{inputs[0]}, {y, Access::out}});
  return {.output = y, .inputs = std::move(inputs), .kept = {}};
}

std::vector<TensorId> avgpool_backward(const OpContext& context, const Forward& forward, TensorId dy,
                                       const std::vector<bool>& /*needed*/) {
  const TensorId dx = context.tensor("dx", context.builder.program()[forward.inputs[0]].shape);
  context.step(Op::avgpool_backward, Phase::backward, context.node.attributes, {{dy}, {dx, Access::out}});
  return {dx};
}

/// Kernels see [n, 1, 1, c]; a global pool hands on the same bytes as [n, c].
Shape pooled_image(const OpContext& context) {
  const Shape& output = context.node.output;
  return output.rank() == 3 ? output.with_batch(context.batch) : Shape{context.batch, 1, 1, output.back()};
}

TensorId view_as(const OpContext& context, TensorId tensor, const Shape& shape, std::string_view purpose) {
  const TensorInfo info = context.builder.program()[tensor];
  return context.builder.add_view({.name = context.node.path + ":" + std::string(purpose) + context.suffix,
                                   .shape = shape,
                                   .dtype = info.dtype,
                                   .role = info.role,
                                   .layer = context.layer},
                                  info.view.storage, info.view.offset_bytes);
}

Forward adaptive_forward(const OpContext& context, std::vector<TensorId> inputs) {
  const Shape image = pooled_image(context);
  TensorId y = context.tensor("y", image);
  context.step(Op::adaptive_avgpool_forward, Phase::forward, NoAttributes{}, {{inputs[0]}, {y, Access::out}});
  if (context.node.output.rank() == 1) y = view_as(context, y, {context.batch, image.back()}, "flat");
  return {.output = y, .inputs = std::move(inputs), .kept = {}};
}

std::vector<TensorId> adaptive_backward(const OpContext& context, const Forward& forward, TensorId dy,
                                        const std::vector<bool>& /*needed*/) {
  if (context.node.output.rank() == 1) dy = view_as(context, dy, pooled_image(context), "dy.image");
  const TensorId dx = context.tensor("dx", context.builder.program()[forward.inputs[0]].shape);
  context.step(Op::adaptive_avgpool_backward, Phase::backward, NoAttributes{}, {{dy}, {dx, Access::out}});
  return {dx};
}

ShapeResult flatten_shape(const Node& /*node*/, std::span<const Shape> inputs) { return Shape{inputs[0].elements()}; }

Forward flatten_forward(const OpContext& context, std::vector<TensorId> inputs) {
  ensure(is_packed(context.builder.program()[inputs[0]]), "flatten needs a packed input");
  const TensorId y = view_as(context, inputs[0], context.node.output.with_batch(context.batch), "y");
  return {.output = y, .inputs = std::move(inputs), .kept = {}};
}

std::vector<TensorId> flatten_backward(const OpContext& context, const Forward& forward, TensorId dy,
                                       const std::vector<bool>& /*needed*/) {
  return {view_as(context, dy, context.builder.program()[forward.inputs[0]].shape, "dx")};
}

}  // namespace

const OpDefinition kMaxPool{maxpool_shape, no_parameters, maxpool_forward, maxpool_backward};
const OpDefinition kAveragePool{avgpool_shape, no_parameters, avgpool_forward, avgpool_backward};
const OpDefinition kAdaptiveAveragePool{adaptive_shape, no_parameters, adaptive_forward, adaptive_backward};
const OpDefinition kFlatten{flatten_shape, no_parameters, flatten_forward, flatten_backward};

}  // namespace snug
