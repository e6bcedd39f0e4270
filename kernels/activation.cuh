// y = f(x) and dx = dy · f'(x), elementwise; in place allowed.
#pragma once

#include "types.h"

namespace snug::kernels {

void activation_forward(Data data, Activation kind, const void* x, void* y, std::int64_t n, Stream stream);

/// `saved` is the input of the forward step, or its output (`from_output`; not for silu and gelu).
void activation_backward(Data data, Activation kind, bool from_output, const void* dy, const void* saved, void* dx,
                         std::int64_t n, Stream stream);

}  // namespace snug::kernels
