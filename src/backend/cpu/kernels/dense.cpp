#include "backend/cpu/kernels/tables.h"
#include "backend/cpu/kernels/vector.h"

namespace snug::cpu::SNUG_ISA {

#if defined(__AVX512F__)

namespace {

constexpr int kSide = kDenseSide, kSums = kSide * kSide;
static_assert(kSums == kLanes, "one vector holds the sums of a tile");

[[gnu::always_inline]] inline Vector part(const float* from, __mmask16 lanes) {
  return _mm512_maskz_loadu_ps(lanes, from);
}

/// One step of kLanes inputs. Sums stay in registers.
template <bool all>
[[gnu::always_inline]] inline void add_step(Vector (&sum)[kSums], const DenseTile& tile, std::int64_t k,
                                            __mmask16 lanes) {
  Vector x[kSide];
#pragma GCC unroll 4
  for (int i = 0; i < kSide; ++i) x[i] = all ? load<Vector>(tile.x[i] + k) : part(tile.x[i] + k, lanes);
#pragma GCC unroll 4
  for (int j = 0; j < kSide; ++j) {
    const Vector w = all ? load<Vector>(tile.w[j] + k) : part(tile.w[j] + k, lanes);
#pragma GCC unroll 4
    for (int i = 0; i < kSide; ++i) sum[i * kSide + j] = _mm512_fmadd_ps(x[i], w, sum[i * kSide + j]);
  }
}

/// The sums of 16 vectors' lanes, in order: halves are added and laid side by side, four times.
[[gnu::always_inline]] inline Vector across(Vector (&v)[kSums]) {
#pragma GCC unroll 8
  for (std::int64_t i = 0; i < 8; ++i) {
    const Vector a = v[2 * i], b = v[2 * i + 1];
    v[i] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
           __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
  }
#pragma GCC unroll 4
  for (std::int64_t i = 0; i < 4; ++i) {
    const Vector a = v[2 * i], b = v[2 * i + 1];
    v[i] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) +
           __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
  }
#pragma GCC unroll 2
  for (std::int64_t i = 0; i < 2; ++i) {
    const Vector a = v[2 * i], b = v[2 * i + 1];
    v[i] = __builtin_shufflevector(a, b, 0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29) +
           __builtin_shufflevector(a, b, 2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31);
  }
  return __builtin_shufflevector(v[0], v[1], 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30) +
         __builtin_shufflevector(v[0], v[1], 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
}

void tile_of(float* y, std::int64_t y_stride, const DenseTile& tile) {
  Vector sum[kSums]{};
  std::int64_t k = 0;
  for (; k + kLanes <= tile.count; k += kLanes) add_step<true>(sum, tile, k, kAll);
  if (k < tile.count) add_step<false>(sum, tile, k, static_cast<__mmask16>((1U << (tile.count - k)) - 1));
  float sums[kSums];
  store(sums, across(sum));
  for (std::int64_t i = 0; i < tile.rows; ++i) {
    for (std::int64_t j = 0; j < tile.columns; ++j) {
      float& to = y[i * y_stride + j];
      const float before = tile.add ? to : tile.bias != nullptr ? tile.bias[j] : 0;
      to = before + sums[i * kSide + j];
    }
  }
}

}  // namespace

DenseKernels dense_kernels() { return {.tile = tile_of}; }

#else

DenseKernels dense_kernels() { return {}; }

#endif

}  // namespace snug::cpu::SNUG_ISA
