// 1×1 convolutions and dense layers in bf16 on tensor cores (sm_80), with what cuDNN cannot fuse in bf16: the moments
// of the output for the batch normalization behind it.
#pragma once

#include "batchnorm.cuh"
#include "types.h"

namespace snug::kernels {

/// x [rows, channels], w [filters, channels], y [rows, filters].
struct Conv1x1 {
  std::int64_t rows = 0;
  int channels = 0, filters = 0;
};

/// Whether these kernels can do it: widths are multiples of 8, and every address (null ones aside) of 16 bytes.
[[nodiscard]] bool conv1x1_possible(const Conv1x1& conv, const void* a, const void* b, const void* c);

/// Bytes of the moments that conv1x1_forward leaves.
[[nodiscard]] std::int64_t conv1x1_moments_bytes(const Conv1x1& conv);
/// y = activation(x · wᵀ [+ bias]); the activation is none, relu, relu6 or leaky_relu. With `moments` (and neither bias
/// nor activation) it also measures y, before it is rounded.
void conv1x1_forward(const Conv1x1& conv, const void* x, const void* w, const float* bias, Activation kind, void* y,
                     float* moments, Stream stream);
/// Mean and inverse_std from the moments, and the running values: then batchnorm_apply normalises y.
void conv1x1_statistics(const Conv1x1& conv, const float* moments, const BatchNorm& norm, float* running_mean,
                        float* running_var, float* mean, float* inverse_std, Stream stream);

/// dx = dy · w
void conv1x1_backward_data(const Conv1x1& conv, const void* dy, const void* w, void* dx, Stream stream);

[[nodiscard]] std::int64_t conv1x1_backward_weights_workspace_bytes(const Conv1x1& conv);
/// dw (float, added to with `accumulate`) = dyᵀ · x
void conv1x1_backward_weights(const Conv1x1& conv, const void* x, const void* dy, float* dw, bool accumulate,
                              void* workspace, Stream stream);

}  // namespace snug::kernels
