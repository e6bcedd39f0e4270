#include "backend/cpu/kernels/functions.h"
#include "backend/cpu/kernels/tables.h"

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
    for (std::int64_t i = 0; i < count; ++i) total[i] += term(row * stride, column + i * Lanes<V>::kCount, V{});
  }
  for (std::int64_t i = 0; i < count; ++i) store<V>(sums + column + i * Lanes<V>::kCount, total[i]);
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
/// Rows begin `stride` elements apart.
template <class Term>
[[gnu::always_inline]] inline void wide_sums(std::int64_t rows, std::int64_t stride, std::int64_t width, float* totals,
                                             const Term& term) {
  for (std::int64_t j = 0; j < width; ++j) totals[j] = 0;
  std::int64_t row = 0;
  for (; row + kRowsAtOnce <= rows; row += kRowsAtOnce) {
    const std::int64_t at = row * stride;
#pragma omp simd
    for (std::int64_t j = 0; j < width; ++j) {
      totals[j] +=
          (term(at + j, j) + term(at + stride + j, j)) + (term(at + 2 * stride + j, j) + term(at + 3 * stride + j, j));
    }
  }
  for (; row < rows; ++row) {
    const std::int64_t at = row * stride;
#pragma omp simd
    for (std::int64_t j = 0; j < width; ++j) totals[j] += term(at + j, j);
  }
}

template <class T>
void wide_statistics(Pitched<const T> x, std::int64_t rows, std::int64_t channels, float* mean, float* squares) {
  const auto inverse = static_cast<float>(1.0 / static_cast<double>(rows));
  wide_sums(rows, x.pitch, channels, mean, [x = x.data](std::int64_t at, std::int64_t) { return to_float(x[at]); });
  for (std::int64_t c = 0; c < channels; ++c) mean[c] *= inverse;
  wide_sums(rows, x.pitch, channels, squares, [x = x.data, mean](std::int64_t at, std::int64_t c) {
    const float d = to_float(x[at]) - mean[c];
    return d * d;
  });
}

template <class T>
void statistics(Pitched<const T> slice, std::int64_t rows, std::int64_t channels, std::int64_t fold, float* mean,
                float* squares) {
  if (fold == 1 && channels > kBlock) return wide_statistics(slice, rows, channels, mean, squares);
  const T* x = slice.data;
  const std::int64_t width = channels * fold;
  const std::int64_t stride = slice.pitch * fold;
  const std::int64_t wide_rows = rows / fold;
  const std::int64_t rest = rows - wide_rows * fold;
  const T* tail = x + wide_rows * stride;
  float sums[kMaxFoldedWidth] = {};
  float center[kMaxFoldedWidth] = {};
  column_sums(wide_rows, stride, width, sums,
              [x](std::int64_t offset, std::int64_t column, auto v) { return load<decltype(v)>(x + offset + column); });
  for (std::int64_t c = 0; c < channels; ++c) {
    const auto at = [=](std::int64_t r) { return to_float(tail[r * channels + c]); };
    mean[c] = static_cast<float>(unfold(sums, channels, fold, c, rest, at) / static_cast<double>(rows));
  }
  repeat(center, mean, channels, fold);
  column_sums(wide_rows, stride, width, sums, [x, &center](std::int64_t offset, std::int64_t column, auto v) {
    using V = decltype(v);
    const V d = load<V>(x + offset + column) - load<V>(center + column);
    return d * d;
  });
  for (std::int64_t c = 0; c < channels; ++c) {
    const auto at = [=](std::int64_t r) {
      const float d = to_float(tail[r * channels + c]) - mean[c];
      return d * d;
    };
    squares[c] = static_cast<float>(unfold(sums, channels, fold, c, rest, at));
  }
}

/// Values of some columns of up to kRowsAtOnce rows, on their way to storage: narrowing by instruction wants vectors of
/// floats, and loops that the compiler vectorises cannot ask for it.
struct Staged {
  float values[kRowsAtOnce][kBlock];
};

template <class T>
inline constexpr bool kStages = kNarrowsByInstruction && sizeof(T) != sizeof(float);

