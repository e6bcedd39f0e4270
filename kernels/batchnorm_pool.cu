#include "batchnorm_pool.cuh"

#include "batchnorm_sums.cuh"
#include "functions.cuh"
#include "rows.cuh"

namespace snug::kernels {

namespace {

constexpr int kAtOnce = 2;  // pixels of a thread whose x is fetched before the first is used; each has its windows too

/// The shape of a square window as template arguments: divisions by a stride are dear beside what a pixel takes.
template <int Kernel, int Stride>
struct FixedWindow {
  __device__ static constexpr int kernel(const SlidingWindow&, int) { return Kernel; }
  __device__ static constexpr int stride(const SlidingWindow&, int) { return Stride; }
  __device__ static constexpr int dilation(const SlidingWindow&, int) { return 1; }
};
struct AnyWindow {
  __device__ static int kernel(const SlidingWindow& w, int axis) { return w.kernel[axis]; }
  __device__ static int stride(const SlidingWindow& w, int axis) { return w.stride[axis]; }
  __device__ static int dilation(const SlidingWindow& w, int axis) { return w.dilation[axis]; }
};

template <int V>
struct Norm {
  float center[V], scale[V], shift[V];
  __device__ float in_front_of_relu(float shifted, int v) const { return fmaf(shifted, scale[v], shift[v]); }
};

template <int V, class Tensors>
__device__ inline Norm<V> norm_of(const Tensors& t, int channel) {
  Norm<V> norm;
  float gamma[V];
  load_parameters<V>(norm.center, t.mean + channel);
  load_parameters<V>(norm.scale, t.inverse_std + channel);
  load_parameters<V>(norm.shift, t.beta + channel);
  load_parameters<V>(gamma, t.gamma + channel);
#pragma unroll
  for (int v = 0; v < V; ++v) norm.scale[v] *= gamma[v];
  return norm;
}

struct Pixel {
  unsigned n;
  int h, w;
};
/// In 32 bits: a tensor has less than 2^31 elements.
__device__ inline Pixel pixel_of(std::int64_t number, int height, int width) {
  const auto pixel = static_cast<unsigned>(number);
  const unsigned row = pixel / static_cast<unsigned>(width), n = row / static_cast<unsigned>(height);
  return {n, static_cast<int>(row - n * static_cast<unsigned>(height)),
          static_cast<int>(pixel - row * static_cast<unsigned>(width))};
}
__device__ inline std::int64_t offset(unsigned n, int h, int w, int height, int width, int channels) {
  return ((static_cast<std::int64_t>(n) * height + h) * width + w) * channels;
}

template <class T>
__device__ inline float stored(float value) {
  return to_float(from_float<T>(value));
}

/// The window's largest pixels behind norm and relu, and their places. `t` has the pool's output for rows.
template <class T, int V, class W>
__global__ void __launch_bounds__(kThreads) take_largest(NormPoolTensors tensors, Pool pool, RowTiles t) {
  const RowPlace p = row_place<V>(t, true);
  if (p.channel >= t.channels) return;
  const Norm<V> norm = norm_of<V>(tensors, p.channel);
  const T* x = static_cast<const T*>(tensors.x) + p.channel;
  for (std::int64_t output = p.begin; output < p.end; output += p.step) {
    const Pixel o = pixel_of(output, pool.y_h, pool.y_w);
    float best[V];
    Packet<std::uint8_t, V> place;
#pragma unroll
    for (int v = 0; v < V; ++v) {
      best[v] = -1;  // below whatever relu leaves
      place.at[v] = 0;
    }
#pragma unroll
    for (int kh = 0; kh < W::kernel(pool.window, 0); ++kh) {
      const int row = o.h * W::stride(pool.window, 0) - pool.window.pad[0] + kh * W::dilation(pool.window, 0);
      if (row < 0 || row >= pool.x.h) continue;
#pragma unroll
      for (int kw = 0; kw < W::kernel(pool.window, 1); ++kw) {
        const int column = o.w * W::stride(pool.window, 1) - pool.window.pad[1] + kw * W::dilation(pool.window, 1);
        if (column < 0 || column >= pool.x.w) continue;
        const Packet<T, V> pixel = fetch<T, V>(x + offset(o.n, row, column, pool.x.h, pool.x.w, t.channels));
#pragma unroll
        for (int v = 0; v < V; ++v) {
          const float behind = normalized(to_float(pixel.at[v]), norm.center[v], norm.scale[v], norm.shift[v]);
          const float value = stored<T>(activate(Activation::relu, behind));
          if (value <= best[v] || is_nan(best[v])) continue;  // NaN is larger than any number
          best[v] = value;
          place.at[v] = static_cast<std::uint8_t>(kh * W::kernel(pool.window, 1) + kw);
        }
      }
    }
    store<V>(static_cast<T*>(tensors.y) + output * t.channels + p.channel, best);
    put(tensors.index + output * t.channels + p.channel, place);
  }
}

/// The outputs whose windows may hold a pixel, along an axis.
struct Outputs {
  int first, last, from;
};
template <class W>
__device__ inline Outputs outputs_of(const SlidingWindow& window, int axis, int pixel, int outputs) {
  const int stride = W::stride(window, axis), from = pixel + window.pad[axis];
  const int least = from - (W::kernel(window, axis) - 1) * W::dilation(window, axis);
  const int last = from / stride;
  return {least <= 0 ? 0 : (least + stride - 1) / stride, last < outputs ? last : outputs - 1, from};
}

/// The gradient of a pixel, from the windows whose largest it is: summed in the order of maxpool_backward, and rounded
/// as that would store it.
template <class T, int V, class W>
__device__ inline void gather(float (&g)[V], const NormPoolGradients& tensors, const Pool& pool, std::int64_t number,
                              int channel) {
#pragma unroll
  for (int v = 0; v < V; ++v) g[v] = 0;
  const Pixel i = pixel_of(number, pool.x.h, pool.x.w);
  const Outputs rows = outputs_of<W>(pool.window, 0, i.h, pool.y_h);
  const Outputs columns = outputs_of<W>(pool.window, 1, i.w, pool.y_w);
  const int row_dilation = W::dilation(pool.window, 0), column_dilation = W::dilation(pool.window, 1);
  for (int row = rows.last; row >= rows.first; --row) {
    const int down = rows.from - row * W::stride(pool.window, 0);
    if (down % row_dilation != 0) continue;
    for (int column = columns.last; column >= columns.first; --column) {
      const int right = columns.from - column * W::stride(pool.window, 1);
      if (right % column_dilation != 0) continue;
      const int at = down / row_dilation * W::kernel(pool.window, 1) + right / column_dilation;
      const std::int64_t from = offset(i.n, row, column, pool.y_h, pool.y_w, pool.x.c) + channel;
      const Packet<std::uint8_t, V> place = fetch<std::uint8_t, V>(tensors.index + from);
      const Packet<T, V> gradient = fetch<T, V>(static_cast<const T*>(tensors.dy) + from);
#pragma unroll
      for (int v = 0; v < V; ++v) g[v] += place.at[v] == at ? to_float(gradient.at[v]) : 0.0F;
    }
  }
#pragma unroll
  for (int v = 0; v < V; ++v) g[v] = stored<T>(g[v]);
}

/// visit(pixel, g, shifted) for the pixels of a thread: the gradient in front of relu, and x − mean.
template <class T, int V, class W, class Visit>
__device__ inline void for_each_gradient(const NormPoolGradients& tensors, const Pool& pool, const RowPlace& p,
                                         const Visit& visit) {
  const Norm<V> norm = norm_of<V>(tensors, p.channel);
  for (std::int64_t row = p.begin; row < p.end; row += p.step * kAtOnce) {
    Packet<T, V> inputs[kAtOnce];
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      const std::int64_t pixel = row + k * p.step;
      if (pixel < p.end) inputs[k] = fetch<T, V>(static_cast<const T*>(tensors.x) + pixel * pool.x.c + p.channel);
    }
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      const std::int64_t pixel = row + k * p.step;
      if (pixel >= p.end) continue;
      float g[V], shifted[V];
      gather<T, V, W>(g, tensors, pool, pixel, p.channel);
#pragma unroll
      for (int v = 0; v < V; ++v) {
        shifted[v] = to_float(inputs[k].at[v]) - norm.center[v];
        g[v] *= slope_at_input(Activation::relu, norm.in_front_of_relu(shifted[v], v));
      }
      visit(pixel, g, shifted);
    }
  }
}

