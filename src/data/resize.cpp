#include "data/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/ensure.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define SNUG_AVX2 __attribute__((target("avx2")))
#endif

// Integers are multiplied four at a time where the processor has that only since SSE4.1 or AVX2.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && \
    !(defined(__has_feature) && defined(__clang__))
#define SNUG_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define SNUG_CLONES
#endif

namespace snug {

namespace {

constexpr int kBits = 22;  // of a weight: 255 · 1.3 · 2^22 stays below 2^31

double triangle(double x) { return std::max(0.0, 1 - std::abs(x)); }

/// Keys' cubic with a = −½.
double cubic(double x) {
  x = std::abs(x);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

/// The weights of every place of the result along one axis, a sum of 1 each.
void make_weights(std::int64_t size, double begin, double extent, std::int64_t out_size, ResizeFilter filter,
                  ResizeScratch::Weights& weights) {
  const double scale = extent / static_cast<double>(out_size);
  const double widening = std::max(scale, 1.0);
  const double support = (filter == ResizeFilter::bilinear ? 1.0 : 2.0) * widening;
  weights.most = static_cast<int>(std::ceil(support)) * 2 + 2;  // even: weights are read in pairs
  weights.first.resize(static_cast<std::size_t>(out_size));
  weights.count.resize(static_cast<std::size_t>(out_size));
  weights.values.resize(static_cast<std::size_t>(out_size) * static_cast<std::size_t>(weights.most));
  for (std::int64_t place = 0; place < out_size; ++place) {
    const double center = begin + (static_cast<double>(place) + 0.5) * scale;
    const auto first =
        std::clamp<std::int64_t>(static_cast<std::int64_t>(std::floor(center - support + 0.5)), 0, size - 1);
    const auto end =
        std::clamp<std::int64_t>(static_cast<std::int64_t>(std::floor(center + support + 0.5)), first + 1, size);
    const auto count = std::min<std::int64_t>(end - first, weights.most);
    const auto weight = [&](std::int64_t k) {
      const double x = (static_cast<double>(first + k) - center + 0.5) / widening;
      return filter == ResizeFilter::bilinear ? triangle(x) : cubic(x);
    };
    double sum = 0;
    for (std::int64_t k = 0; k < count; ++k) sum += weight(k);
    const auto index = static_cast<std::size_t>(place);
    weights.first[index] = static_cast<int>(first);
    weights.count[index] = static_cast<int>(count);
    std::int32_t* values = weights.values.data() + index * static_cast<std::size_t>(weights.most);
    std::fill(values + count, values + weights.most, 0);
    for (std::int64_t k = 0; k < count; ++k) {
      const double share = sum != 0 ? weight(k) / sum : (k == 0 ? 1.0 : 0.0);
      values[k] = static_cast<std::int32_t>(std::lround(share * (1 << kBits)));
    }
  }
}

std::uint8_t clip(std::int32_t sum) { return static_cast<std::uint8_t>(std::clamp(sum >> kBits, 0, 255)); }

/// Two rows at a time: half the reading and writing of the sums.
SNUG_CLONES void start_sums(const std::uint8_t* a, std::int32_t weight_a, const std::uint8_t* b, std::int32_t weight_b,
                            std::int64_t count, std::int32_t* sums) {
  for (std::int64_t i = 0; i < count; ++i) sums[i] = (1 << (kBits - 1)) + weight_a * a[i] + weight_b * b[i];
}
SNUG_CLONES void add_rows(const std::uint8_t* a, std::int32_t weight_a, const std::uint8_t* b, std::int32_t weight_b,
                          std::int64_t count, std::int32_t* sums) {
  for (std::int64_t i = 0; i < count; ++i) sums[i] += weight_a * a[i] + weight_b * b[i];
}

SNUG_CLONES void clip_row(const std::int32_t* sums, std::int64_t count, std::uint8_t* out) {
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int32_t value = sums[i] >> kBits;
    out[i] = static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
  }
}

/// Three channels as four, of which the last is thrown away, and two pixels at a time, so that neighbours with one
/// pixel more or less take the same way: `in` can be read four bytes beyond its end.
SNUG_CLONES void narrow_rgb(const std::uint8_t* in, const int* first, const int* count, const std::int32_t* values,
                            std::int64_t most, std::int64_t places, std::int64_t origin, std::uint8_t* out) {
  using Bytes = std::uint8_t __attribute__((vector_size(4)));
  using Sums = std::int32_t __attribute__((vector_size(16)));
  for (std::int64_t x = 0; x < places; ++x, values += most, out += 3) {
    const std::uint8_t* pixel = in + (first[x] - origin) * 3;
    Sums sums = Sums{} + (1 << (kBits - 1));
    for (int k = 0; k < count[x]; k += 2, pixel += 6) {
      Bytes left;
      Bytes right;
      std::memcpy(&left, pixel, sizeof(left));
      std::memcpy(&right, pixel + 3, sizeof(right));
      sums += __builtin_convertvector(left, Sums) * values[k] + __builtin_convertvector(right, Sums) * values[k + 1];
    }
    for (int c = 0; c < 3; ++c) out[c] = clip(sums[c]);
  }
}

constexpr std::size_t kTaps = 4;  // that narrow_rgb_avx2 takes at once
constexpr int kLowBits = 8;       // of a weight that is cut in two: both parts fit 16 bits

/// The weights of `columns` in two parts, `groups` of four for every place: the four high parts, then the low ones.
void cut_weights(ResizeScratch::Weights& columns) {
  const auto most = static_cast<std::size_t>(*std::ranges::max_element(columns.count));
  columns.groups = static_cast<int>((most + kTaps - 1) / kTaps);
  const auto per_place = static_cast<std::size_t>(columns.groups) * kTaps;
  columns.halves.assign(columns.first.size() * per_place * 2, 0);
  for (std::size_t x = 0; x < columns.first.size(); ++x) {
    const std::int32_t* values = columns.values.data() + x * static_cast<std::size_t>(columns.most);
    for (std::size_t k = 0; k < static_cast<std::size_t>(columns.count[x]); ++k) {
      std::int16_t* high = columns.halves.data() + x * per_place * 2 + k / kTaps * kTaps * 2 + k % kTaps;
      high[0] = static_cast<std::int16_t>(values[k] >> kLowBits);
      high[kTaps] = static_cast<std::int16_t>(values[k] & ((1 << kLowBits) - 1));
    }
  }
}

#ifdef SNUG_AVX2
bool has_avx2() {
  static const bool kHas = __builtin_cpu_supports("avx2") != 0;
  return kHas;
}

/// narrow_rgb's result, bit for bit, four pixels at a time: pairs of them are multiplied and added as 16 bits, by each
/// part of the weights. `in` can be read as far as beyond() says.
SNUG_AVX2 void narrow_rgb_avx2(const std::uint8_t* in, const ResizeScratch::Weights& columns, std::int64_t origin,
                               std::uint8_t* out) {
  constexpr char kNone = -128;
  // r0 r1 g0 g1 b0 b1 of the first two pixels, of the other two in the upper half; as 16 bits.
  const __m256i pairs =
      _mm256_setr_epi8(0, kNone, 3, kNone, 1, kNone, 4, kNone, 2, kNone, 5, kNone, kNone, kNone, kNone, kNone, 6, kNone,
                       9, kNone, 7, kNone, 10, kNone, 8, kNone, 11, kNone, kNone, kNone, kNone, kNone);
  const __m256i high =
      _mm256_setr_epi8(0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7);
  const __m256i low = _mm256_add_epi8(high, _mm256_set1_epi8(8));
  const __m128i half = _mm_set1_epi32(1 << (kBits - 1));
  const std::int16_t* halves = columns.halves.data();
  for (const int first : columns.first) {
    const std::uint8_t* pixel = in + (first - origin) * 3;
    __m256i high_sums = _mm256_setzero_si256(), low_sums = _mm256_setzero_si256();
    for (int group = 0; group < columns.groups; ++group, pixel += 3 * kTaps, halves += 2 * kTaps) {
      const __m256i bytes = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(pixel)));
      const __m256i weights = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(halves)));
      const __m256i words = _mm256_shuffle_epi8(bytes, pairs);
      high_sums = _mm256_add_epi32(high_sums, _mm256_madd_epi16(words, _mm256_shuffle_epi8(weights, high)));
      low_sums = _mm256_add_epi32(low_sums, _mm256_madd_epi16(words, _mm256_shuffle_epi8(weights, low)));
    }
    const __m256i both = _mm256_add_epi32(_mm256_slli_epi32(high_sums, kLowBits), low_sums);
    const __m128i sums =
        _mm_add_epi32(_mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1)), half);
    const __m128i values = _mm_srai_epi32(sums, kBits);
    const __m128i clipped = _mm_packus_epi16(_mm_packs_epi32(values, values), values);
    const int rgb = _mm_cvtsi128_si32(clipped);
    std::memcpy(out, &rgb, 3);
    out += 3;
  }
}
#else
bool has_avx2() { return false; }
#endif

