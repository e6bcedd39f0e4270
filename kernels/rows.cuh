// The skeleton of kernels with a value per channel: a tensor as [rows, channels], cut into tiles by its shape alone.
//
// A block has kThreads threads: `lanes` of them side by side along the channels (a power of two up to 32, so that a
// channel's threads are a stride apart inside a warp), the others on rows below each other. Block (x, y) does channel
// tile x of rows [y · rows_per_part, …).
#pragma once

#include "map.cuh"

namespace snug::kernels {

[[nodiscard]] inline dim3 grid_of(const RowTiles& t) { return {t.tiles, t.parts, 1}; }

/// Where a thread stands in its tiles.
struct RowPlace {
  int channel;              ///< its first
  int lane;                 ///< along the channels
  std::int64_t begin, end;  ///< its rows, `step` apart
  int step;
};

/// `from_the_end`: a second sweep, which begins with the rows that the first one read last and that L2 still has.
template <int V>
__device__ inline RowPlace row_place(const RowTiles& t, bool from_the_end = false) {
  RowPlace p;
  p.lane = static_cast<int>(threadIdx.x) % t.lanes;
  p.channel = (static_cast<int>(blockIdx.x) * t.lanes + p.lane) * V;
  const std::int64_t part =
      static_cast<std::int64_t>(from_the_end ? t.parts - 1 - blockIdx.y : blockIdx.y) * t.rows_per_part;
  p.begin = part + static_cast<int>(threadIdx.x) / t.lanes;
  p.end = part + t.rows_per_part < t.rows ? part + t.rows_per_part : t.rows;
  p.step = kThreads / t.lanes;
  return p;
}

/// Shared memory in which the warps of a block meet: V values of every lane.
template <int V>
using Meeting = float[kThreads / 32][V][32];

/// Adds up `values` of the block's threads with the same lane, in a fixed order. Thread t < lanes · V gets the sum of
/// the tile's channel meeting_channel<V>(lanes).
template <int V>
__device__ inline float add_up_rows(float (&values)[V], int lanes, Meeting<V>& between) {
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  __syncthreads();  // others may still read what was exchanged before
#pragma unroll
  for (int v = 0; v < V; ++v) {
    for (int distance = 16; distance >= lanes; distance /= 2)
      values[v] += __shfl_xor_sync(0xFFFFFFFFU, values[v], distance);
    between[warp][v][lane] = values[v];
  }
  __syncthreads();
  float sum = 0;
  if (static_cast<int>(threadIdx.x) < lanes * V) {
    for (int w = 0; w < kThreads / 32; ++w)
      sum += between[w][static_cast<int>(threadIdx.x) / lanes][static_cast<int>(threadIdx.x) % lanes];
  }
  return sum;
}

/// The channel whose sum this thread got, counted from the tile's first; or one behind the tile.
template <int V>
__device__ inline int meeting_channel(int lanes) {
  const int t = static_cast<int>(threadIdx.x);
  return t < lanes * V ? t % lanes * V + t / lanes : lanes * V;
}

/// The channel of the tensor whose sum this thread got, or -1.
template <int V>
__device__ inline int own_channel(const RowTiles& t) {
  const int in_tile = meeting_channel<V>(t.lanes);
  const int channel = static_cast<int>(blockIdx.x) * t.lanes * V + in_tile;
  return in_tile < t.lanes * V && channel < t.channels ? channel : -1;
}

/// Rows that a thread fetches before it uses the first: enough bytes under way.
inline constexpr int kRowsAtOnce = 4;

}  // namespace snug::kernels