/// By part: the sums of the gradient and of its product with x − mean, [2][parts][channels].
template <class T, int V, class W>
__global__ void __launch_bounds__(kThreads, 2)
    sum_gathered(float* partial, NormPoolGradients tensors, Pool pool, RowTiles t) {
  SHARED(Meeting<V>, between);
  const RowPlace p = row_place<V>(t);
  float sums[V] = {}, dots[V] = {};
  if (p.channel < t.channels) {
    for_each_gradient<T, V, W>(tensors, pool, p, [&](std::int64_t, const float(&g)[V], const float(&shifted)[V]) {
#pragma unroll
      for (int v = 0; v < V; ++v) {
        sums[v] += g[v];
        dots[v] = fmaf(g[v], shifted[v], dots[v]);
      }
    });
  }
  const float sum = add_up_rows<V>(sums, t.lanes, between), dot = add_up_rows<V>(dots, t.lanes, between);
  if (const int channel = own_channel<V>(t); channel >= 0) {
    const std::int64_t at = static_cast<std::int64_t>(blockIdx.y) * t.channels + channel;
    partial[at] = sum;
    partial[static_cast<std::int64_t>(t.parts) * t.channels + at] = dot;
  }
}

template <class T, int V, class W>
__global__ void __launch_bounds__(kThreads, 2)
    write_gathered(NormPoolGradients tensors, const float* coefficients, Pool pool, RowTiles t) {
  const RowPlace p = row_place<V>(t, true);
  if (p.channel >= t.channels) return;
  float by_g[V], by_x[V], constant[V];
  load_parameters<V>(by_g, coefficients + p.channel);
  load_parameters<V>(by_x, coefficients + t.channels + p.channel);
  load_parameters<V>(constant, coefficients + 2 * static_cast<std::int64_t>(t.channels) + p.channel);
  for_each_gradient<T, V, W>(tensors, pool, p, [&](std::int64_t pixel, const float(&g)[V], const float(&shifted)[V]) {
    float values[V];
#pragma unroll
    for (int v = 0; v < V; ++v) values[v] = fmaf(by_g[v], g[v], fmaf(by_x[v], shifted[v], constant[v]));
    store<V>(static_cast<T*>(tensors.dx) + pixel * t.channels + p.channel, values);
  });
}

