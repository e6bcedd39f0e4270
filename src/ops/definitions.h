// The list of ops: one definition a file.
#pragma once

#include <optional>

#include "ops/op.h"

namespace snug {

extern const OpDefinition kConv, kDense, kBatchNorm, kActivation, kSoftmax, kMaxPool, kAveragePool,
    kAdaptiveAveragePool, kFlatten, kDropout, kAdd, kConcat, kScaleChannels;

/// The parameter rule of ops without parameters.
[[nodiscard]] std::vector<Parameter> no_parameters(const Node& node, std::span<const Shape> inputs);
/// The shape rule of elementwise ops.
[[nodiscard]] ShapeResult same_shape(const Node& node, std::span<const Shape> inputs);
/// Output of a window op with `channels` outputs, or why the window does not fit the image.
[[nodiscard]] ShapeResult window_shape(const Window& window, const Shape& input, std::int64_t channels,
                                       std::string_view what);

}  // namespace snug
