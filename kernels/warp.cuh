// Sums and maxima of a warp, for kernels with a warp per row. Every lane gets the same bits.
#pragma once

#include "map.cuh"

namespace snug::kernels {

inline constexpr unsigned kAllLanes = 0xFFFFFFFFU;
inline constexpr int kWarps = kThreads / 32;

template <class Number>
__device__ inline Number warp_sum(Number value) {
  for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(kAllLanes, value, distance);
  return value;
}

/// NaN if any is.
__device__ inline float warp_largest(float value) {
  for (int distance = 16; distance > 0; distance /= 2) {
    const float other = __shfl_xor_sync(kAllLanes, value, distance);
    value = other > value || is_nan(other) ? other : value;
  }
  return value;
}

__device__ inline int lane_number() { return static_cast<int>(threadIdx.x) % 32; }
/// The row of this warp, of all warps of the grid.
__device__ inline std::int64_t warp_row() {
  return static_cast<std::int64_t>(blockIdx.x) * kWarps + static_cast<int>(threadIdx.x) / 32;
}
inline unsigned warp_blocks(std::int64_t rows) { return static_cast<unsigned>(divide_up(rows, std::int64_t{kWarps})); }

/// Σ over the block's threads, in a fixed order; the first thread gets it.
__device__ inline double block_sum(double value, double (&between)[kWarps]) {
  value = warp_sum(value);
  __syncthreads();
  if (lane_number() == 0) between[static_cast<int>(threadIdx.x) / 32] = value;
  __syncthreads();
  double sum = 0;
  if (threadIdx.x == 0) {
    for (const double part : between) sum += part;
  }
  return sum;
}

}  // namespace snug::kernels