/// y = value(row, column) for rows [row, row + count) and columns [column, column + columns).
template <std::int64_t count, class T, class Value>
[[gnu::always_inline]] inline void map_block(Pitched<T> to, std::int64_t row, std::int64_t column, std::int64_t columns,
                                             const Value& value) {
  T* const y = to.data + row * to.pitch + column;
  const std::int64_t pitch = to.pitch;
  if constexpr (kStages<T>) {
    Staged staged;
#pragma omp simd
    for (std::int64_t j = 0; j < columns; ++j) {
#pragma GCC unroll 4
      for (std::int64_t r = 0; r < count; ++r) staged.values[r][j] = value(row + r, column + j);
    }
    for (std::int64_t r = 0; r < count; ++r) narrow_block(y + r * pitch, staged.values[r], columns);
  } else {
#pragma omp simd
    for (std::int64_t j = 0; j < columns; ++j) {
#pragma GCC unroll 4
      for (std::int64_t r = 0; r < count; ++r) y[r * pitch + j] = from_float<T>(value(row + r, column + j));
    }
  }
}

/// The same for all columns: several rows at a time share what is loaded of a column.
template <std::int64_t count, class T, class Value>
[[gnu::always_inline]] inline void map_some_rows(Pitched<T> y, std::int64_t row, std::int64_t width,
                                                 const Value& value) {
  std::int64_t column = 0;
  for (; column + kBlock <= width; column += kBlock) map_block<count>(y, row, column, kBlock, value);
  if (column < width) map_block<count>(y, row, column, width - column, value);
}
template <class T, class Value>
[[gnu::always_inline]] inline void map_rows(Pitched<T> y, std::int64_t rows, std::int64_t width, const Value& value) {
  std::int64_t row = 0;
  if constexpr (kStages<T>) {  // memory bounds the others, and rows of 4 KiB would share few sets of the cache
    for (; row + kRowsAtOnce <= rows; row += kRowsAtOnce) map_some_rows<kRowsAtOnce>(y, row, width, value);
  }
  for (; row < rows; ++row) map_some_rows<1>(y, row, width, value);
}

template <class T, class Function>
void normalize(T* y, Pitched<const T> from, const T* residual, std::int64_t rows, std::int64_t width,
               const ChannelVectors& v) {
  const T* x = from.data;
  const std::int64_t pitch = from.pitch;
  const float *center = v.center, *scale = v.scale, *shift = v.shift;
  const auto normalized = [=](std::int64_t row, std::int64_t j) {
    return (to_float(x[row * pitch + j]) - center[j]) * scale[j] + shift[j];
  };
  const Pitched<T> to{y, width};
  if (residual == nullptr) {
    map_rows(to, rows, width, [=](std::int64_t row, std::int64_t j) { return Function::value(normalized(row, j)); });
  } else {
    map_rows(to, rows, width, [=](std::int64_t row, std::int64_t j) {
      return Function::value(normalized(row, j) + to_float(residual[row * width + j]));
    });
  }
}

/// The gradient before the activation, whose slope is had again from the norm's input.
template <class Function>
[[gnu::always_inline]] inline float gradient_at_input(float dy, float z, const ChannelVectors& v, std::int64_t j) {
  return dy * Function::slope((z - v.center[j]) * v.scale[j] + v.shift[j]);
}
template <>
[[gnu::always_inline]] inline float gradient_at_input<Identity>(float dy, float /*z*/, const ChannelVectors& /*v*/,
                                                                std::int64_t /*j*/) {
  return dy;
}

/// What becomes of a gradient besides being summed: nothing, or it is stored.
struct NotStored {
  [[gnu::always_inline]] void advance(std::int64_t /*elements*/) {}
};
template <class T>
struct Stored {
  T* g;
  [[gnu::always_inline]] void advance(std::int64_t elements) { g += elements; }
};

/// gradient(row, column) of `columns` columns, stored on the way; g points at the first of them.
template <std::int64_t count, class T, class Gradient>
[[gnu::always_inline]] inline void stage_and_store(Staged& staged, T* g, std::int64_t row, std::int64_t width,
                                                   std::int64_t column, std::int64_t columns,
                                                   const Gradient& gradient) {
  for (std::int64_t r = 0; r < count; ++r) {
    float* values = staged.values[r];
#pragma omp simd
    for (std::int64_t j = 0; j < columns; ++j) values[j] = gradient(row + r, column + j);
    if constexpr (kStages<T>) {
      narrow_block(g + r * width, values, columns);
    } else {
#pragma omp simd
      for (std::int64_t j = 0; j < columns; ++j) g[r * width + j] = from_float<T>(values[j]);
    }
  }
}

