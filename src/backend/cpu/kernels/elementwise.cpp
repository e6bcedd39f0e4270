#include "backend/cpu/kernels/tables.h"
#include "backend/cpu/kernels/vector.h"

namespace snug::cpu::SNUG_ISA {

namespace {

template <class T>
void add(T* y, const T* a, const T* b, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] = from_float<T>(to_float(a[i]) + to_float(b[i]));
}

template <class T>
void multiply(T* y, const T* x, float factor, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] = from_float<T>(to_float(x[i]) * factor);
}

template <class To, class From>
void cast(To* y, const From* x, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] = from_float<To>(to_float(x[i]));
}

constexpr std::int64_t kGroups = 16;  // Philox calls side by side

/// base/rng.h's philox for kGroups successive high counters; words[k][j] is word k of group j.
[[gnu::always_inline]] inline void random_words(std::uint32_t words[4][kGroups], std::uint64_t key,
                                                std::uint64_t counter, std::uint64_t group) {
#pragma omp simd
  for (std::int64_t j = 0; j < kGroups; ++j) {
    const std::uint64_t high = group + static_cast<std::uint64_t>(j);
    auto c0 = static_cast<std::uint32_t>(counter);
    auto c1 = static_cast<std::uint32_t>(counter >> 32);
    auto c2 = static_cast<std::uint32_t>(high);
    auto c3 = static_cast<std::uint32_t>(high >> 32);
    auto k0 = static_cast<std::uint32_t>(key);
    auto k1 = static_cast<std::uint32_t>(key >> 32);
#pragma GCC unroll 10
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t p0 = std::uint64_t{0xD2511F53} * c0;
      const std::uint64_t p1 = std::uint64_t{0xCD9E8D57} * c2;
      c0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
      c1 = static_cast<std::uint32_t>(p1);
      c2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
      c3 = static_cast<std::uint32_t>(p0);
      k0 += 0x9E3779B9;
      k1 += 0xBB67AE85;
    }
    words[0][j] = c0;
    words[1][j] = c1;
    words[2][j] = c2;
    words[3][j] = c3;
  }
}

template <class T>
void dropout(T* y, const T* x, std::int64_t count, std::int64_t first, std::uint64_t key, std::uint64_t counter,
             std::uint32_t threshold, float factor) {
  std::uint32_t words[4][kGroups];
  for (std::int64_t at = 0; at < count; at += 4 * kGroups) {
    random_words(words, key, counter, static_cast<std::uint64_t>(first + at) / 4);
    const std::int64_t n = count - at < 4 * kGroups ? count - at : 4 * kGroups;
    for (std::int64_t i = 0; i < n; ++i)
      y[at + i] = from_float<T>((words[i % 4][i / 4] >> 8) >= threshold ? to_float(x[at + i]) * factor : 0.0F);
  }
}

template <class T>
constexpr ElementwiseKernels<T> kernels_of() {
  return {.add = add<T>, .multiply = multiply<T>, .dropout = dropout<T>};
}

}  // namespace

ByStorage<ElementwiseKernels> elementwise_kernels() { return {.f32 = kernels_of<float>(), .bf16 = kernels_of<Bf16>()}; }

CastKernels cast_kernels() { return {.narrow = cast<Bf16, float>, .widen = cast<float, Bf16>}; }

}  // namespace snug::cpu::SNUG_ISA