void narrow_gray(const std::uint8_t* in, const ResizeScratch::Weights& columns, std::int64_t origin,
                 std::uint8_t* out) {
  for (std::size_t x = 0; x < columns.first.size(); ++x) {
    const std::int32_t* values = columns.values.data() + x * static_cast<std::size_t>(columns.most);
    const std::uint8_t* pixel = in + columns.first[x] - origin;
    std::int32_t sum = 1 << (kBits - 1);
    for (int k = 0; k < columns.count[x]; ++k) sum += values[k] * pixel[k];
    out[x] = clip(sum);
  }
}

void narrow_row(const std::uint8_t* in, const ResizeScratch::Weights& columns, std::int64_t origin,
                std::int64_t channels, std::uint8_t* out) {
  if (channels == 1) return narrow_gray(in, columns, origin, out);
  if (channels == 3) {
#ifdef SNUG_AVX2
    if (has_avx2()) return narrow_rgb_avx2(in, columns, origin, out);
#endif
    return narrow_rgb(in, columns.first.data(), columns.count.data(), columns.values.data(), columns.most,
                      std::ssize(columns.first), origin, out);
  }
  for (std::size_t x = 0; x < columns.first.size(); ++x) {
    const std::int32_t* values = columns.values.data() + x * static_cast<std::size_t>(columns.most);
    for (std::int64_t c = 0; c < channels; ++c) {
      std::int32_t sum = 1 << (kBits - 1);
      for (int k = 0; k < columns.count[x]; ++k) sum += values[k] * in[(columns.first[x] - origin + k) * channels + c];
      *out++ = clip(sum);
    }
  }
}

