// Per-channel sums over rows and per-channel additions: bias gradients, and a bias with its activation.
#pragma once

#include "tiles.h"  // bias_gradient_workspace_bytes
#include "types.h"

namespace snug::kernels {

/// y = activation(x + bias[c]); y may be x.
void bias_activation(Data data, Activation kind, const void* x, const float* bias, void* y, std::int64_t rows,
                     int channels, Stream stream);

/// dbias (added to with `accumulate`) = Σ over rows of dy.
void bias_gradient(Data data, const void* dy, float* dbias, bool accumulate, std::int64_t rows, int channels,
                   void* workspace, Stream stream);

}  // namespace snug::kernels
