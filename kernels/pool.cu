#include "pool.cuh"

#include "rows.cuh"

namespace snug::kernels {

namespace {

/// The pool with the shape of what a thread computes: a packet of channels of one pixel.
struct Places {
  Pool pool;
  int packets;           ///< of a pixel
  std::int64_t threads;  ///< pixels · packets
};

struct Pixel {
  std::int64_t n;
  int h, w, channel;
};

/// In 32 bits: a tensor has less than 2^31 elements, and a division in 64 bits takes a hundred instructions.
template <int V>
__device__ inline Pixel pixel_of(std::int64_t number, int packets, int height, int width) {
  const auto i = static_cast<unsigned>(number), per_pixel = static_cast<unsigned>(packets);
  const unsigned pixel = i / per_pixel, row = pixel / static_cast<unsigned>(width);
  const unsigned n = row / static_cast<unsigned>(height);
  return {.n = n,
          .h = static_cast<int>(row - n * static_cast<unsigned>(height)),
          .w = static_cast<int>(pixel - row * static_cast<unsigned>(width)),
          .channel = static_cast<int>(i - pixel * per_pixel) * V};
}

__device__ inline std::int64_t offset(std::int64_t n, int h, int w, int channel, int height, int width, int channels) {
  return ((n * height + h) * width + w) * channels + channel;
}

/// visit(row, column, place) for the window's pixels inside the image, row by row.
template <class Visit>
__device__ inline void for_each_inside(const Pool& p, int h, int w, const Visit& visit) {
  for (int kh = 0; kh < p.window.kernel[0]; ++kh) {
    const int row = h * p.window.stride[0] - p.window.pad[0] + kh * p.window.dilation[0];
    if (row < 0 || row >= p.x.h) continue;
    for (int kw = 0; kw < p.window.kernel[1]; ++kw) {
      const int column = w * p.window.stride[1] - p.window.pad[1] + kw * p.window.dilation[1];
      if (column >= 0 && column < p.x.w) visit(row, column, kh * p.window.kernel[1] + kw);
    }
  }
}

/// The output that has `pixel` as element k of its window along an axis; -1 when there is none.
__device__ inline int window_of(const SlidingWindow& window, int axis, int pixel, int k, int outputs) {
  const int from = pixel + window.pad[axis] - k * window.dilation[axis];
  if (from < 0 || from % window.stride[axis] != 0) return -1;
  const int output = from / window.stride[axis];
  return output < outputs ? output : -1;
}

/// visit(y's row, column, place) for the windows that the input pixel lies in.
template <class Visit>
__device__ inline void for_each_window(const Pool& p, int h, int w, const Visit& visit) {
  for (int kh = 0; kh < p.window.kernel[0]; ++kh) {
    const int row = window_of(p.window, 0, h, kh, p.y_h);
    if (row < 0) continue;
    for (int kw = 0; kw < p.window.kernel[1]; ++kw) {
      const int column = window_of(p.window, 1, w, kw, p.y_w);
      if (column >= 0) visit(row, column, kh * p.window.kernel[1] + kw);
    }
  }
}

/// How many elements of a window along an axis lie inside the image.
__device__ inline int inside(const SlidingWindow& window, int axis, int output, int pixels) {
  int count = 0;
  for (int k = 0; k < window.kernel[axis]; ++k) {
    const int pixel = output * window.stride[axis] - window.pad[axis] + k * window.dilation[axis];
    count += pixel >= 0 && pixel < pixels ? 1 : 0;
  }
  return count;
}

__device__ inline std::int64_t thread_number() {
  return static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
}

template <class T, int V>
__global__ void __launch_bounds__(kThreads, 2) take_largest(T* y, std::uint8_t* index, const T* x, Places s) {
  if (thread_number() >= s.threads) return;
  const Pixel o = pixel_of<V>(thread_number(), s.packets, s.pool.y_h, s.pool.y_w);
  Packet<T, V> best;
  Packet<std::uint8_t, V> place;
  bool first = true;
  for_each_inside(s.pool, o.h, o.w, [&](int row, int column, int at) {
    const Packet<T, V> pixel = fetch<T, V>(x + offset(o.n, row, column, o.channel, s.pool.x.h, s.pool.x.w, s.pool.x.c));
#pragma unroll
    for (int v = 0; v < V; ++v) {
      const float value = to_float(pixel.at[v]);
      const float before = first ? 0.0F : to_float(best.at[v]);
      if (!first && !(value > before) && !(is_nan(value) && !is_nan(before))) continue;
      best.at[v] = pixel.at[v];
      place.at[v] = static_cast<std::uint8_t>(at);
    }
    first = false;
  });
  if (first) return;  // a window outside of the image: refused long before
  const std::int64_t to = offset(o.n, o.h, o.w, o.channel, s.pool.y_h, s.pool.y_w, s.pool.x.c);
  put(y + to, best);
  put(index + to, place);
}

template <class T, int V>
__global__ void __launch_bounds__(kThreads, 2)
    give_to_largest(T* dx, const T* dy, const std::uint8_t* index, Places s) {
  if (thread_number() >= s.threads) return;
  const Pixel i = pixel_of<V>(thread_number(), s.packets, s.pool.x.h, s.pool.x.w);
  float sums[V] = {};
  for_each_window(s.pool, i.h, i.w, [&](int row, int column, int at) {
    const std::int64_t from = offset(i.n, row, column, i.channel, s.pool.y_h, s.pool.y_w, s.pool.x.c);
    const Packet<std::uint8_t, V> place = fetch<std::uint8_t, V>(index + from);
    const Packet<T, V> gradient = fetch<T, V>(dy + from);
#pragma unroll
    for (int v = 0; v < V; ++v) sums[v] += place.at[v] == at ? to_float(gradient.at[v]) : 0.0F;
  });
  store<V>(dx + offset(i.n, i.h, i.w, i.channel, s.pool.x.h, s.pool.x.w, s.pool.x.c), sums);
}

template <class T, int V>
__global__ void __launch_bounds__(kThreads, 2) average(T* y, const T* x, Places s) {
  if (thread_number() >= s.threads) return;
  const Pixel o = pixel_of<V>(thread_number(), s.packets, s.pool.y_h, s.pool.y_w);
  float sums[V] = {};
  int count = 0;
  for_each_inside(s.pool, o.h, o.w, [&](int row, int column, int) {
    float values[V];
    load<V>(values, x + offset(o.n, row, column, o.channel, s.pool.x.h, s.pool.x.w, s.pool.x.c));
#pragma unroll
    for (int v = 0; v < V; ++v) sums[v] += values[v];
    ++count;
  });
#pragma unroll
  for (int v = 0; v < V; ++v) sums[v] /= static_cast<float>(count);
  store<V>(y + offset(o.n, o.h, o.w, o.channel, s.pool.y_h, s.pool.y_w, s.pool.x.c), sums);
}

template <class T, int V>
__global__ void __launch_bounds__(kThreads, 2) spread_average(T* dx, const T* dy, Places s) {
  if (thread_number() >= s.threads) return;
  const Pixel i = pixel_of<V>(thread_number(), s.packets, s.pool.x.h, s.pool.x.w);
  float sums[V] = {};
  for_each_window(s.pool, i.h, i.w, [&](int row, int column, int) {
    const int count = inside(s.pool.window, 0, row, s.pool.x.h) * inside(s.pool.window, 1, column, s.pool.x.w);
    float values[V];
    load<V>(values, dy + offset(i.n, row, column, i.channel, s.pool.y_h, s.pool.y_w, s.pool.x.c));
#pragma unroll
    for (int v = 0; v < V; ++v) sums[v] += values[v] / static_cast<float>(count);
  });
  store<V>(dx + offset(i.n, i.h, i.w, i.channel, s.pool.x.h, s.pool.x.w, s.pool.x.c), sums);
}

// ---- adaptive ---------------------------------------------------------------------------------------------------

// An axis has less than 65,536 pixels: products fit into 32 bits.
__device__ inline int cell_begin(int cell, int pixels, int cells) {
  return static_cast<int>(static_cast<unsigned>(cell) * static_cast<unsigned>(pixels) / static_cast<unsigned>(cells));
}
__device__ inline int cell_end(int cell, int pixels, int cells) {
  const unsigned end = static_cast<unsigned>(cell + 1) * static_cast<unsigned>(pixels);
  return static_cast<int>((end + static_cast<unsigned>(cells) - 1) / static_cast<unsigned>(cells));
}

/// Grid: x over tiles of channels, y over cells, z over images (walked). `t` has the rows of the largest cell.
template <class T, int V>
__global__ void __launch_bounds__(kThreads, 2) average_cells(T* y, const T* x, Pool pool, RowTiles t) {
  SHARED(Meeting<V>, between);
  const RowPlace p = row_place<V>(t);
  const int cell_h = static_cast<int>(blockIdx.y) / pool.y_w, cell_w = static_cast<int>(blockIdx.y) % pool.y_w;
  const int top = cell_begin(cell_h, pool.x.h, pool.y_h), left = cell_begin(cell_w, pool.x.w, pool.y_w);
  const int height = cell_end(cell_h, pool.x.h, pool.y_h) - top, width = cell_end(cell_w, pool.x.w, pool.y_w) - left;
  for (std::int64_t n = blockIdx.z; n < pool.x.n; n += gridDim.z) {
    float sums[V] = {};
    for (int i = static_cast<int>(threadIdx.x) / t.lanes; p.channel < t.channels && i < height * width; i += p.step) {
      float values[V];
      load<V>(values, x + offset(n, top + i / width, left + i % width, p.channel, pool.x.h, pool.x.w, pool.x.c));
#pragma unroll
      for (int v = 0; v < V; ++v) sums[v] += values[v];
    }
    const float sum = add_up_rows<V>(sums, t.lanes, between);
    if (const int channel = own_channel<V>(t); channel >= 0)
      y[offset(n, cell_h, cell_w, channel, pool.y_h, pool.y_w, pool.x.c)] =
          from_float<T>(sum / static_cast<float>(height * width));
  }
}

/// The first and the last cell that a pixel lies in, along an axis.
struct Cells {
  int first, last;
};
__device__ inline Cells cells_of(int pixel, int pixels, int cells) {
  const int middle = cell_begin(pixel, cells, pixels);
  Cells c{middle, middle};
  while (c.first > 0 && cell_end(c.first - 1, pixels, cells) > pixel) --c.first;
  while (c.last + 1 < cells && cell_begin(c.last + 1, pixels, cells) <= pixel) ++c.last;
  return c;
}

template <class T, int V>
__global__ void __launch_bounds__(kThreads, 2) spread_cells(T* dx, const T* dy, Places s) {
  if (thread_number() >= s.threads) return;
  const Pool& pool = s.pool;
  const Pixel i = pixel_of<V>(thread_number(), s.packets, pool.x.h, pool.x.w);
  const Cells rows = cells_of(i.h, pool.x.h, pool.y_h), columns = cells_of(i.w, pool.x.w, pool.y_w);
  float sums[V] = {};
  for (int row = rows.first; row <= rows.last; ++row) {
    const int height = cell_end(row, pool.x.h, pool.y_h) - cell_begin(row, pool.x.h, pool.y_h);
    for (int column = columns.first; column <= columns.last; ++column) {
      const int width = cell_end(column, pool.x.w, pool.y_w) - cell_begin(column, pool.x.w, pool.y_w);
      float values[V];
      load<V>(values, dy + offset(i.n, row, column, i.channel, pool.y_h, pool.y_w, pool.x.c));
#pragma unroll
      for (int v = 0; v < V; ++v) sums[v] += values[v] / static_cast<float>(height * width);
    }
  }
  store<V>(dx + offset(i.n, i.h, i.w, i.channel, pool.x.h, pool.x.w, pool.x.c), sums);
}

Places places(const Pool& pool, int height, int width, int per_packet) {
  const int packets = pool.x.c / per_packet;
  return {pool, packets, pool.x.n * height * width * packets};
}

unsigned blocks(const Places& s) { return static_cast<unsigned>(divide_up(s.threads, std::int64_t{kThreads})); }

/// call.operator()<T, V>() for the pool's data.
template <class Call, class... Pointers>
void by_packet(const Pool& pool, const Call& call, const Pointers*... pointers) {
  if (pool.x.n <= 0) return;
  by_type(pool.data, [&]<class T>() {
    by_width<T>(pool.x.c % kWide<T> == 0 && aligned(pointers...), [&]<int V>() { call.template operator()<T, V>(); });
  });
}

}  // namespace

void maxpool_forward(const Pool& pool, const void* x, void* y, std::uint8_t* index, Stream stream) {
  by_packet(
      pool,
      [&]<class T, int V>() {
        const Places s = places(pool, pool.y_h, pool.y_w, V);
        launch(take_largest<T, V>, blocks(s), kThreads, 0, stream, static_cast<T*>(y), index, static_cast<const T*>(x),
               s);
      },
      x, y, index);
}

void maxpool_backward(const Pool& pool, const void* dy, const std::uint8_t* index, void* dx, Stream stream) {
  by_packet(
      pool,
      [&]<class T, int V>() {
        const Places s = places(pool, pool.x.h, pool.x.w, V);
        launch(give_to_largest<T, V>, blocks(s), kThreads, 0, stream, static_cast<T*>(dx), static_cast<const T*>(dy),
               index, s);
      },
      dy, dx, index);
}

void avgpool_forward(const Pool& pool, const void* x, void* y, Stream stream) {
  by_packet(
      pool,
      [&]<class T, int V>() {
        const Places s = places(pool, pool.y_h, pool.y_w, V);
        launch(average<T, V>, blocks(s), kThreads, 0, stream, static_cast<T*>(y), static_cast<const T*>(x), s);
      },
      x, y);
}

void avgpool_backward(const Pool& pool, const void* dy, void* dx, Stream stream) {
  by_packet(
      pool,
      [&]<class T, int V>() {
        const Places s = places(pool, pool.x.h, pool.x.w, V);
        launch(spread_average<T, V>, blocks(s), kThreads, 0, stream, static_cast<T*>(dx), static_cast<const T*>(dy), s);
      },
      dy, dx);
}

void adaptive_avgpool_forward(const Pool& pool, const void* x, void* y, Stream stream) {
  by_packet(
      pool,
      [&]<class T, int V>() {
        const std::int64_t largest =
            static_cast<std::int64_t>(divide_up(pool.x.h, pool.y_h) + 1) * (divide_up(pool.x.w, pool.y_w) + 1);
        const RowTiles t = row_tiles(largest, pool.x.c, V, 1, 1);
        const dim3 grid(t.tiles, static_cast<unsigned>(pool.y_h * pool.y_w),
                        static_cast<unsigned>(pool.x.n < 65'535 ? pool.x.n : 65'535));
        launch(average_cells<T, V>, grid, kThreads, 0, stream, static_cast<T*>(y), static_cast<const T*>(x), pool, t);
      },
      x);
}

void adaptive_avgpool_backward(const Pool& pool, const void* dy, void* dx, Stream stream) {
  by_packet(
      pool,
      [&]<class T, int V>() {
        const Places s = places(pool, pool.x.h, pool.x.w, V);
        launch(spread_cells<T, V>, blocks(s), kThreads, 0, stream, static_cast<T*>(dx), static_cast<const T*>(dy), s);
      },
      dy, dx);
}

}  // namespace snug::kernels