/// Source columns that any place of the result reads.
struct Range {
  std::int64_t begin = 0, end = 0;
};
Range range_of(const ResizeScratch::Weights& weights) {
  return {weights.first.front(), std::int64_t{weights.first.back()} + weights.count.back()};
}

/// Bytes that are read behind a row: a weight of 0 is one too.
std::size_t beyond(const ResizeScratch::Weights& columns, std::int64_t channels) {
  return channels == 3 ? static_cast<std::size_t>(columns.groups) * kTaps * 3 + 4 : 0;
}

}  // namespace

void resize_box(const std::uint8_t* in, std::int64_t height, std::int64_t width, std::int64_t channels, const Box& box,
                ResizeFilter filter, std::uint8_t* out, std::int64_t out_height, std::int64_t out_width,
                ResizeScratch& scratch) {
  ensure(height > 0 && width > 0 && out_height > 0 && out_width > 0, "pictures have pixels");
  make_weights(height, box.top, box.height, out_height, filter, scratch.rows);
  make_weights(width, box.left, box.width, out_width, filter, scratch.columns);
  if (channels == 3 && has_avx2()) cut_weights(scratch.columns);
  const Range used = range_of(scratch.columns);
  const std::int64_t row_size = (used.end - used.begin) * channels;
  scratch.sums.resize(static_cast<std::size_t>(row_size));
  scratch.middle.resize(static_cast<std::size_t>(row_size) + beyond(scratch.columns, channels));
  for (std::int64_t y = 0; y < out_height; ++y) {
    const auto row = static_cast<std::size_t>(y);
    const std::int32_t* values = scratch.rows.values.data() + row * static_cast<std::size_t>(scratch.rows.most);
    const std::uint8_t* source = in + (scratch.rows.first[row] * width + used.begin) * channels;
    for (int k = 0; k < scratch.rows.count[row]; k += 2) {
      const bool pair = k + 1 < scratch.rows.count[row];
      const std::uint8_t* a = source + k * width * channels;
      const std::uint8_t* b = pair ? a + width * channels : a;
      (k == 0 ? start_sums : add_rows)(a, values[k], b, pair ? values[k + 1] : 0, row_size, scratch.sums.data());
    }
    clip_row(scratch.sums.data(), row_size, scratch.middle.data());
    narrow_row(scratch.middle.data(), scratch.columns, used.begin, channels, out + y * out_width * channels);
  }
}

void resize_box(const float* in, std::int64_t height, std::int64_t width, std::int64_t channels, const Box& box,
                ResizeFilter filter, float* out, std::int64_t out_height, std::int64_t out_width,
                ResizeScratch& scratch) {
  ensure(height > 0 && width > 0 && out_height > 0 && out_width > 0, "pictures have pixels");
  make_weights(height, box.top, box.height, out_height, filter, scratch.rows);
  make_weights(width, box.left, box.width, out_width, filter, scratch.columns);
  constexpr float kUnit = 1.0F / (1 << kBits);
  scratch.middle_floats.resize(static_cast<std::size_t>(width * channels));
  for (std::int64_t y = 0; y < out_height; ++y) {
    const auto row = static_cast<std::size_t>(y);
    const std::int32_t* down = scratch.rows.values.data() + row * static_cast<std::size_t>(scratch.rows.most);
    std::ranges::fill(scratch.middle_floats, 0.0F);
    for (int k = 0; k < scratch.rows.count[row]; ++k) {
      const float* source = in + (scratch.rows.first[row] + k) * width * channels;
      const float weight = static_cast<float>(down[k]) * kUnit;
      for (std::size_t i = 0; i < scratch.middle_floats.size(); ++i) scratch.middle_floats[i] += weight * source[i];
    }
    for (std::size_t x = 0; x < scratch.columns.first.size(); ++x) {
      const std::int32_t* across = scratch.columns.values.data() + x * static_cast<std::size_t>(scratch.columns.most);
      for (std::int64_t c = 0; c < channels; ++c) {
        float sum = 0;
        for (int k = 0; k < scratch.columns.count[x]; ++k) {
          const auto place = static_cast<std::size_t>((scratch.columns.first[x] + k) * channels + c);
          sum += static_cast<float>(across[k]) * kUnit * scratch.middle_floats[place];
        }
        *out++ = sum;
      }
    }
  }
}

}  // namespace snug
