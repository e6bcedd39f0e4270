// What launchers take. Plain C++: a backend includes this and the ops' .cuh files without CUDA's headers.
#pragma once

#include <cstdint>

struct CUstream_st;

namespace snug::kernels {

using Stream = CUstream_st*;  ///< cudaStream_t

/// How the elements of activations are stored. Parameters, statistics and sums are float whatever this is.
enum class Data : std::uint8_t { f32, bf16, f16 };

/// leaky_relu has slope 0.01, gelu is exact (erf).
enum class Activation : std::uint8_t { none, relu, relu6, leaky_relu, silu, gelu, sigmoid, tanh };

/// Images [n, h, w, c], packed.
struct Images {
  std::int64_t n = 1;
  int h = 1, w = 1, c = 1;
};

/// A sliding window: rows, columns. Padding is that before the image; what lies behind follows from the output's size.
struct SlidingWindow {
  int kernel[2] = {1, 1}, stride[2] = {1, 1}, dilation[2] = {1, 1}, pad[2] = {0, 0};
};

}  // namespace snug::kernels