/// Adds g and g · (z − center) of some rows and columns; value(r, j) is g, z points at the first element.
template <std::int64_t count, class T, class Value>
[[gnu::always_inline]] inline void add_block(Pitched<const T> z, std::int64_t columns, const float* center, float* sum,
                                             float* product, const Value& value) {
#pragma omp simd
  for (std::int64_t j = 0; j < columns; ++j) {
    const float middle = center[j];
    float g[count], p[count];
#pragma GCC unroll 4
    for (std::int64_t r = 0; r < count; ++r) {
      g[r] = value(r, j);
      p[r] = g[r] * (to_float(z.data[r * z.pitch + j]) - middle);
    }
    if constexpr (count == kRowsAtOnce) {
      sum[j] += (g[0] + g[1]) + (g[2] + g[3]);
      product[j] += (p[0] + p[1]) + (p[2] + p[3]);
    } else {
      sum[j] += g[0];
      product[j] += p[0];
    }
  }
}

template <std::int64_t count, class T, class Gradient>
[[gnu::always_inline]] inline void add_rows(Pitched<const T> z, std::int64_t row, std::int64_t width,
                                            const float* center, float* sum, float* product, const Gradient& gradient,
                                            const NotStored& /*store*/) {
  add_block<count>(Pitched<const T>{z.data + row * z.pitch, z.pitch}, width, center, sum, product,
                   [&](std::int64_t r, std::int64_t j) { return gradient(row + r, j); });
}
template <std::int64_t count, class T, class Gradient>
[[gnu::always_inline]] inline void add_rows(Pitched<const T> z, std::int64_t row, std::int64_t width,
                                            const float* center, float* sum, float* product, const Gradient& gradient,
                                            const Stored<T>& store) {
  for (std::int64_t column = 0; column < width; column += kBlock) {
    const std::int64_t columns = width - column < kBlock ? width - column : kBlock;
    Staged staged;
    stage_and_store<count>(staged, store.g + row * width + column, row, width, column, columns, gradient);
    add_block<count>(Pitched<const T>{z.data + row * z.pitch + column, z.pitch}, columns, center + column, sum + column,
                     product + column, [&](std::int64_t r, std::int64_t j) { return staged.values[r][j]; });
  }
}

/// Σ g and Σ g · (z − center) by column; gradient(row, column) is g.
template <class T, class Gradient, class Store>
[[gnu::always_inline]] inline void two_sums(Pitched<const T> z, std::int64_t rows, std::int64_t width,
                                            const float* center, float* sum, float* product, const Gradient& gradient,
                                            const Store& store) {
  for (std::int64_t j = 0; j < width; ++j) sum[j] = product[j] = 0;
  std::int64_t row = 0;
  for (; row + kRowsAtOnce <= rows; row += kRowsAtOnce)
    add_rows<kRowsAtOnce>(z, row, width, center, sum, product, gradient, store);
  for (; row < rows; ++row) add_rows<1>(z, row, width, center, sum, product, gradient, store);
}

/// The same of channels: folded rows first, then the few that are left; joined in double. gradient(element of a packed
/// tensor, element of z, column).
template <class T, class Gradient, class Store>
[[gnu::always_inline]] inline void channel_sums(Pitched<const T> z, std::int64_t rows, std::int64_t channels,
                                                std::int64_t fold, const float* center, float* sum, float* product,
                                                const Gradient& gradient, Store store) {
  const std::int64_t wide_rows = rows / fold;
  const std::int64_t wide = channels * fold;
  float sums[2 * kMaxFoldedWidth];
  float products[2 * kMaxFoldedWidth];
  // One loop, so that the compiler writes the sweep once: rows without folds need no second turn and no joining.
  for (std::int64_t turn = 0; turn < (fold == 1 ? 1 : 2); ++turn) {
    const std::int64_t width = turn == 0 ? wide : channels;
    const std::int64_t pitch = turn == 0 ? z.pitch * fold : z.pitch;
    const std::int64_t first = turn * wide_rows * wide;
    const std::int64_t first_z = turn * wide_rows * fold * z.pitch;
    two_sums(
        Pitched<const T>{z.data + first_z, pitch}, turn == 0 ? wide_rows : rows - wide_rows * fold, width, center,
        fold == 1 ? sum : sums + turn * wide, fold == 1 ? product : products + turn * wide,
        [&](std::int64_t row, std::int64_t j) {
          return gradient(first + row * width + j, first_z + row * pitch + j, j);
        },
        store);
    store.advance(wide_rows * wide);
  }
  if (fold == 1) return;
  for (std::int64_t c = 0; c < channels; ++c) {
    double total = 0, total_product = 0;
    for (std::int64_t at = c; at < wide + channels; at += channels) {
      total += static_cast<double>(sums[at]);
      total_product += static_cast<double>(products[at]);
    }
    sum[c] = static_cast<float>(total);
    product[c] = static_cast<float>(total_product);
  }
}

