#include "backend/cpu/kernels/functions.h"
#include "backend/cpu/kernels/tables.h"

namespace snug::cpu::SNUG_ISA {

#if defined(__AVX512BF16__)

namespace {

constexpr std::int64_t kSide = 4;  // of a patch
constexpr std::int64_t kWide = kProductColumns;
static_assert(kSide * kSide == kPatchPlaces && kWide == 2 * kLanes);

using Word = std::uint32_t;
using HalfVector [[gnu::vector_size(32)]] = std::uint16_t;  // 16 bf16
using Taps = Vector[3][3];
using Square = Vector[kSide][kSide];

[[gnu::always_inline]] inline HalfVector narrowed(Vector v) {
  return reinterpret_cast<HalfVector>(_mm512_cvtneps_pbh(reinterpret_cast<__m512>(v)));
}

// ---- filters: G g Gᵀ --------------------------------------------------------------------------------------------

[[gnu::always_inline]] inline void transform_taps(const Taps& g, Square& u) {
  Vector rows[kSide][3];
#pragma GCC unroll 3
  for (int j = 0; j < 3; ++j) {
    const Vector outer = 0.5F * (g[0][j] + g[2][j]), middle = 0.5F * g[1][j];
    rows[0][j] = g[0][j];
    rows[1][j] = outer + middle;
    rows[2][j] = outer - middle;
    rows[3][j] = g[2][j];
  }
#pragma GCC unroll 4
  for (int i = 0; i < kSide; ++i) {
    const Vector outer = 0.5F * (rows[i][0] + rows[i][2]), middle = 0.5F * rows[i][1];
    u[i][0] = rows[i][0];
    u[i][1] = outer + middle;
    u[i][2] = outer - middle;
    u[i][3] = rows[i][2];
  }
}

void forward_filters(Word* to, std::int64_t place_stride, const Bf16* w, FilterStrides strides, std::int64_t channels) {
  constexpr std::int64_t kFilters = kLanes, kWords = kLanes / 2;  // at a time
  alignas(64) Word turned[kPatchPlaces][kFilters][kWords];
  const __m512i places = _mm512_setr_epi32(0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120);
  for (std::int64_t c = 0; c < channels; c += kLanes) {
    for (std::int64_t f = 0; f < kFilters; ++f) {
      Taps g;
      Square u;
      for (int tap = 0; tap < 9; ++tap)
        g[tap / 3][tap % 3] = load<Vector>(w + f * strides.filter + tap * strides.tap + c);
      transform_taps(g, u);
      for (int place = 0; place < kPatchPlaces; ++place) {
        const HalfVector half = narrowed(u[place / kSide][place % kSide]);
        __builtin_memcpy(turned[place][f], &half, sizeof half);
      }
    }
    for (std::int64_t place = 0; place < kPatchPlaces; ++place) {
      for (std::int64_t word = 0; word < kWords; ++word) {
        const __m512i lanes =
            _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), kAll, places, &turned[place][0][word], sizeof(Word));
        _mm512_storeu_si512(to + place * place_stride + (c / 2 + word) * kWide, lanes);
      }
    }
  }
}

void backward_filters(Word* to, std::int64_t place_stride, const Bf16* w, FilterStrides strides, std::int64_t filters) {
  for (std::int64_t f = 0; f < filters; f += 2) {
    Square u[2];
    for (int i = 0; i < 2; ++i) {
      Taps g;
      for (int tap = 0; tap < 9; ++tap)
        g[2 - tap / 3][2 - tap % 3] = load<Vector>(w + (f + i) * strides.filter + tap * strides.tap);
      transform_taps(g, u[i]);
    }
    for (int place = 0; place < kPatchPlaces; ++place) {
      const HalfVector low = narrowed(u[0][place / kSide][place % kSide]);
      const HalfVector high = narrowed(u[1][place / kSide][place % kSide]);
      const __m512i words = _mm512_or_si512(
          _mm512_maskz_cvtepu16_epi32(kAll, reinterpret_cast<__m256i>(low)),
          _mm512_maskz_slli_epi32(kAll, _mm512_maskz_cvtepu16_epi32(kAll, reinterpret_cast<__m256i>(high)), 16));
      _mm512_storeu_si512(to + place * place_stride + f / 2 * kWide, words);
    }
  }
}

// ---- pixels: Bᵀ d B ---------------------------------------------------------------------------------------------

/// Pixels outside are 0.
template <bool all_inside>
[[gnu::always_inline]] inline Vector pixel(const Bf16* x, const Patch& patch, int row, int column) {
  const std::int64_t at = row * patch.row_stride + column * patch.pixel_stride;
  if constexpr (all_inside) return load<Vector>(x + at);
  return (patch.inside >> (row * kSide + column) & 1U) != 0 ? load<Vector>(x + at) : Vector{};
}

