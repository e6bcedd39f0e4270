// Padding as it is written, resolved to pixels for one input.
#pragma once

#include "base/shape.h"
#include "program/attributes.h"
#include "snug/config.h"

namespace snug {

/// A window as a layer writes it.
struct WrittenWindow {
  Extent2 kernel{1, 1}, stride{1, 1}, dilation{1, 1};
  Padding padding;
  bool ceil = false;  ///< pools: the output is rounded up as in PyTorch
};

/// `padding = "same"` gives ceil(in ÷ stride) outputs, the odd pixel at the bottom and right; a number pads both sides.
/// With `ceil` the window may reach past the bottom and right, but it starts inside the input or its leading padding.
/// `input` is [h, w, c].
[[nodiscard]] Window resolve_window(const WrittenWindow& written, const Shape& input);

}  // namespace snug
