#include "backend/cpu/kernels/tables.h"
#include "backend/cpu/kernels/vector.h"

namespace snug::cpu::SNUG_ISA {

namespace {

/// The taps of an output's window that lie inside the image, along one axis.
Range inside(const PoolGeometry& g, int axis, std::int64_t out, std::int64_t extent) {
  const std::int64_t first = out * g.stride[axis] - g.pad[axis];
  const std::int64_t step = g.dilation[axis];
  if (first >= 0 && first + step * (g.kernel[axis] - 1) < extent) return {0, g.kernel[axis]};  // spares divisions
  const std::int64_t begin = first >= 0 ? 0 : (-first + step - 1) / step;
  const std::int64_t end = first >= extent ? 0 : (extent - first + step - 1) / step;
  return {begin, end < g.kernel[axis] ? end : g.kernel[axis]};
}

/// The taps of a window that lie inside the image: where to read, and what to remember.
struct Taps {
  std::int64_t offset[256];
  std::int32_t place[256];
  int count = 0;
};

void list_taps(Taps& taps, const PoolGeometry& g, Range rows, Range columns) {
  taps.count = 0;
  for (std::int64_t r = rows.begin; r < rows.end; ++r) {
    for (std::int64_t c = columns.begin; c < columns.end; ++c) {
      taps.offset[taps.count] = (r * g.dilation[0] * g.in_width + c * g.dilation[1]) * g.channels;
      taps.place[taps.count++] = static_cast<std::int32_t>(r * g.kernel[1] + c);
    }
  }
}

template <class V, class T>
[[gnu::always_inline]] inline void max_block(const Taps& taps, const T* corner, T* y, std::uint8_t* index) {
  using I = typename Lanes<V>::Int;
  V best = broadcast<V>(-__builtin_inff());
  I place = I{} + taps.place[0];  // the first pixel inside the image wins even if it is -infinity
  for (int t = 0; t < taps.count; ++t) {
    const V v = load<V>(corner + taps.offset[t]);
    const auto take = (v > best) | (v != v);  // NOLINT(misc-redundant-expression): NaN differs from itself
    best = take ? v : best;
    place = take ? I{} + taps.place[t] : place;
  }
  store<V>(y, best);
  store_bytes(index, place);
}

template <class T>
void max_forward(const PoolGeometry& g, std::int64_t out_row, const T* x, T* y, std::uint8_t* index) {
  const Range rows = inside(g, 0, out_row, g.in_height);
  const std::int64_t top = out_row * g.stride[0] - g.pad[0];
  Taps taps;
  taps.place[0] = 0;
  Range listed{-1, -1};
  for (std::int64_t out = 0; out < g.out_width; ++out) {
    const Range columns = inside(g, 1, out, g.in_width);
    if (columns.begin != listed.begin || columns.end != listed.end) {  // the same for all windows but at the edges
      list_taps(taps, g, rows, columns);
      listed = columns;
    }
    const std::int64_t left = out * g.stride[1] - g.pad[1];
    const std::int64_t offset = (top * g.in_width + left) * g.channels;  // may point outside; its taps do not
    for_lanes(g.channels, [&](std::int64_t c, auto v) {
      max_block<decltype(v)>(taps, x + (offset + c), y + out * g.channels + c, index + out * g.channels + c);
    });
  }
}

/// The tap of output `out` that reads input `in` along one axis, or -1 where dilation leaves it out.
[[gnu::always_inline]] inline std::int64_t tap_of(const PoolGeometry& g, int axis, std::int64_t in, std::int64_t out) {
  const std::int64_t distance = in + g.pad[axis] - out * g.stride[axis];
  if (g.dilation[axis] == 1) return distance;  // spares divisions
  return distance % g.dilation[axis] == 0 ? distance / g.dilation[axis] : -1;
}

/// The outputs whose windows reach over an input pixel: where they lie, and the place that it has in each window.
void list_readers(Taps& taps, const PoolGeometry& g, std::int64_t in_row, std::int64_t in, Range rows, Range columns) {
  taps.count = 0;
  for (std::int64_t r = rows.begin; r < rows.end; ++r) {
    const std::int64_t row_tap = tap_of(g, 0, in_row, r);
    for (std::int64_t c = columns.begin; c < columns.end; ++c) {
      const std::int64_t column_tap = tap_of(g, 1, in, c);
      if (row_tap < 0 || column_tap < 0) continue;
      taps.offset[taps.count] = (r * g.out_width + c) * g.channels;
      taps.place[taps.count++] = static_cast<std::int32_t>(row_tap * g.kernel[1] + column_tap);
    }
  }
}

/// What one pixel gathers from the windows that chose it.
template <class T>
void gather(const Taps& taps, std::int64_t channels, const T* dy, const std::uint8_t* index, T* dx) {
  const int readers = taps.count;
  const std::int64_t first = taps.offset[0];
  const std::int32_t first_place = taps.place[0];
  for_lanes(channels, [&](std::int64_t channel, auto v) {
    using V = decltype(v);
    using I = typename Lanes<V>::Int;
    const auto from = [&](std::int64_t offset, std::int32_t wanted) {
      const I place = load_bytes(index + offset + channel, static_cast<I*>(nullptr));
      const V gradient = load<V>(dy + offset + channel);
      return place == I{} + wanted ? gradient : V{};
    };
    V sum = from(first, first_place);
    for (int t = 1; t < readers; ++t) sum += from(taps.offset[t], taps.place[t]);
    store<V>(dx + channel, sum);
  });
}

/// A row of dx [in_width][channels] where windows lie side by side: each pixel has one reader, if any. So the places
/// and the gradient of a window, [channels] both, are read once for all of its pixels in this row.
template <class T>
void spread_row(const PoolGeometry& g, std::int64_t in_row, Range rows, const T* dy, const std::uint8_t* index, T* dx) {
  const std::int64_t channels = g.channels, kernel = g.kernel[1], row = rows.begin;
  const std::int64_t behind = g.out_width * kernel - g.pad[1];  // the first pixel that no window reaches
  const auto first_place = static_cast<std::int32_t>((in_row + g.pad[0] - row * g.kernel[0]) * kernel);
  for (std::int64_t out = 0; out < g.out_width; ++out) {
    const std::int64_t left = out * kernel - g.pad[1], begin = left < 0 ? -left : 0;
    const std::int64_t end = left + kernel > g.in_width ? g.in_width - left : kernel;
    const std::int64_t from = (row * g.out_width + out) * channels;
    T* const to = dx + left * channels;  // may point outside; pixels from `begin` on do not
    const auto spread = [&](std::int64_t first, std::int64_t last) __attribute__((always_inline)) {
      for_lanes(channels, [&](std::int64_t channel, auto v) {
        using V = decltype(v);
        using I = typename Lanes<V>::Int;
        const I place = load_bytes(index + from + channel, static_cast<I*>(nullptr)) - first_place;
        const V gradient = load<V>(dy + from + channel);
#pragma GCC unroll 2
        for (std::int64_t tap = first; tap < last; ++tap)
          store<V>(to + tap * channels + channel, place == I{} + static_cast<std::int32_t>(tap) ? gradient : V{});
      });
    };
    begin == 0 && end == 2 ? spread(0, 2) : spread(begin, end);  // 2×2, the rule
  }
  for (std::int64_t i = behind * channels; i < g.in_width * channels; ++i) dx[i] = T{};
}

/// Whether no two windows reach over the same pixel, no pixel is left out between them, and the first has some.
bool side_by_side(const PoolGeometry& g) {
  return g.stride[0] == g.kernel[0] && g.stride[1] == g.kernel[1] && g.dilation[0] == 1 && g.dilation[1] == 1 &&
         g.pad[1] < g.kernel[1];
}

template <class T>
void max_backward(const PoolGeometry& g, std::int64_t in_row, Range rows, const Range* columns, const T* dy,
                  const std::uint8_t* index, T* dx) {
  if (side_by_side(g) && rows.begin < rows.end) return spread_row(g, in_row, rows, dy, index, dx);
  Taps taps;
  for (std::int64_t in = 0; in < g.in_width; ++in) {
    list_readers(taps, g, in_row, in, rows, columns[in]);
    T* pixel = dx + in * g.channels;
    if (taps.count > 0) {
      gather(taps, g.channels, dy, index, pixel);
    } else {
      for (std::int64_t channel = 0; channel < g.channels; ++channel) pixel[channel] = T{};
    }
  }
}

template <class T>
void average_forward(T* y, const T* x, std::int64_t channels, std::int64_t in_width, Range rows, const Range* columns,
                     std::int64_t out_width) {
  for (std::int64_t out = 0; out < out_width; ++out) {
    const Range span = columns[out];
    const float weight = 1.0F / static_cast<float>((rows.end - rows.begin) * (span.end - span.begin));
    for_lanes(channels, [&](std::int64_t channel, auto v) {
      using V = decltype(v);
      V sum{};
      for (std::int64_t r = rows.begin; r < rows.end; ++r) {
        for (std::int64_t c = span.begin; c < span.end; ++c)
          sum += load<V>(x + (r * in_width + c) * channels + channel);
      }
      store<V>(y + out * channels + channel, sum * weight);
    });
  }
}

template <class T>
void average_backward(T* dx, const T* dy, std::int64_t channels, std::int64_t out_width, Range rows,
                      const float* row_weights, const Range* columns, const float* column_weights,
                      std::int64_t in_width) {
  for (std::int64_t in = 0; in < in_width; ++in) {
    const Range span = columns[in];
    for_lanes(channels, [&](std::int64_t channel, auto v) {
      using V = decltype(v);
      V sum{};
      for (std::int64_t r = rows.begin; r < rows.end; ++r) {
        for (std::int64_t c = span.begin; c < span.end; ++c)
          sum += load<V>(dy + (r * out_width + c) * channels + channel) * (row_weights[r] * column_weights[c]);
      }
      store<V>(dx + in * channels + channel, sum);
    });
  }
}

template <class T>
constexpr PoolKernels<T> kernels_of() {
  return {.max_forward = max_forward<T>,
          .max_backward = max_backward<T>,
          .average_forward = average_forward<T>,
          .average_backward = average_backward<T>};
}

}  // namespace

ByStorage<PoolKernels> pool_kernels() { return {.f32 = kernels_of<float>(), .bf16 = kernels_of<Bf16>()}; }

}  // namespace snug::cpu::SNUG_ISA
