// Elements as they lie in memory, 16 bytes at a time where a launcher found that this can be done.
//
// A packet is V elements of T: one, or as many as 16 bytes hold. Kernels fetch packets, compute in float, and put them.
#pragma once

#include <cfloat>

#include "cuda.cuh"
#include "tiles.h"
#include "types.h"

namespace snug::kernels {

using Bf16 = __nv_bfloat16;
using Half = __half;

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(Bf16 x) { return __bfloat162float(x); }
__device__ inline float to_float(Half x) { return __half2float(x); }
__device__ inline float to_float(std::uint8_t x) { return static_cast<float>(x); }

template <class T>
__device__ inline T from_float(float x);
template <>
__device__ inline float from_float<float>(float x) {
  return x;
}
template <>
__device__ inline Bf16 from_float<Bf16>(float x) {
  return __float2bfloat16_rn(x);
}
template <>
__device__ inline Half from_float<Half>(float x) {
  return __float2half_rn(x);
}

__device__ inline bool is_nan(float x) { return x != x; }
__device__ inline bool is_finite(float x) { return fabsf(x) <= FLT_MAX; }
__device__ inline bool is_finite(double x) { return fabs(x) <= DBL_MAX; }

/// Elements of a 16-byte access.
template <class T>
inline constexpr int kWide = 16 / static_cast<int>(sizeof(T));

namespace detail {
/// The type that moves so many bytes at once.
template <int Bytes>
struct Word;
template <>
struct Word<1> {
  using Type = std::uint8_t;
};
template <>
struct Word<2> {
  using Type = std::uint16_t;
};
template <>
struct Word<4> {
  using Type = unsigned;
};
template <>
struct Word<8> {
  using Type = uint2;
};
template <>
struct Word<16> {
  using Type = uint4;
};
}  // namespace detail

/// V elements of T as one load or store moves them; V · sizeof(T) is a power of two up to 16.
template <class T, int V>
struct Packet {
  using Word = typename detail::Word<V* static_cast<int>(sizeof(T))>::Type;
  union {
    Word word;
    T at[V];
  };
};

template <class T, int V>
__device__ inline Packet<T, V> fetch(const T* from) {
  Packet<T, V> packet;
  packet.word = *reinterpret_cast<const typename Packet<T, V>::Word*>(from);
  return packet;
}

template <class T, int V>
__device__ inline void put(T* to, const Packet<T, V>& packet) {
  *reinterpret_cast<typename Packet<T, V>::Word*>(to) = packet.word;
}

template <class T, int V>
__device__ inline void unpack(float (&values)[V], const Packet<T, V>& packet) {
#pragma unroll
  for (int i = 0; i < V; ++i) values[i] = to_float(packet.at[i]);
}

template <class T, int V>
__device__ inline Packet<T, V> pack(const float (&values)[V]) {
  Packet<T, V> packet;
#pragma unroll
  for (int i = 0; i < V; ++i) packet.at[i] = from_float<T>(values[i]);
  return packet;
}

template <int V, class T>
__device__ inline void load(float (&values)[V], const T* from) {
  unpack(values, fetch<T, V>(from));
}

template <int V, class T>
__device__ inline void store(T* to, const float (&values)[V]) {
  put<T, V>(to, pack<T, V>(values));
}

/// V floats of a parameter or a statistic: 16 bytes at a time when V is more than one.
template <int V>
__device__ inline void load_parameters(float (&values)[V], const float* from) {
  if constexpr (V == 1) {
    values[0] = *from;
  } else {
#pragma unroll
    for (int i = 0; i < V; i += 4) {
      const Packet<float, 4> packet = fetch<float, 4>(from + i);
#pragma unroll
      for (int k = 0; k < 4; ++k) values[i + k] = packet.at[k];
    }
  }
}

template <int V>
__device__ inline void store_parameters(float* to, const float (&values)[V]) {
  if constexpr (V == 1) {
    *to = values[0];
  } else {
#pragma unroll
    for (int i = 0; i < V; i += 4) {
      const float part[4] = {values[i], values[i + 1], values[i + 2], values[i + 3]};
      store<4>(to + i, part);
    }
  }
}

/// Whether all of these addresses allow 16-byte accesses. Null pointers do.
template <class... Pointers>
bool aligned(const Pointers*... pointers) {
  return ((reinterpret_cast<std::uintptr_t>(pointers) % 16 == 0) && ...);
}

/// call.operator()<T>() for the type of the data.
template <class Call>
void by_type(Data data, const Call& call) {
  switch (data) {
    case Data::f32: return call.template operator()<float>();
    case Data::bf16: return call.template operator()<Bf16>();
    case Data::f16: return call.template operator()<Half>();
  }
}

/// call.operator()<V>() with 16 bytes of T where `wide`, else one element.
template <class T, class Call>
void by_width(bool wide, const Call& call) {
  if (wide) {
    call.template operator()<kWide<T>>();
  } else {
    call.template operator()<1>();
  }
}

}  // namespace snug::kernels
