#include "depthwise.cuh"

#include "functions.cuh"
#include "rows.cuh"

namespace snug::kernels {

namespace {

/// Blocks of a weight gradient, all places of the window together.
constexpr int kGradientRows = 32, kGradientBlocks = 1024;
/// Columns of a window that a thread adds up at once; wider windows take several blocks.
constexpr int kColumnsAtOnce = 3;

struct Spot {
  std::int64_t n;
  int h, w;
};
/// In 32 bits: a tensor has less than 2^31 elements.
__device__ inline Spot spot_of(std::int64_t number, int height, int width) {
  const auto pixel = static_cast<unsigned>(number), h = static_cast<unsigned>(height), w = static_cast<unsigned>(width);
  const unsigned row = pixel / w, n = row / h;
  return {n, static_cast<int>(row - n * h), static_cast<int>(pixel - row * w)};
}

/// The filters of a tile's channels in shared memory as [place][channel of the tile], so that a packet's lie together.
template <class T, int V>
__device__ inline const float* filters_of_tile(const T* w, int taps, const RowTiles& t) {
  auto* filters = dynamic_shared<float>();
  const int width = t.lanes * V, first = static_cast<int>(blockIdx.x) * width;
  for (int i = static_cast<int>(threadIdx.x); i < width * taps; i += kThreads) {
    const int channel = i / taps, tap = i % taps;
    filters[tap * width + channel] =
        first + channel < t.channels ? to_float(w[static_cast<std::int64_t>(first) * taps + i]) : 0.0F;
  }
  __syncthreads();
  return filters;
}

template <int V>
__device__ inline void add_products(float (&sums)[V], const float (&values)[V], const float* filter) {
#pragma unroll
  for (int v = 0; v < V; ++v) sums[v] = fmaf(values[v], filter[v], sums[v]);
}

template <class T, int V, class Choice>
__global__ void __launch_bounds__(kThreads, 2)
    filter_pixels(T* y, const T* x, const T* w, const float* bias, Depthwise conv, RowTiles t, Activation kind) {
  const SlidingWindow& window = conv.window;
  const float* filters = filters_of_tile<T, V>(w, window.kernel[0] * window.kernel[1], t);
  const RowPlace p = row_place<V>(t);
  if (p.channel >= t.channels) return;
  float shift[V] = {};
  if (bias != nullptr) {
#pragma unroll
    for (int v = 0; v < V; ++v) shift[v] = bias[p.channel + v];
  }
  for (std::int64_t row = p.begin; row < p.end; row += p.step) {
    const Spot o = spot_of(row, conv.y_h, conv.y_w);
    float sums[V];
#pragma unroll
    for (int v = 0; v < V; ++v) sums[v] = shift[v];
    for (int kh = 0; kh < window.kernel[0]; ++kh) {
      const int h = o.h * window.stride[0] - window.pad[0] + kh * window.dilation[0];
      if (h < 0 || h >= conv.x.h) continue;
      const T* line = x + ((o.n * conv.x.h + h) * conv.x.w) * t.channels + p.channel;
      for (int kw = 0; kw < window.kernel[1]; ++kw) {
        const int column = o.w * window.stride[1] - window.pad[1] + kw * window.dilation[1];
        if (column < 0 || column >= conv.x.w) continue;
        float values[V];
        load<V>(values, line + static_cast<std::int64_t>(column) * t.channels);
        add_products<V>(sums, values, filters + (kh * window.kernel[1] + kw) * t.lanes * V + p.lane * V);
      }
    }
#pragma unroll
    for (int v = 0; v < V; ++v) sums[v] = activate(Choice::of(kind), sums[v]);
    store<V>(y + row * t.channels + p.channel, sums);
  }
}

/// The output along an axis that has `pixel` as element k of its window; -1 when there is none.
__device__ inline int output_of(const SlidingWindow& window, int axis, int pixel, int k, int outputs) {
  const int from = pixel + window.pad[axis] - k * window.dilation[axis];
  if (from < 0 || from % window.stride[axis] != 0) return -1;
  return from / window.stride[axis] < outputs ? from / window.stride[axis] : -1;
}

template <class T, int V>
__global__ void __launch_bounds__(kThreads, 2)
    filter_gradients(T* dx, const T* dy, const T* w, Depthwise conv, RowTiles t) {
  const SlidingWindow& window = conv.window;
  const float* filters = filters_of_tile<T, V>(w, window.kernel[0] * window.kernel[1], t);
  const RowPlace p = row_place<V>(t);
  if (p.channel >= t.channels) return;
  for (std::int64_t row = p.begin; row < p.end; row += p.step) {
    const Spot i = spot_of(row, conv.x.h, conv.x.w);
    float sums[V] = {};
    for (int kh = 0; kh < window.kernel[0]; ++kh) {
      const int h = output_of(window, 0, i.h, kh, conv.y_h);
      if (h < 0) continue;
      const T* line = dy + ((i.n * conv.y_h + h) * conv.y_w) * t.channels + p.channel;
      for (int kw = 0; kw < window.kernel[1]; ++kw) {
        const int column = output_of(window, 1, i.w, kw, conv.y_w);
        if (column < 0) continue;
        float values[V];
        load<V>(values, line + static_cast<std::int64_t>(column) * t.channels);
        add_products<V>(sums, values, filters + (kh * window.kernel[1] + kw) * t.lanes * V + p.lane * V);
      }
    }
    store<V>(dx + row * t.channels + p.channel, sums);
  }
}

/// By part: Σ over its output pixels of dy · x for kColumnsAtOnce places of one row of the window, [parts][channels]
/// [places]. Grid: x over tiles, y over parts, z over such groups of places.
template <class T, int V>
__global__ void __launch_bounds__(kThreads, 2)
    sum_products(float* partial, const T* x, const T* dy, Depthwise conv, RowTiles t) {
  SHARED(Meeting<V>, between);
  const SlidingWindow& window = conv.window;
  const int groups = divide_up(window.kernel[1], kColumnsAtOnce);
  const int kh = static_cast<int>(blockIdx.z) / groups, first = static_cast<int>(blockIdx.z) % groups * kColumnsAtOnce;
  const RowPlace p = row_place<V>(t);
  float sums[kColumnsAtOnce][V] = {};
  for (std::int64_t row = p.begin; p.channel < t.channels && row < p.end; row += p.step) {
    const Spot o = spot_of(row, conv.y_h, conv.y_w);
    const int h = o.h * window.stride[0] - window.pad[0] + kh * window.dilation[0];
    if (h < 0 || h >= conv.x.h) continue;
    const T* line = x + ((o.n * conv.x.h + h) * conv.x.w) * t.channels + p.channel;
    float gradients[V];
    load<V>(gradients, dy + row * t.channels + p.channel);
#pragma unroll
    for (int k = 0; k < kColumnsAtOnce; ++k) {
      const int column = o.w * window.stride[1] - window.pad[1] + (first + k) * window.dilation[1];
      if (first + k >= window.kernel[1] || column < 0 || column >= conv.x.w) continue;
      float values[V];
      load<V>(values, line + static_cast<std::int64_t>(column) * t.channels);
#pragma unroll
      for (int v = 0; v < V; ++v) sums[k][v] = fmaf(gradients[v], values[v], sums[k][v]);
    }
  }
  const int taps = window.kernel[0] * window.kernel[1];
#pragma unroll
  for (int k = 0; k < kColumnsAtOnce; ++k) {
    if (first + k >= window.kernel[1]) break;  // for the whole block alike
    const float sum = add_up_rows<V>(sums[k], t.lanes, between);
    if (const int channel = own_channel<V>(t); channel >= 0)
      partial[(static_cast<std::int64_t>(blockIdx.y) * t.channels + channel) * taps + kh * window.kernel[1] + first +
              k] = sum;
  }
}

__global__ void __launch_bounds__(kThreads, 2)
    join_products(float* dw, const float* partial, unsigned parts, int n, bool accumulate) {
  const int i = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  if (i >= n) return;
  float sum = accumulate ? dw[i] : 0.0F;
  for (unsigned part = 0; part < parts; ++part) sum += partial[static_cast<std::int64_t>(part) * n + i];
  dw[i] = sum;
}

int taps_of(const Depthwise& conv) { return conv.window.kernel[0] * conv.window.kernel[1]; }

std::size_t filter_bytes(const Depthwise& conv, const RowTiles& t, int per_access) {
  return sizeof(float) * static_cast<std::size_t>(taps_of(conv) * t.lanes * per_access);
}

/// Of the pixels of an image [n, h, w]; tiles so narrow that their filters fit into 48 KiB of shared memory.
RowTiles pixel_tiles(const Depthwise& conv, int height, int width, int per_access) {
  RowTiles t = row_tiles(conv.x.n * height * width, conv.x.c, per_access, 4, 1 << 15);
  while (filter_bytes(conv, t, per_access) > (48U << 10) && t.lanes > 1) {
    t.lanes /= 2;
    t.tiles = static_cast<unsigned>(divide_up(divide_up(conv.x.c, per_access), t.lanes));
    t.rows_per_part = divide_up(t.rows_per_part, std::int64_t{kThreads / t.lanes}) * (kThreads / t.lanes);
    t.parts = static_cast<unsigned>(divide_up(t.rows, t.rows_per_part));
  }
  return t;
}

RowTiles sum_tiles(const Depthwise& conv, int per_access) {
  const int groups = conv.window.kernel[0] * divide_up(conv.window.kernel[1], kColumnsAtOnce);
  return row_tiles(conv.x.n * conv.y_h * conv.y_w, conv.x.c, per_access, kGradientRows, kGradientBlocks / groups);
}

}  // namespace

void depthwise_forward(const Depthwise& conv, const void* x, const void* w, const float* bias, Activation kind, void* y,
                       Stream stream) {
  if (conv.x.n <= 0) return;
  by_type(conv.data, [&]<class T>() {
    const auto run = [&]<int V, class Choice>() {
      const RowTiles t = pixel_tiles(conv, conv.y_h, conv.y_w, V);
      launch(filter_pixels<T, V, Choice>, grid_of(t), kThreads, filter_bytes(conv, t, V), stream, static_cast<T*>(y),
             static_cast<const T*>(x), static_cast<const T*>(w), bias, conv, t, kind);
    };
    if (conv.x.c % kWide<T> != 0 || !aligned(x, y)) return run.template operator()<1, AnyActivation>();
    by_activation(kind, [&]<class Choice>() { run.template operator()<kWide<T>, Choice>(); });
  });
}

void depthwise_backward_data(const Depthwise& conv, const void* dy, const void* w, void* dx, Stream stream) {
  if (conv.x.n <= 0) return;
  by_type(conv.data, [&]<class T>() {
    by_width<T>(conv.x.c % kWide<T> == 0 && aligned(dy, dx), [&]<int V>() {
      const RowTiles t = pixel_tiles(conv, conv.x.h, conv.x.w, V);
      launch(filter_gradients<T, V>, grid_of(t), kThreads, filter_bytes(conv, t, V), stream, static_cast<T*>(dx),
             static_cast<const T*>(dy), static_cast<const T*>(w), conv, t);
    });
  });
}

std::int64_t depthwise_backward_weights_workspace_bytes(const Depthwise& conv) {
  std::int64_t parts = 1;
  for (const int per_access : {1, 4, 8}) {
    const std::int64_t own = sum_tiles(conv, per_access).parts;
    parts = own > parts ? own : parts;
  }
  return parts * conv.x.c * taps_of(conv) * static_cast<std::int64_t>(sizeof(float));
}

void depthwise_backward_weights(const Depthwise& conv, const void* x, const void* dy, float* dw, bool accumulate,
                                void* workspace, Stream stream) {
  if (conv.x.n <= 0) return;
  auto* partial = static_cast<float*>(workspace);
  unsigned parts = 1;
  by_type(conv.data, [&]<class T>() {
    by_width<T>(conv.x.c % kWide<T> == 0 && aligned(x, dy), [&]<int V>() {
      const RowTiles t = sum_tiles(conv, V);
      parts = t.parts;
      const dim3 grid(t.tiles, t.parts,
                      static_cast<unsigned>(conv.window.kernel[0] * divide_up(conv.window.kernel[1], kColumnsAtOnce)));
      launch(sum_products<T, V>, grid, kThreads, 0, stream, partial, static_cast<const T*>(x),
             static_cast<const T*>(dy), conv, t);
    });
  });
  const int n = conv.x.c * taps_of(conv);
  launch(join_products, static_cast<unsigned>(divide_up(n, kThreads)), kThreads, 0, stream, dw, partial, parts, n,
         accumulate);
}

}  // namespace snug::kernels
