#include "backend/cpu/kernels/tables.h"
#include "backend/cpu/kernels/vector.h"

namespace snug::cpu::SNUG_ISA {

namespace {

constexpr std::int64_t kBlock = 64;  // columns whose sums stay in registers

/// Sums over rows, `count` vectors of columns side by side: term(row offset, column) is added up in registers.
template <class V, std::int64_t count, class Term>
[[gnu::always_inline]] inline void sum_columns(std::int64_t rows, std::int64_t stride, std::int64_t column, float* sums,
                                               const Term& term) {
  V total[count] = {};
  for (std::int64_t row = 0; row < rows; ++row) {
#pragma GCC unroll 16
    for (std::int64_t i = 0; i < count; ++i) total[i] += term(row * stride, column + i * Lanes<V>::count, V{});
  }
  for (std::int64_t i = 0; i < count; ++i) store<V>(sums + column + i * Lanes<V>::count, total[i]);
}

/// sums[j] = Σ over rows of term at column j, for all j < width.
template <class Term>
[[gnu::always_inline]] inline void column_sums(std::int64_t rows, std::int64_t stride, std::int64_t width, float* sums,
                                               const Term& term) {
  constexpr std::int64_t kVectors = kBlock / kLanes;
  std::int64_t column = 0;
  for (; column + kBlock <= width; column += kBlock) sum_columns<Vector, kVectors>(rows, stride, column, sums, term);
  for (; column + kLanes <= width; column += kLanes) sum_columns<Vector, 1>(rows, stride, column, sums, term);
  for (; column < width; ++column) sum_columns<float, 1>(rows, stride, column, sums, term);
}

/// Adds up the `fold` copies of each channel, and the rows left over from folding; result in double.
template <class Rest>
[[gnu::always_inline]] inline double unfold(const float* sums, std::int64_t channels, std::int64_t fold,
                                            std::int64_t channel, std::int64_t rest_rows, const Rest& rest) {
  double total = 0;
  for (std::int64_t f = 0; f < fold; ++f) total += static_cast<double>(sums[f * channels + channel]);
  for (std::int64_t r = 0; r < rest_rows; ++r) total += static_cast<double>(rest(r));
  return total;
}

void repeat(float* wide, const float* values, std::int64_t channels, std::int64_t fold) {
  for (std::int64_t f = 0; f < fold; ++f) __builtin_memcpy(wide + f * channels, values, channels * sizeof(float));
}

constexpr std::int64_t kRowsAtOnce = 4;  // their sum is added to a total in memory: a quarter of the traffic

/// totals[j] = Σ over rows of term, for rows too wide for registers: memory is walked in order, totals stay in L1.
template <class Term>
[[gnu::always_inline]] inline void wide_sums(std::int64_t rows, std::int64_t width, float* totals, const Term& term) {
  for (std::int64_t j = 0; j < width; ++j) totals[j] = 0;
  std::int64_t row = 0;
  for (; row + kRowsAtOnce <= rows; row += kRowsAtOnce) {
    const std::int64_t at = row * width;
#pragma omp simd
    for (std::int64_t j = 0; j < width; ++j) {
      totals[j] +=
          (term(at + j, j) + term(at + width + j, j)) + (term(at + 2 * width + j, j) + term(at + 3 * width + j, j));
    }
  }
  for (; row < rows; ++row) {
    const std::int64_t at = row * width;
#pragma omp simd
    for (std::int64_t j = 0; j < width; ++j) totals[j] += term(at + j, j);
  }
}

void wide_statistics(const float* x, std::int64_t rows, std::int64_t channels, float* mean, float* squares) {
  const auto inverse = static_cast<float>(1.0 / static_cast<double>(rows));
  wide_sums(rows, channels, mean, [x](std::int64_t at, std::int64_t) { return x[at]; });
  for (std::int64_t c = 0; c < channels; ++c) mean[c] *= inverse;
  wide_sums(rows, channels, squares, [x, mean](std::int64_t at, std::int64_t c) {
    const float d = x[at] - mean[c];
    return d * d;
  });
}

void statistics(const float* x, std::int64_t rows, std::int64_t channels, std::int64_t fold, float* mean,
                float* squares) {
  if (fold == 1 && channels > kBlock) return wide_statistics(x, rows, channels, mean, squares);
  const std::int64_t width = channels * fold;
  const std::int64_t wide_rows = rows / fold;
  const std::int64_t rest = rows - wide_rows * fold;
  const float* tail = x + wide_rows * width;
  float sums[kMaxFoldedWidth] = {};
  float center[kMaxFoldedWidth] = {};
  column_sums(wide_rows, width, width, sums,
              [x](std::int64_t offset, std::int64_t column, auto v) { return load<decltype(v)>(x + offset + column); });
  for (std::int64_t c = 0; c < channels; ++c) {
    const auto at = [=](std::int64_t r) { return tail[r * channels + c]; };
    mean[c] = static_cast<float>(unfold(sums, channels, fold, c, rest, at) / static_cast<double>(rows));
  }
  repeat(center, mean, channels, fold);
  column_sums(wide_rows, width, width, sums, [x, &center](std::int64_t offset, std::int64_t column, auto v) {
    using V = decltype(v);
    const V d = load<V>(x + offset + column) - load<V>(center + column);
    return d * d;
  });
  for (std::int64_t c = 0; c < channels; ++c) {
    const auto at = [=](std::int64_t r) {
      const float d = tail[r * channels + c] - mean[c];
      return d * d;
    };
    squares[c] = static_cast<float>(unfold(sums, channels, fold, c, rest, at));
  }
}

void normalize(float* y, const float* x, std::int64_t rows, std::int64_t width, const float* center, const float* scale,
               const float* shift) {
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t at = row * width;
#pragma omp simd
    for (std::int64_t j = 0; j < width; ++j) y[at + j] = (x[at + j] - center[j]) * scale[j] + shift[j];
  }
}

/// Both sums of one or more vectors of columns in one sweep.
template <class V, std::int64_t count>
[[gnu::always_inline]] inline void gradient_columns(const float* dy, const float* z, std::int64_t rows,
                                                    std::int64_t stride, const float* center, float* sum,
                                                    float* product) {
  constexpr std::int64_t kStep = Lanes<V>::count;
  V total[count] = {};
  V total_product[count] = {};
  V middle[count];
  for (std::int64_t i = 0; i < count; ++i) middle[i] = load<V>(center + i * kStep);
  for (std::int64_t row = 0; row < rows; ++row) {
#pragma GCC unroll 16
    for (std::int64_t i = 0; i < count; ++i) {
      const V g = load<V>(dy + row * stride + i * kStep);
      total[i] += g;
      total_product[i] += g * (load<V>(z + row * stride + i * kStep) - middle[i]);
    }
  }
  for (std::int64_t i = 0; i < count; ++i) {
    store<V>(sum + i * kStep, total[i]);
    store<V>(product + i * kStep, total_product[i]);
  }
}

void gradient_block(const float* dy, const float* z, std::int64_t rows, std::int64_t width, const float* center,
                    float* sum, float* product) {
  constexpr std::int64_t kVectors = 4;
  std::int64_t j = 0;
  for (; j + kVectors * kLanes <= width; j += kVectors * kLanes)
    gradient_columns<Vector, kVectors>(dy + j, z + j, rows, width, center + j, sum + j, product + j);
  for (; j + kLanes <= width; j += kLanes)
    gradient_columns<Vector, 1>(dy + j, z + j, rows, width, center + j, sum + j, product + j);
  for (; j < width; ++j) gradient_columns<float, 1>(dy + j, z + j, rows, width, center + j, sum + j, product + j);
}

/// As wide_sums, both sums in one sweep.
void wide_gradient_sums(const float* dy, const float* z, std::int64_t rows, std::int64_t width, const float* center,
                        float* sum, float* product) {
  for (std::int64_t j = 0; j < width; ++j) sum[j] = product[j] = 0;
  std::int64_t row = 0;
  for (; row + kRowsAtOnce <= rows; row += kRowsAtOnce) {
    const float *g0 = dy + row * width, *g1 = g0 + width, *g2 = g1 + width, *g3 = g2 + width;
    const float *z0 = z + row * width, *z1 = z0 + width, *z2 = z1 + width, *z3 = z2 + width;
#pragma omp simd
    for (std::int64_t j = 0; j < width; ++j) {
      const float middle = center[j];
      sum[j] += (g0[j] + g1[j]) + (g2[j] + g3[j]);
      product[j] +=
          (g0[j] * (z0[j] - middle) + g1[j] * (z1[j] - middle)) + (g2[j] * (z2[j] - middle) + g3[j] * (z3[j] - middle));
    }
  }
  for (; row < rows; ++row) {
    const std::int64_t at = row * width;
#pragma omp simd
    for (std::int64_t j = 0; j < width; ++j) {
      sum[j] += dy[at + j];
      product[j] += dy[at + j] * (z[at + j] - center[j]);
    }
  }
}

void gradient_sums(const float* dy, const float* z, std::int64_t rows, std::int64_t channels, std::int64_t fold,
                   const float* center, float* sum, float* product) {
  if (fold == 1 && channels > kBlock) return wide_gradient_sums(dy, z, rows, channels, center, sum, product);
  if (fold == 1) return gradient_block(dy, z, rows, channels, center, sum, product);
  const std::int64_t width = channels * fold;
  const std::int64_t wide_rows = rows / fold;
  const std::int64_t rest = rows - wide_rows * fold;
  float wide_center[kMaxFoldedWidth] = {};
  float sums[kMaxFoldedWidth] = {};
  float products[kMaxFoldedWidth] = {};
  repeat(wide_center, center, channels, fold);
  gradient_block(dy, z, wide_rows, width, wide_center, sums, products);
  for (std::int64_t c = 0; c < channels; ++c) {
    const float* dy_tail = dy + wide_rows * width + c;
    const float* z_tail = z + wide_rows * width + c;
    const float middle = center[c];
    const auto first = [=](std::int64_t r) { return dy_tail[r * channels]; };
    const auto second = [=](std::int64_t r) { return dy_tail[r * channels] * (z_tail[r * channels] - middle); };
    sum[c] = static_cast<float>(unfold(sums, channels, fold, c, rest, first));
    product[c] = static_cast<float>(unfold(products, channels, fold, c, rest, second));
  }
}

void gradient(float* dx, const float* dy, const float* z, std::int64_t rows, std::int64_t width, const float* center,
              const float* a, const float* b, const float* c) {
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t at = row * width;
#pragma omp simd
    for (std::int64_t j = 0; j < width; ++j) dx[at + j] = a[j] * dy[at + j] + (b[j] * (z[at + j] - center[j]) + c[j]);
  }
}

