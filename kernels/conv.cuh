// Convolutions of any shape, without a library: the fallback where cuDNN has nothing, and what tests use in its place.
// Plain tiles in shared memory, in float whatever the data; dense layers are convolutions of one pixel.
#pragma once

#include "types.h"

namespace snug::kernels {

/// x [n, h, w, c], w [filters, kernel rows, kernel columns, c ÷ groups], y [n, y_h, y_w, filters].
struct Convolution {
  Data data = Data::f32;
  Images x;
  int y_h = 1, y_w = 1, filters = 1, groups = 1;
  SlidingWindow window;
};

/// y = activation(x ∗ w [+ bias]); bias may be null; the activation is none, relu, relu6 or leaky_relu.
void conv_forward(const Convolution& conv, const void* x, const void* w, const float* bias, Activation kind, void* y,
                  Stream stream);
void conv_backward_data(const Convolution& conv, const void* dy, const void* w, void* dx, Stream stream);

[[nodiscard]] std::int64_t conv_backward_weights_workspace_bytes(const Convolution& conv);
/// dw is float, added to with `accumulate`.
void conv_backward_weights(const Convolution& conv, const void* x, const void* dy, float* dw, bool accumulate,
                           void* workspace, Stream stream);

}  // namespace snug::kernels