template <class T, int V, class W>
void launch_backward(const Pool& pool, const NormPoolGradients& g, void* workspace, Stream stream) {
  const std::int64_t rows = pool.x.n * pool.x.h * pool.x.w;
  const RowTiles t = row_tiles(rows, pool.x.c, V, kSumRows, kSumBlocks);
  auto* partial = static_cast<float*>(workspace);
  float* coefficients = partial + round_up_to_16_bytes(2 * static_cast<std::int64_t>(t.parts) * pool.x.c);
  launch(sum_gathered<T, V, W>, grid_of(t), kThreads, 0, stream, partial, g, pool, t);
  const FinishBackward finish{
      .gamma = g.gamma, .spread = g.inverse_std, .dgamma = g.dgamma, .dbeta = g.dbeta, .accumulate = g.accumulate};
  finish_backward(partial, coefficients, finish, t, stream);
  const RowTiles w = row_tiles(rows, pool.x.c, V, 2 * kRowsAtOnce, 1 << 15);
  launch(write_gathered<T, V, W>, grid_of(w), kThreads, 0, stream, g, static_cast<const float*>(coefficients), pool, w);
}

bool is_square(const SlidingWindow& w, int kernel, int stride) {
  return w.kernel[0] == kernel && w.kernel[1] == kernel && w.stride[0] == stride && w.stride[1] == stride &&
         w.dilation[0] == 1 && w.dilation[1] == 1;
}

/// call.operator()<T, V, W>(): ResNet's window is compiled apart.
template <class Call, class... Pointers>
void by_packet_and_window(const Pool& pool, const Call& call, const Pointers*... pointers) {
  if (pool.x.n <= 0) return;
  by_type(pool.data, [&]<class T>() {
    if (pool.x.c % kWide<T> != 0 || !aligned(pointers...)) return call.template operator()<T, 1, AnyWindow>();
    if (is_square(pool.window, 3, 2)) return call.template operator()<T, kWide<T>, FixedWindow<3, 2>>();
    call.template operator()<T, kWide<T>, AnyWindow>();
  });
}

}  // namespace

void batchnorm_maxpool_forward(const Pool& pool, const NormPoolTensors& t, Stream stream) {
  by_packet_and_window(
      pool,
      [&]<class T, int V, class W>() {
        const RowTiles tiles = row_tiles(pool.x.n * pool.y_h * pool.y_w, pool.x.c, V, kRowsAtOnce, 1 << 15);
        launch(take_largest<T, V, W>, grid_of(tiles), kThreads, 0, stream, t, pool, tiles);
      },
      t.x, t.gamma, t.beta, t.mean, t.inverse_std, t.y, t.index);
}

void batchnorm_maxpool_backward(const Pool& pool, const NormPoolGradients& g, void* workspace, Stream stream) {
  by_packet_and_window(
      pool, [&]<class T, int V, class W>() { launch_backward<T, V, W>(pool, g, workspace, stream); }, g.dy, g.index,
      g.gamma, g.beta, g.mean, g.inverse_std, g.x, g.dx, static_cast<const float*>(workspace));
}

}  // namespace snug::kernels
