// 1×1 convolutions and dense layers in bf16 on tensor cores (sm_80), with what cuDNN cannot fuse in bf16: the norm and
// the activation before the convolution, the statistics of the norm behind it, and in the data gradient the slope of
// that activation and the sums of that norm's backward step. Any address will do; multiples of 16 bytes are faster.
#pragma once

#include "tiles.h"  // workspaces
#include "types.h"

namespace snug::kernels {

/// x [rows, channels], w [filters, channels], y [rows, filters].
struct Conv1x1 {
  std::int64_t rows = 0;
  int channels = 0, filters = 0;
  std::int64_t x_pitch = 0;  ///< elements from row to row of x, where it is a slice of channels; 0: packed
};

/// Whether these kernels can do it: widths are multiples of 8.
[[nodiscard]] bool conv1x1_possible(int channels, int filters);

/// What x goes through before the convolution: activation((x − mean) · inverse_std · gamma + beta), rounded to bf16;
/// the activation is none, relu, relu6 or leaky_relu. Without gamma x is taken as it is.
struct Conv1x1Norm {
  const float *gamma = nullptr, *beta = nullptr, *mean = nullptr, *inverse_std = nullptr;
  Activation activation = Activation::none;
};

/// Mean and inverse_std of the convolution's output, before it is rounded; the running values are moved.
struct Conv1x1Statistics {
  float *running_mean = nullptr, *running_var = nullptr, *mean = nullptr, *inverse_std = nullptr;
  double epsilon = 1e-5, momentum = 0.1;
};

/// y = activation(norm(x) · wᵀ [+ bias]); the activation is none, relu, relu6 or leaky_relu. With `statistics` there is
/// neither bias nor activation, and a workspace (conv1x1_sums_workspace_bytes of the filters).
struct Conv1x1Forward {
  const void *x = nullptr, *w = nullptr;
  Conv1x1Norm norm{};
  const float* bias = nullptr;
  Activation activation = Activation::none;
  void* y = nullptr;
  const Conv1x1Statistics* statistics = nullptr;
};
void conv1x1_forward(const Conv1x1& conv, const Conv1x1Forward& f, void* workspace, Stream stream);

/// dx = dy · w
void conv1x1_backward_data(const Conv1x1& conv, const void* dy, const void* w, void* dx, Stream stream);

/// The data gradient through the activation before the convolution: g = (dy · w [+ addend]) · slope, and its sums for
/// the norm before that: Σ g and Σ g · (x − mean), [2][channels]. x is the norm's input. The slope is taken from y, the
/// activation's output, where it is given, and else from the norm of x. g may be addend.
struct Conv1x1GradientSums {
  const void *dy = nullptr, *w = nullptr, *addend = nullptr, *x = nullptr, *y = nullptr;
  Conv1x1Norm norm{};
  void* g = nullptr;
  float* sums = nullptr;
};
/// The workspace is conv1x1_sums_workspace_bytes of the channels.
void conv1x1_backward_data_sums(const Conv1x1& conv, const Conv1x1GradientSums& g, void* workspace, Stream stream);

/// dw (float, added to with `accumulate`) = dyᵀ · norm(x); the workspace is conv1x1_backward_weights_workspace_bytes.
void conv1x1_backward_weights(const Conv1x1& conv, const void* x, const Conv1x1Norm& norm, const void* dy, float* dw,
                              bool accumulate, void* workspace, Stream stream);

}  // namespace snug::kernels
