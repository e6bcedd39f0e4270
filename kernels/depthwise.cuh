// Depthwise convolutions (one filter per channel), memory-bound: every pixel of the output reads its window through L1.
#pragma once

#include "types.h"

namespace snug::kernels {

/// x [n, h, w, c], w [c, kernel rows, kernel columns, 1], y [n, y_h, y_w, c].
struct Depthwise {
  Data data = Data::f32;
  Images x;
  int y_h = 1, y_w = 1;
  SlidingWindow window;  ///< at most 16 rows of at most 16
};

/// y = activation(x ∗ w [+ bias]); bias may be null.
void depthwise_forward(const Depthwise& conv, const void* x, const void* w, const float* bias, Activation kind, void* y,
                       Stream stream);
void depthwise_backward_data(const Depthwise& conv, const void* dy, const void* w, void* dx, Stream stream);

[[nodiscard]] std::int64_t depthwise_backward_weights_workspace_bytes(const Depthwise& conv);
/// dw is float, added to with `accumulate`.
void depthwise_backward_weights(const Depthwise& conv, const void* x, const void* dy, float* dw, bool accumulate,
                                void* workspace, Stream stream);

}  // namespace snug::kernels
