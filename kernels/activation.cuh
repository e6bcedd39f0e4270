// y = f(x) and dx = dy · f'(x), elementwise; in place allowed.
#pragma once

#include "types.h"

namespace snug::kernels {

void activation_forward(Data data, Activation kind, const void* x, void* y, std::int64_t n, Stream stream);

/// `saved` is the input of the forward step, or its output (`from_output`; not for silu and gelu).
void activation_backward(Data data, Activation kind, bool from_output, const void* dy, const void* saved, void* dx,
                         std::int64_t n, Stream stream);

/// Rows of channels, each a pitch (in elements) behind the one before: slices of wider tensors.
struct SliceRows {
  std::int64_t rows = 0;
  int channels = 0;
  std::int64_t dy_pitch = 0, saved_pitch = 0, dx_pitch = 0;
};
/// activation_backward where an operand is a slice of channels.
void activation_backward_slices(Data data, Activation kind, bool from_output, const void* dy, const void* saved,
                                void* dx, const SliceRows& rows, Stream stream);

}  // namespace snug::kernels
