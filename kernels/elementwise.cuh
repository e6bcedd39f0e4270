// add, copy, cast, fill, scale_channels: see src/program/op_list.h for what the steps mean.
#pragma once

#include "types.h"

namespace snug::kernels {

/// y = a + b; y may be either.
void add(Data data, const void* a, const void* b, void* y, std::int64_t n, Stream stream);

/// Rows of `width_bytes`, each a pitch behind the one before: a slice of channels in a wider tensor, or packed.
struct PitchedRows {
  std::int64_t rows = 0, width_bytes = 0, from_pitch_bytes = 0, to_pitch_bytes = 0;
};
void copy(const void* x, void* y, const PitchedRows& rows, Stream stream);

/// From any type to any, rounded to nearest even. The flat tensors' segments are cast one by one.
void cast(Data from, Data to, const void* x, void* y, std::int64_t n, Stream stream);

/// y += x, in float.
void add_to(Data from, const void* x, float* y, std::int64_t n, Stream stream);

/// n elements of 1, 2, 4 or 8 bytes, each with these bits.
void fill(void* y, int element_bytes, std::uint64_t bits, std::int64_t n, Stream stream);

/// y = x · s[n, c]
void scale_channels(Data data, const void* x, const void* s, void* y, const Images& images, Stream stream);
/// dx = dy · s and ds = Σ dy · x over an image's pixels; dx may be dy or x.
void scale_channels_backward(Data data, const void* dy, const void* x, const void* s, void* dx, void* ds,
                             const Images& images, Stream stream);

}  // namespace snug::kernels
