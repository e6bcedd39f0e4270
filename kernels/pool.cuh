// Pooling, forward and backward. Backward gathers: every input pixel adds up the windows that it lies in, in a fixed
// order and without atomics.
#pragma once

#include "types.h"

namespace snug::kernels {

/// x [n, h, w, c] and y [n, y_h, y_w, c].
struct Pool {
  Data data = Data::f32;
  Images x;
  int y_h = 1, y_w = 1;
  SlidingWindow window;
};

/// `index`: place of the largest in its window, row · kernel width + column; NaN counts as larger than any number.
void maxpool_forward(const Pool& pool, const void* x, void* y, std::uint8_t* index, Stream stream);
void maxpool_backward(const Pool& pool, const void* dy, const std::uint8_t* index, void* dx, Stream stream);

/// Divided by the pixels inside the image.
void avgpool_forward(const Pool& pool, const void* x, void* y, Stream stream);
void avgpool_backward(const Pool& pool, const void* dy, void* dx, Stream stream);

/// Cell i averages rows [⌊i · h ÷ y_h⌋, ⌈(i + 1) · h ÷ y_h⌉), columns likewise; the window is not used.
void adaptive_avgpool_forward(const Pool& pool, const void* x, void* y, Stream stream);
void adaptive_avgpool_backward(const Pool& pool, const void* dy, void* dx, Stream stream);

}  // namespace snug::kernels
