// CUDA's names on the CPU, as far as kernels/ uses them: kernels/cuda.cuh includes this in place of CUDA's headers.
// It needs no toolkit. NOLINTBEGIN(readability-identifier-naming, bugprone-reserved-identifier)
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>

#include "emulator/emulator.h"
#include "emulator/half.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__

using dim3 = emulator::Extent;
struct CUstream_st;
using cudaStream_t = CUstream_st*;

struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(16) float4 {
  float x, y, z, w;
};

struct __nv_bfloat16 {
  std::uint16_t bits;
};
struct __half {
  std::uint16_t bits;
};
inline float __bfloat162float(__nv_bfloat16 x) { return emulator::bf16_to_float(x.bits); }
inline __nv_bfloat16 __float2bfloat16_rn(float x) { return {emulator::float_to_bf16(x)}; }
inline float __half2float(__half x) { return emulator::half_to_float(x.bits); }
inline __half __float2half_rn(float x) { return {emulator::float_to_half(x)}; }

#define threadIdx (::emulator::position.thread)
#define blockIdx (::emulator::position.block)
#define blockDim (::emulator::position.threads)
#define gridDim (::emulator::position.blocks)

inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(std::uint64_t{a} * b >> 32); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }

inline void __syncthreads(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  emulator::barrier({file, line});
}
inline void __syncwarp(unsigned mask = 0xFFFF'FFFFU, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  emulator::warp({.op = emulator::WarpOp::sync, .mask = mask}, {file, line});
}
inline unsigned __ballot_sync(unsigned mask, int predicate, const char* file = __builtin_FILE(),
                              int line = __builtin_LINE()) {
  return static_cast<unsigned>(
      emulator::warp({.op = emulator::WarpOp::ballot, .mask = mask, .value = predicate != 0 ? 1U : 0U}, {file, line}));
}

namespace emulator {

template <class T>
T shuffle(WarpOp op, unsigned mask, T value, unsigned operand, int width, Place place) {
  static_assert(std::is_trivially_copyable_v<T> && (sizeof(T) == 4 || sizeof(T) == 8));
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  const std::uint64_t taken = warp({.op = op,
                                    .mask = mask,
                                    .value = std::bit_cast<Bits>(value),
                                    .operand = operand,
                                    .width = static_cast<unsigned>(width)},
                                   place);
  return std::bit_cast<T>(static_cast<Bits>(taken));
}

}  // namespace emulator

template <class T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32, const char* file = __builtin_FILE(),
              int line = __builtin_LINE()) {
  return emulator::shuffle(emulator::WarpOp::take_from, mask, value, static_cast<unsigned>(lane), width, {file, line});
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned distance, int width = 32, const char* file = __builtin_FILE(),
                   int line = __builtin_LINE()) {
  return emulator::shuffle(emulator::WarpOp::take_above, mask, value, distance, width, {file, line});
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned distance, int width = 32, const char* file = __builtin_FILE(),
                 int line = __builtin_LINE()) {
  return emulator::shuffle(emulator::WarpOp::take_below, mask, value, distance, width, {file, line});
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, const char* file = __builtin_FILE(),
                  int line = __builtin_LINE()) {
  return emulator::shuffle(emulator::WarpOp::take_across, mask, value, static_cast<unsigned>(bits), width,
                           {file, line});
}

/// `SHARED(float[16][64], name);` declares a shared variable.
#define SHARED(type, name)          \
  static const char name##_key = 0; \
  auto& name =                      \
      *static_cast<std::type_identity_t<type>*>(::emulator::shared(&name##_key, sizeof(std::type_identity_t<type>)))

namespace snug::kernels {

template <class T>
T* dynamic_shared() {
  return static_cast<T*>(emulator::dynamic_shared());
}

/// Runs a kernel over a grid, or records that; the only way in which kernels are launched.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes, cudaStream_t /*stream*/,
            const Arguments&... arguments) {
  const std::tuple<Parameters...> values(static_cast<Parameters>(arguments)...);
  const auto run = [=] { emulator::run([&] { std::apply(kernel, values); }, grid, block, shared_bytes); };
  if (!emulator::record(run)) run();
}

}  // namespace snug::kernels
// NOLINTEND(readability-identifier-naming, bugprone-reserved-identifier)