void scale(float* y, const float* x, std::int64_t rows, std::int64_t channels, const float* factor) {
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t at = row * channels;
#pragma omp simd
    for (std::int64_t j = 0; j < channels; ++j) y[at + j] = x[at + j] * factor[j];
  }
}

void products(const float* a, const float* b, std::int64_t rows, std::int64_t channels, float* sum) {
  wide_sums(rows, channels, sum, [a, b](std::int64_t at, std::int64_t) { return a[at] * b[at]; });
}

template <class T>
void normalize_input(float* y, const T* x, std::int64_t rows, std::int64_t channels, float divisor, const float* mean,
                     const float* inverse_std) {
  // One and three channels are the rule: rows are folded to fill vectors.
  const std::int64_t fold = channels <= kMaxFoldedWidth / 2 ? kMaxFoldedWidth / channels : 1;
  const std::int64_t width = channels * fold;
  float wide_mean[kMaxFoldedWidth];
  float wide_inverse[kMaxFoldedWidth];
  if (fold > 1) {
    repeat(wide_mean, mean, channels, fold);
    repeat(wide_inverse, inverse_std, channels, fold);
    mean = wide_mean;
    inverse_std = wide_inverse;
  }
  const std::int64_t count = rows * channels;
  for (std::int64_t at = 0; at < count; at += width) {
    const std::int64_t n = count - at < width ? count - at : width;
#pragma omp simd
    for (std::int64_t j = 0; j < n; ++j)
      y[at + j] = (static_cast<float>(x[at + j]) / divisor - mean[j]) * inverse_std[j];
  }
}

}  // namespace

ChannelKernels channel_kernels() {
  return {.statistics = statistics,
          .normalize = normalize,
          .gradient_sums = gradient_sums,
          .gradient = gradient,
          .scale = scale,
          .products = products,
          .normalize_bytes = normalize_input<std::uint8_t>,
          .normalize_floats = normalize_input<float>};
}

}  // namespace snug::cpu::SNUG_ISA
