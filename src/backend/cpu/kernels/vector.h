// Vectors of the instruction set that a kernel file is compiled for, and elementary functions that vectorise.
// Kernel files are compiled once per instruction set (SNUG_ISA names the namespace). They must not use inline code of
// other headers: the linker keeps one copy of such code, and it could be the one for a newer processor.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "backend/cpu/kernels/storage.h"

namespace snug::cpu::SNUG_ISA {

#if defined(__AVX512F__)
inline constexpr std::int64_t kLanes = 16;
inline constexpr __mmask16 kAll = 0xFFFF;  // unmasked forms trip GCC's check for uninitialised values
#elif defined(__AVX2__)
inline constexpr std::int64_t kLanes = 8;
#else
inline constexpr std::int64_t kLanes = 4;
#endif

using Vector [[gnu::vector_size(kLanes * 4)]] = float;
using IntVector [[gnu::vector_size(kLanes * 4)]] = std::int32_t;

/// The same kernel body serves vectors and, for the last channels, single floats.
template <class V>
struct Lanes;
template <>
struct Lanes<Vector> {
  using Int = IntVector;
  static constexpr std::int64_t kCount = kLanes;
};
template <>
struct Lanes<float> {
  using Int = std::int32_t;
  static constexpr std::int64_t kCount = 1;
};

template <class V>
[[gnu::always_inline]] inline V load(const float* from) {
  V v;
  __builtin_memcpy(&v, from, sizeof(V));
  return v;
}
template <class V>
[[gnu::always_inline]] inline void store(float* to, V v) {
  __builtin_memcpy(to, &v, sizeof(V));
}
template <class V>
[[gnu::always_inline]] inline V broadcast(float value) {
  return value - V{};
}
// Widening and narrowing by intrinsics: GCC 12 makes __builtin_convertvector element by element.
[[gnu::always_inline]] inline IntVector load_bytes(const std::uint8_t* from, IntVector*) {
#if defined(__AVX512F__)
  return reinterpret_cast<IntVector>(
      _mm512_maskz_cvtepu8_epi32(kAll, _mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
#elif defined(__AVX2__)
  return reinterpret_cast<IntVector>(_mm256_cvtepu8_epi32(_mm_loadu_si64(from)));
#else
  return reinterpret_cast<IntVector>(_mm_cvtepu8_epi32(_mm_loadu_si32(from)));
#endif
}
[[gnu::always_inline]] inline std::int32_t load_bytes(const std::uint8_t* from, std::int32_t*) { return *from; }
[[gnu::always_inline]] inline void store_bytes(std::uint8_t* to, IntVector v) {
#if defined(__AVX512F__)
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_maskz_cvtepi32_epi8(kAll, reinterpret_cast<__m512i>(v)));
#elif defined(__AVX2__)
  const auto wide = reinterpret_cast<__m256i>(v);
  const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
  _mm_storeu_si64(to, _mm_packus_epi16(words, words));
#else
  const __m128i words = _mm_packus_epi32(reinterpret_cast<__m128i>(v), reinterpret_cast<__m128i>(v));
  const int bytes = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
  __builtin_memcpy(to, &bytes, sizeof bytes);
#endif
}
[[gnu::always_inline]] inline void store_bytes(std::uint8_t* to, std::int32_t v) { *to = static_cast<std::uint8_t>(v); }

// bf16 is the upper half of a float. Narrowing rounds to nearest even; NaN stays NaN, denormals stay.

/// For loops that the compiler vectorises: y[i] = from_float<T>(… to_float(x[i]) …).
[[gnu::always_inline]] inline float to_float(float value) { return value; }
[[gnu::always_inline]] inline float to_float(Bf16 value) {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(value.bits) << 16);
}
template <class T>
[[gnu::always_inline]] inline T from_float(float value) {
  if constexpr (sizeof(T) == sizeof(float)) {
    return value;
  } else {
    const auto bits = __builtin_bit_cast(std::uint32_t, value);
    const std::uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
    const std::uint32_t nan = bits >> 16 | 0x40;  // a payload in the lower half only must not become infinity
    return T{static_cast<std::uint16_t>((bits & 0x7FFF'FFFF) > 0x7F80'0000 ? nan : rounded)};
  }
}

[[gnu::always_inline]] inline Vector load_half(const Bf16* from, Vector*) {
#if defined(__AVX512F__)
  const __m512i wide = _mm512_maskz_cvtepu16_epi32(kAll, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
#elif defined(__AVX2__)
  const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
#else
  const __m128i wide = _mm_cvtepu16_epi32(_mm_loadu_si64(from));
#endif
  return reinterpret_cast<Vector>(reinterpret_cast<IntVector>(wide) << 16);
}
[[gnu::always_inline]] inline float load_half(const Bf16* from, float*) { return to_float(*from); }
template <class V>
[[gnu::always_inline]] inline V load(const Bf16* from) {
  return load_half(from, static_cast<V*>(nullptr));
}
#if defined(__AVX512BF16__)
inline constexpr bool kNarrowsByInstruction = true;  // one for ten; it takes denormals for 0
/// y[i] = x[i], rounded; x has room for whole vectors behind its end.
[[gnu::always_inline]] inline void narrow_block(Bf16* y, const float* x, std::int64_t count) {
  std::int64_t i = 0;
  for (; i + 32 <= count; i += 32) {
    const auto both =
        reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + i + 16), _mm512_loadu_ps(x + i)));
    _mm512_storeu_si512(y + i, both);
  }
  if (i == count) return;
  const auto mask = static_cast<__mmask32>((std::uint64_t{1} << (count - i)) - 1);
  const auto rest = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + i + 16), _mm512_loadu_ps(x + i)));
  _mm512_mask_storeu_epi16(y + i, mask, rest);
}
#else
inline constexpr bool kNarrowsByInstruction = false;
[[gnu::always_inline]] inline void narrow_block(Bf16* y, const float* x, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = from_float<Bf16>(x[i]);
}
#endif

