// Softmax over the last axis: rows of `channels`. In place allowed.
#pragma once

#include "types.h"

namespace snug::kernels {

void softmax_forward(Data data, const void* x, void* y, std::int64_t rows, int channels, Stream stream);
void softmax_backward(Data data, const void* dy, const void* y, void* dx, std::int64_t rows, int channels,
                      Stream stream);

}  // namespace snug::kernels
