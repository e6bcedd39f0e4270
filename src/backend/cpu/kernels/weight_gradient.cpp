#include "backend/cpu/kernels/tables.h"
#include "backend/cpu/kernels/vector.h"

namespace snug::cpu::SNUG_ISA {

#if defined(__AVX512F__)

namespace {

constexpr std::int64_t kRows = kPanelFilters;   // of a tile: one scalar of A each
constexpr std::int64_t kWide = kPanelChannels;  // of a tile: two vectors of B
static_assert(kWide == 2 * kLanes);

using Word = std::uint32_t;

// ---- packing ----------------------------------------------------------------------------------------------------

[[gnu::always_inline]] inline __mmask16 mask_of(std::int64_t count) {
  return static_cast<__mmask16>(count >= 16 ? 0xFFFF : (count <= 0 ? 0 : (1U << count) - 1));
}

constexpr std::int64_t kGroup = 32;  // channels that are packed at a time

/// Words of a group.
struct Words {
  __m512i low, high;
};

/// Floats as they are.
struct Floats {
  const float* from;
  [[gnu::always_inline]] Words group(std::int64_t at) const {
    return {_mm512_loadu_si512(from + at), _mm512_loadu_si512(from + at + 16)};
  }
  /// Words from `count` on are 0.
  [[gnu::always_inline]] Words part(std::int64_t at, std::int64_t count) const {
    return {_mm512_maskz_loadu_epi32(mask_of(count), from + at),
            _mm512_maskz_loadu_epi32(mask_of(count - 16), from + at + 16)};
  }
};

/// bf16 of two images side by side.
struct Pairs {
  const Bf16 *first, *second;
  [[gnu::always_inline]] static Words join(__m512i a, __m512i b) {
    alignas(64) static constexpr std::uint16_t kPlaces[64] = {
        0,  32, 1,  33, 2,  34, 3,  35, 4,  36, 5,  37, 6,  38, 7,  39, 8,  40, 9,  41, 10, 42,
        11, 43, 12, 44, 13, 45, 14, 46, 15, 47, 16, 48, 17, 49, 18, 50, 19, 51, 20, 52, 21, 53,
        22, 54, 23, 55, 24, 56, 25, 57, 26, 58, 27, 59, 28, 60, 29, 61, 30, 62, 31, 63};
    return {_mm512_permutex2var_epi16(a, _mm512_load_si512(kPlaces), b),
            _mm512_permutex2var_epi16(a, _mm512_load_si512(kPlaces + 32), b)};
  }
  [[gnu::always_inline]] Words group(std::int64_t at) const {
    return join(_mm512_loadu_si512(first + at), _mm512_loadu_si512(second + at));
  }
  [[gnu::always_inline]] Words part(std::int64_t at, std::int64_t count) const {
    const auto mask = static_cast<__mmask32>((std::uint64_t{1} << count) - 1);
    return join(_mm512_maskz_loadu_epi16(mask, first + at), _mm512_maskz_loadu_epi16(mask, second + at));
  }
};

/// The first of two images alone: the batch is odd.
struct Halves {
  const Bf16* first;
  [[gnu::always_inline]] Words group(std::int64_t at) const { return part(at, kGroup); }
  [[gnu::always_inline]] Words part(std::int64_t at, std::int64_t count) const {
    const auto mask = static_cast<__mmask32>((std::uint64_t{1} << count) - 1);
    return Pairs::join(_mm512_maskz_loadu_epi16(mask, first + at), _mm512_setzero_si512());
  }
};

/// Calls put(first channel, words) for the groups of a pixel, which begins at element `at`.
template <class Source, class Put>
[[gnu::always_inline]] inline void pack_pixel(const Source& source, std::int64_t at, std::int64_t channels,
                                              const Put& put) {
  std::int64_t c = 0;
  for (; c + kGroup <= channels; c += kGroup) put(c, source.group(at + c));
  if (c < channels) put(c, source.part(at + c, channels - c));
}

template <class Source>
[[gnu::always_inline]] inline void channels_of(const Source& source, Word* to, std::int64_t panel_stride,
                                               std::int64_t pixel_stride, std::int64_t pixels, std::int64_t channels) {
  static_assert(kWide == kGroup);
  for (std::int64_t p = 0; p < pixels; ++p) {
    Word* panel = to + p * kWide;
    pack_pixel(source, p * pixel_stride, channels, [&](std::int64_t, const Words& words) {
      _mm512_storeu_si512(panel, words.low);
      _mm512_storeu_si512(panel + 16, words.high);
      panel += panel_stride;
    });
  }
}

template <class Source>
[[gnu::always_inline]] inline void filters_of(const Source& source, Word* to, std::int64_t panel_stride,
                                              std::int64_t pixel_stride, std::int64_t pixels, std::int64_t filters) {
  using Half [[gnu::vector_size(32)]] = long long;  // the words of a panel
  static_assert(4 * kRows == kGroup);
  for (std::int64_t p = 0; p < pixels; ++p) {
    Word* panel = to + p * kRows;
    pack_pixel(source, p * pixel_stride, filters, [&](std::int64_t, const Words& words) {
      const Half parts[4] = {__builtin_shufflevector(words.low, words.low, 0, 1, 2, 3),
                             __builtin_shufflevector(words.low, words.low, 4, 5, 6, 7),
                             __builtin_shufflevector(words.high, words.high, 0, 1, 2, 3),
                             __builtin_shufflevector(words.high, words.high, 4, 5, 6, 7)};
#pragma GCC unroll 4
      for (std::int64_t i = 0; i < 4; ++i) {
        __builtin_memcpy(panel, &parts[i], sizeof(Half));
        panel += panel_stride;
      }
    });
  }
}

void pack_channels(Word* to, std::int64_t panel_stride, const float* x, const float* /*second*/,
                   std::int64_t pixel_stride, std::int64_t pixels, std::int64_t channels) {
  channels_of(Floats{x}, to, panel_stride, pixel_stride, pixels, channels);
}
void pack_channels(Word* to, std::int64_t panel_stride, const Bf16* x, const Bf16* second, std::int64_t pixel_stride,
                   std::int64_t pixels, std::int64_t channels) {
  if (second != nullptr) return channels_of(Pairs{x, second}, to, panel_stride, pixel_stride, pixels, channels);
  channels_of(Halves{x}, to, panel_stride, pixel_stride, pixels, channels);
}

void pack_filters(Word* to, std::int64_t panel_stride, const float* dy, const float* /*second*/,
                  std::int64_t pixel_stride, std::int64_t pixels, std::int64_t filters) {
  filters_of(Floats{dy}, to, panel_stride, pixel_stride, pixels, filters);
}
void pack_filters(Word* to, std::int64_t panel_stride, const Bf16* dy, const Bf16* second, std::int64_t pixel_stride,
                  std::int64_t pixels, std::int64_t filters) {
  if (second != nullptr) return filters_of(Pairs{dy, second}, to, panel_stride, pixel_stride, pixels, filters);
  filters_of(Halves{dy}, to, panel_stride, pixel_stride, pixels, filters);
}

// ---- tiles ------------------------------------------------------------------------------------------------------

/// Adds the sums of a tile's words to c, or writes them.
[[gnu::always_inline]] inline void finish_tile(const __m512 (&sum)[kRows][2], float* c, const GradientTile& tile) {
  const __mmask16 masks[2] = {mask_of(tile.channels), mask_of(tile.channels - kLanes)};
#pragma GCC unroll 8
  for (std::int64_t i = 0; i < kRows; ++i) {  // unrolled: the sums stay in registers
    if (i >= tile.filters) return;
#pragma GCC unroll 2
    for (std::int64_t v = 0; v < 2; ++v) {
      float* at = c + i * tile.filter_stride + v * kLanes;
      const __m512 old = tile.add ? _mm512_maskz_loadu_ps(masks[v], at) : _mm512_setzero_ps();
      _mm512_mask_storeu_ps(at, masks[v], old + sum[i][v]);
    }
  }
}

void tile_of_floats(float* c, const std::uint32_t* a, const std::uint32_t* b, const GradientTile& tile) {
  __m512 sum[kRows][2] = {};
  for (std::int64_t image = 0; image < tile.images; ++image) {
    for (std::int64_t row = 0; row < tile.rows; ++row) {
      const Word* of_a = a + image * tile.a_image + row * tile.a_row;
      const Word* of_b = b + image * tile.b_image + row * tile.b_row;
      for (std::int64_t p = 0; p < tile.pixels; ++p, of_a += kRows, of_b += kWide) {
        const __m512 low = _mm512_loadu_ps(of_b), high = _mm512_loadu_ps(of_b + kLanes);
#pragma GCC unroll 8
        for (std::int64_t i = 0; i < kRows; ++i) {
          const __m512 scalar = _mm512_set1_ps(__builtin_bit_cast(float, of_a[i]));
          sum[i][0] += scalar * low;
          sum[i][1] += scalar * high;
        }
      }
    }
  }
  finish_tile(sum, c, tile);
}

using Eight [[gnu::vector_size(32)]] = float;
using EightWords [[gnu::vector_size(32)]] = Word;

/// sum[i] += what `value` makes of the words of filter i; four sums side by side, because one would wait for itself.
template <class Value>
[[gnu::always_inline]] inline void add_words(float* sum, const Word* a, std::int64_t words, const Value& value) {
  Eight total[4] = {};
  std::int64_t w = 0;
  for (; w + 4 <= words; w += 4) {
#pragma GCC unroll 4
    for (std::int64_t i = 0; i < 4; ++i) total[i] += value(a + (w + i) * kRows);
  }
  for (; w < words; ++w) total[0] += value(a + w * kRows);
  const Eight all = (total[0] + total[1]) + (total[2] + total[3]);
  for (std::int64_t i = 0; i < kRows; ++i) sum[i] += all[i];
}

void sums_of_floats(float* sum, const std::uint32_t* a, std::int64_t words) {
  add_words(sum, a, words, [](const Word* at) {
    Eight values;
    __builtin_memcpy(&values, at, sizeof values);
    return values;
  });
}
void sums_of_pairs(float* sum, const std::uint32_t* a, std::int64_t words) {
  add_words(sum, a, words, [](const Word* at) {
    EightWords pairs;
    __builtin_memcpy(&pairs, at, sizeof pairs);
    return reinterpret_cast<Eight>(pairs << 16) + reinterpret_cast<Eight>(pairs & 0xFFFF'0000U);
  });
}

#if defined(__AVX512BF16__)
void tile_of_pairs(float* c, const std::uint32_t* a, const std::uint32_t* b, const GradientTile& tile) {
  __m512 sum[kRows][2] = {};
  for (std::int64_t image = 0; image < tile.images; ++image) {
    for (std::int64_t row = 0; row < tile.rows; ++row) {
      const Word* of_a = a + image * tile.a_image + row * tile.a_row;
      const Word* of_b = b + image * tile.b_image + row * tile.b_row;
      for (std::int64_t p = 0; p < tile.pixels; ++p, of_a += kRows, of_b += kWide) {
        const auto low = reinterpret_cast<__m512bh>(_mm512_loadu_si512(of_b));
        const auto high = reinterpret_cast<__m512bh>(_mm512_loadu_si512(of_b + kLanes));
#pragma GCC unroll 8
        for (std::int64_t i = 0; i < kRows; ++i) {
          const auto pair = reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(of_a[i])));
          sum[i][0] = _mm512_dpbf16_ps(sum[i][0], pair, low);
          sum[i][1] = _mm512_dpbf16_ps(sum[i][1], pair, high);
        }
      }
    }
  }
  finish_tile(sum, c, tile);
}

constexpr auto kTileOfPairs = tile_of_pairs;
#else
constexpr decltype(&tile_of_floats) kTileOfPairs = nullptr;
#endif

}  // namespace

ByStorage<WeightGradientKernels> weight_gradient_kernels() {
  return {
      .f32 = {.pack_channels = pack_channels,
              .pack_filters = pack_filters,
              .tile = tile_of_floats,
              .sums = sums_of_floats},
      .bf16 = {
          .pack_channels = pack_channels, .pack_filters = pack_filters, .tile = kTileOfPairs, .sums = sums_of_pairs}};
}

#else

ByStorage<WeightGradientKernels> weight_gradient_kernels() { return {}; }

#endif

}  // namespace snug::cpu::SNUG_ISA
