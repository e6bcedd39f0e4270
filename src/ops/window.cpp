#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "ops/definitions.h"

namespace snug {

std::vector<Parameter> no_parameters(const Node& /*node*/, std::span<const Shape> /*inputs*/) { return {}; }

ShapeResult same_shape(const Node& /*node*/, std::span<const Shape> inputs) { return inputs[0]; }

ShapeResult window_shape(const Window& window, const Shape& input, std::int64_t channels, std::string_view what) {
  if (input.rank() != 3) {
    return ShapeProblem{fmt::format("{} needs height×width×channels, receives {} flat values", what, to_string(input)),
                        "move it before flatten or global_avgpool"};
  }
  std::array<std::int64_t, 2> output{};
  for (std::size_t axis = 0; axis < 2; ++axis) {
    output[axis] = window_extent(window, static_cast<int>(axis), input[static_cast<int>(axis)]);
    if (output[axis] > 0) continue;
    const std::int64_t padded = input[static_cast<int>(axis)] + window.pad_begin[axis] + window.pad_end[axis];
    const std::int64_t reach = window.dilation[axis] * (window.kernel[axis] - 1) + 1;
    const std::int64_t largest = std::max<std::int64_t>(1, (padded - 1) / window.dilation[axis] + 1);
    return ShapeProblem{
        fmt::format("{} of {}×{} reaches over {} pixels, its input of {} has {} {}", what, window.kernel[0],
                    window.kernel[1], reach, to_string(input), padded, axis == 0 ? "rows" : "columns"),
        what == "kernel" ? fmt::format("kernel = {}   # the largest that fits, or padding = \"same\"", largest)
                         : fmt::format("{} = {}   # the largest that fits", what, largest)};
  }
  return Shape{output[0], output[1], channels};
}

}  // namespace snug