template <bool all_inside>
[[gnu::always_inline]] inline void pixels_of(Bf16* v, std::int64_t place_stride, const Bf16* x, const Patch& patch,
                                             std::int64_t channels) {
  for (std::int64_t c = 0; c < channels; c += kLanes) {
    Square t;
#pragma GCC unroll 4
    for (int j = 0; j < kSide; ++j) {
      const Vector d0 = pixel<all_inside>(x + c, patch, 0, j), d1 = pixel<all_inside>(x + c, patch, 1, j);
      const Vector d2 = pixel<all_inside>(x + c, patch, 2, j), d3 = pixel<all_inside>(x + c, patch, 3, j);
      t[0][j] = d0 - d2;
      t[1][j] = d1 + d2;
      t[2][j] = d2 - d1;
      t[3][j] = d1 - d3;
    }
#pragma GCC unroll 4
    for (int i = 0; i < kSide; ++i) {
      Bf16* const to = v + i * kSide * place_stride + c;
      store(to, t[i][0] - t[i][2]);
      store(to + place_stride, t[i][1] + t[i][2]);
      store(to + 2 * place_stride, t[i][2] - t[i][1]);
      store(to + 3 * place_stride, t[i][1] - t[i][3]);
    }
  }
}

void pixels(Bf16* v, std::int64_t place_stride, const Bf16* x, const Patch& patch, std::int64_t channels) {
  if (patch.inside == 0xFFFF) return pixels_of<true>(v, place_stride, x, patch, channels);
  pixels_of<false>(v, place_stride, x, patch, channels);
}

// ---- products ---------------------------------------------------------------------------------------------------

void product(float* m, std::int64_t m_stride, const Word* v, std::int64_t v_stride, const Word* u, std::int64_t words) {
  constexpr std::int64_t kRows = kProductRows;
  __m512 sum[kRows][2] = {};
  for (std::int64_t k = 0; k < words; ++k, u += kWide) {
    const auto low = reinterpret_cast<__m512bh>(_mm512_loadu_si512(u));
    const auto high = reinterpret_cast<__m512bh>(_mm512_loadu_si512(u + kLanes));
#pragma GCC unroll 8
    for (std::int64_t i = 0; i < kRows; ++i) {
      const auto pair = reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(v[i * v_stride + k])));
      sum[i][0] = _mm512_dpbf16_ps(sum[i][0], pair, low);
      sum[i][1] = _mm512_dpbf16_ps(sum[i][1], pair, high);
    }
  }
#pragma GCC unroll 8
  for (std::int64_t i = 0; i < kRows; ++i) {
    _mm512_storeu_ps(m + i * m_stride, sum[i][0]);
    _mm512_storeu_ps(m + i * m_stride + kLanes, sum[i][1]);
  }
}

// ---- outputs: Aᵀ m A --------------------------------------------------------------------------------------------

template <class Function>
void outputs(Bf16* y, const Patch& patch, const float* m, std::int64_t place_stride, const float* bias,
             std::int64_t channels) {
  for (std::int64_t c = 0; c < channels; c += kLanes) {
    Vector t[2][kSide];
#pragma GCC unroll 4
    for (int j = 0; j < kSide; ++j) {
      const float* const from = m + j * place_stride + c;
      const Vector m0 = load<Vector>(from), m1 = load<Vector>(from + 4 * place_stride);
      const Vector m2 = load<Vector>(from + 8 * place_stride), m3 = load<Vector>(from + 12 * place_stride);
      t[0][j] = m0 + m1 + m2;
      t[1][j] = m1 - m2 - m3;
    }
    const Vector shift = bias != nullptr ? load<Vector>(bias + c) : Vector{};
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      Bf16* const to = y + i * patch.row_stride + c;
      const Vector left = t[i][0] + t[i][1] + t[i][2], right = t[i][1] - t[i][2] - t[i][3];
      if ((patch.inside >> (2 * i) & 1U) != 0) store(to, Function::value(left + shift));
      if ((patch.inside >> (2 * i + 1) & 1U) != 0) store(to + patch.pixel_stride, Function::value(right + shift));
    }
  }
}

}  // namespace

WinogradKernels winograd_kernels() {
  return {.forward_filters = forward_filters,
          .backward_filters = backward_filters,
          .pixels = pixels,
          .product = product,
          .outputs = {outputs<Relu>, outputs<Relu6>, outputs<LeakyRelu>, nullptr, nullptr, nullptr, nullptr,
                      outputs<Identity>}};
}

#else

WinogradKernels winograd_kernels() { return {}; }

#endif

}  // namespace snug::cpu::SNUG_ISA