template <class T, class Function>
void gradient_sums(const T* dy, Pitched<const T> z, std::int64_t rows, std::int64_t channels, std::int64_t fold,
                   const ChannelVectors& vectors, float* sum, float* product) {
  const ChannelVectors v = vectors;
  const auto gradient = [=, z = z.data](std::int64_t at, std::int64_t at_z, std::int64_t j) {
    return gradient_at_input<Function>(to_float(dy[at]), to_float(z[at_z]), v, j);
  };
  channel_sums(z, rows, channels, fold, v.center, sum, product, gradient, NotStored{});
}

template <class T, class Function>
void residual_sums(T* g, const T* dy, const T* y, Pitched<const T> z, std::int64_t rows, std::int64_t channels,
                   std::int64_t fold, const float* center, float* sum, float* product) {
  const auto gradient = [=](std::int64_t at, std::int64_t, std::int64_t) {
    return to_float(dy[at]) * Function::slope_of_output(to_float(y[at]));
  };
  channel_sums(z, rows, channels, fold, center, sum, product, gradient, Stored<T>{g});
}

template <class T, class Function>
void gradient(Pitched<T> to, bool add, const T* dy, Pitched<const T> from, std::int64_t rows, std::int64_t width,
              const ChannelVectors& vectors, const float* a, const float* b, const float* c) {
  const ChannelVectors v = vectors;
  const T* z = from.data;
  const std::int64_t pitch = from.pitch;
  const auto value = [=](std::int64_t row, std::int64_t j) {
    const float x = to_float(z[row * pitch + j]);
    const float g = gradient_at_input<Function>(to_float(dy[row * width + j]), x, v, j);
    return a[j] * g + (b[j] * (x - v.center[j]) + c[j]);
  };
  if (add) {
    map_rows(to, rows, width,
             [=](std::int64_t row, std::int64_t j) { return to_float(to.data[row * to.pitch + j]) + value(row, j); });
  } else {
    map_rows(to, rows, width, value);
  }
}

template <class T>
void scale(T* y, const T* x, std::int64_t rows, std::int64_t channels, const float* factor) {
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t at = row * channels;
#pragma omp simd
    for (std::int64_t j = 0; j < channels; ++j) y[at + j] = from_float<T>(to_float(x[at + j]) * factor[j]);
  }
}

template <class T>
void products(const T* a, const T* b, std::int64_t rows, std::int64_t channels, float* sum) {
  wide_sums(rows, channels, channels, sum,
            [a, b](std::int64_t at, std::int64_t) { return to_float(a[at]) * to_float(b[at]); });
}

template <class T, class Pixel>
void normalize_input(T* y, const Pixel* x, std::int64_t rows, std::int64_t channels, float divisor, const float* mean,
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
      y[at + j] = from_float<T>((static_cast<float>(x[at + j]) / divisor - mean[j]) * inverse_std[j]);
  }
}

template <class T>
ChannelKernels<T> kernels_of() {
  return {.statistics = statistics<T>,
          .normalize = {normalize<T, Relu>, normalize<T, Relu6>, normalize<T, LeakyRelu>, normalize<T, Silu>,
                        normalize<T, Gelu>, normalize<T, Sigmoid>, normalize<T, Tanh>, normalize<T, Identity>},
          .gradient_sums = {gradient_sums<T, Relu>, gradient_sums<T, Relu6>, gradient_sums<T, LeakyRelu>,
                            gradient_sums<T, Silu>, gradient_sums<T, Gelu>, gradient_sums<T, Sigmoid>,
                            gradient_sums<T, Tanh>, gradient_sums<T, Identity>},
          .residual_sums = {residual_sums<T, Relu>, residual_sums<T, Relu6>, residual_sums<T, LeakyRelu>, nullptr,
                            nullptr, residual_sums<T, Sigmoid>, residual_sums<T, Tanh>, residual_sums<T, Identity>},
          .gradient = {gradient<T, Relu>, gradient<T, Relu6>, gradient<T, LeakyRelu>, gradient<T, Silu>,
                       gradient<T, Gelu>, gradient<T, Sigmoid>, gradient<T, Tanh>, gradient<T, Identity>},
          .scale = scale<T>,
          .products = products<T>,
          .normalize_bytes = normalize_input<T, std::uint8_t>,
          .normalize_floats = normalize_input<T, float>};
}

}  // namespace

ByStorage<ChannelKernels> channel_kernels() { return {.f32 = kernels_of<float>(), .bf16 = kernels_of<Bf16>()}; }

}  // namespace snug::cpu::SNUG_ISA
