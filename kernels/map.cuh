// The skeleton of elementwise kernels: y[i] = function(a[i], b[i]) over flat arrays, which may be one another.
#pragma once

#include <type_traits>

#include "vector.cuh"

namespace snug::kernels {

/// Inputs of one element type; what a function of fewer takes is null.
template <class T>
struct Inputs {
  const T* a = nullptr;
  const T* b = nullptr;
};

template <int V, int Count, class To, class From, class Function>
__global__ void __launch_bounds__(kThreads) map(To* y, Inputs<From> x, std::int64_t n, Function function) {
  const std::int64_t packets = n / V;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * (kThreads * kPacketsPerThread) + threadIdx.x;
  Packet<From, V> a[kPacketsPerThread], b[kPacketsPerThread];
#pragma unroll
  for (int k = 0; k < kPacketsPerThread; ++k) {
    const std::int64_t i = first + k * kThreads;
    if (i >= packets) continue;
    a[k] = fetch<From, V>(x.a + i * V);
    if constexpr (Count > 1) b[k] = fetch<From, V>(x.b + i * V);
  }
#pragma unroll
  for (int k = 0; k < kPacketsPerThread; ++k) {
    const std::int64_t i = first + k * kThreads;
    if (i >= packets) continue;
    Packet<To, V> out;
#pragma unroll
    for (int e = 0; e < V; ++e) {
      if constexpr (Count > 1) {
        out.at[e] = from_float<To>(function(to_float(a[k].at[e]), to_float(b[k].at[e])));
      } else {
        out.at[e] = from_float<To>(function(to_float(a[k].at[e])));
      }
    }
    put(y + i * V, out);
  }
  if (const std::int64_t i = packets * V + threadIdx.x; blockIdx.x == 0 && i < n) {  // fewer than a packet
    if constexpr (Count > 1) {
      y[i] = from_float<To>(function(to_float(x.a[i]), to_float(x.b[i])));
    } else {
      y[i] = from_float<To>(function(to_float(x.a[i])));
    }
  }
}

inline unsigned map_blocks(std::int64_t n, int per_packet) {
  const std::int64_t per_block = static_cast<std::int64_t>(kThreads) * kPacketsPerThread * per_packet;
  return static_cast<unsigned>(n < per_block ? 1 : divide_up(n, per_block));
}

/// Launches map over n elements, 16 bytes of the wider type at a time where all addresses allow that.
template <int Count, class To, class From, class Function>
void launch_map(To* y, const Inputs<From>& x, std::int64_t n, const Function& function, Stream stream) {
  if (n <= 0) return;
  constexpr int kPacket = kWide<std::conditional_t<(sizeof(From) > sizeof(To)), From, To>>;
  if (aligned(y, x.a, x.b)) {
    launch(map<kPacket, Count, To, From, Function>, map_blocks(n, kPacket), kThreads, 0, stream, y, x, n, function);
  } else {
    launch(map<1, Count, To, From, Function>, map_blocks(n, 1), kThreads, 0, stream, y, x, n, function);
  }
}

}  // namespace snug::kernels