[[gnu::always_inline]] inline void store(Bf16* to, float value) { *to = from_float<Bf16>(value); }
[[gnu::always_inline]] inline void store(Bf16* to, Vector v) {
#if defined(__AVX512BF16__)
  const auto narrowed = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(reinterpret_cast<__m512>(v)));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), narrowed);
#else
  using Bits [[gnu::vector_size(kLanes * 4)]] = std::uint32_t;
  const Bits bits = reinterpret_cast<Bits>(v);
  const Bits rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
  const Bits halves = (v != v) ? (bits >> 16 | 0x40) : rounded;  // NOLINT(misc-redundant-expression)
#if defined(__AVX512F__)
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                      _mm512_maskz_cvtepi32_epi16(kAll, reinterpret_cast<__m512i>(halves)));
#elif defined(__AVX2__)
  const auto wide = reinterpret_cast<__m256i>(halves);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                   _mm_packus_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1)));
#else
  const auto wide = reinterpret_cast<__m128i>(halves);
  _mm_storeu_si64(to, _mm_packus_epi32(wide, wide));
#endif
#endif
}
template <class V>
[[gnu::always_inline]] inline void store(Bf16* to, V v) {
  store(to, v);
}

/// Calls body(first, V{}) for whole vectors of [0, count), then body(i, float{}) for the rest.
template <class Body>
[[gnu::always_inline]] inline void for_lanes(std::int64_t count, const Body& body) {
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) body(i, Vector{});
  for (; i < count; ++i) body(i, float{});
}

/// e^x to 2 ulp; 0 below -87.3, infinity above 88.7, NaN stays. (2^n · e^r, |r| ≤ ln 2 ÷ 2; r in two parts.)
[[gnu::always_inline]] inline float exp_lane(float x) {
  const float bounded = x < -104.0F ? -104.0F : (x > 89.0F ? 89.0F : x);
  const float shifted = bounded * 1.44269504F + 12582912.0F;  // 1.5 · 2^23: rounds to an integer in the low bits
  const float n = shifted - 12582912.0F;
  float r = bounded - n * 0.693359375F;
  r = r - n * -2.12194440e-4F;
  float p = 1.394110844e-03F;
  p = p * r + 8.375126398e-03F;
  p = p * r + 4.166635290e-02F;
  p = p * r + 1.666641551e-01F;
  p = p * r + 0.5F;
  p = p * r + 1.0F;
  p = p * r + 1.0F;
  // 2^n in two factors, so that neither leaves the normal range. NaN gives some n; p is NaN anyway.
  const auto exponent = static_cast<std::int32_t>(__builtin_isnan(x) ? 0.0F : n);
  const std::int32_t half = exponent / 2;
  const float scale_a = __builtin_bit_cast(float, (half + 127) << 23);
  const float scale_b = __builtin_bit_cast(float, (exponent - half + 127) << 23);
  return p * scale_a * scale_b;
}

[[gnu::always_inline]] inline float sigmoid_lane(float x) { return 1.0F / (1.0F + exp_lane(-x)); }

/// tanh to 4 ulp: an odd polynomial near 0, where 1 − 2 ÷ (e^2x + 1) would cancel.
[[gnu::always_inline]] inline float tanh_lane(float x) {
  const float s = x * x;
  float p = 1.855270192e-03F;
  p = p * s - 7.824432298e-03F;
  p = p * s + 2.153846550e-02F;
  p = p * s - 5.391243778e-02F;
  p = p * s + 1.333287787e-01F;
  p = p * s - 3.333331925e-01F;
  p = p * s + 1.0F;
  const float large = 1.0F - 2.0F / (exp_lane(2.0F * x) + 1.0F);
  return s < 0.5F ? x * p : large;
}

/// erf to 4 ulp: an odd polynomial up to 1, then 1 − e^(−x²) · q(1 ÷ (1 + x ÷ 2)).
[[gnu::always_inline]] inline float erf_lane(float x) {
  const float s = x * x;
  float p = 7.875875050e-05F;
  p = p * s - 8.016864283e-04F;
  p = p * s + 5.189087423e-03F;
  p = p * s - 2.685421201e-02F;
  p = p * s + 1.128359472e-01F;
  p = p * s - 3.761262667e-01F;
  p = p * s + 1.128379166e+00F;
  const float a = __builtin_fabsf(x);
  const float t = 1.0F / (1.0F + 0.5F * (a > 4.2F ? 4.2F : a));
  float q = -5.809020741e-02F;
  q = q * t - 4.338603844e-02F;
  q = q * t + 3.861862588e-01F;
  q = q * t + 1.130556456e-01F;
  q = q * t + 3.264605985e-01F;
  q = q * t + 2.744766180e-01F;
  q = q * t + 5.370958181e-04F;
  const float tail = 1.0F - exp_lane(-s) * q;
  const float large = x < 0.0F ? -tail : tail;
  return a < 1.0F ? x * p : (__builtin_isnan(x) ? x : large);
}

}  // namespace snug::cpu::SNUG_ISA
