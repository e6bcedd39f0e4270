#include "graph/windows.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace snug {

namespace {

struct AxisPadding {
  std::int64_t begin = 0, end = 0;
};

/// Pixels of the dilated kernel along one axis.
std::int64_t reach(const WrittenWindow& written, std::size_t axis) {
  return written.dilation[axis] * (written.kernel[axis] - 1) + 1;
}

AxisPadding same_padding(std::int64_t input, std::int64_t stride, std::int64_t reach) {
  const std::int64_t outputs = (input + stride - 1) / stride;
  const std::int64_t total = std::max<std::int64_t>(0, (outputs - 1) * stride + reach - input);
  return {.begin = total / 2, .end = total - total / 2};
}

/// Widens `end` so that the floor rule gives PyTorch's rounded-up number of outputs.
AxisPadding ceil_padding(AxisPadding padding, std::int64_t input, std::int64_t stride, std::int64_t reach) {
  const std::int64_t room = input + padding.begin + padding.end - reach + stride - 1;
  if (room < 0) return padding;  // no window at all: the shape rule says so
  std::int64_t outputs = room / stride + 1;
  if ((outputs - 1) * stride >= input + padding.begin) --outputs;
  padding.end = std::max(padding.end, (outputs - 1) * stride + reach - input - padding.begin);
  return padding;
}

}  // namespace

Window resolve_window(const WrittenWindow& written, const Shape& input) {
  Window window{.kernel = written.kernel, .stride = written.stride, .dilation = written.dilation};
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const std::int64_t extent = input[static_cast<int>(axis)];
    AxisPadding padding;
    switch (written.padding.kind) {
      case Padding::Kind::valid: break;
      case Padding::Kind::same: padding = same_padding(extent, written.stride[axis], reach(written, axis)); break;
      case Padding::Kind::number: padding = {written.padding.pixels[axis], written.padding.pixels[axis]}; break;
    }
    if (written.ceil) padding = ceil_padding(padding, extent, written.stride[axis], reach(written, axis));
    window.pad_begin[axis] = padding.begin;
    window.pad_end[axis] = padding.end;
  }
  return window;
}

}  // namespace snug
