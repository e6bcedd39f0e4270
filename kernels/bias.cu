#include "bias.cuh"

#include "functions.cuh"
#include "rows.cuh"

namespace snug::kernels {

namespace {

template <class T, int V, class Choice>
__global__ void __launch_bounds__(kThreads) add_bias(T* y, const T* x, const float* bias, RowTiles t, Activation kind) {
  const RowPlace p = row_place<V>(t);
  if (p.channel >= t.channels) return;
  float shift[V];
  load_parameters<V>(shift, bias + p.channel);
  for (std::int64_t row = p.begin; row < p.end; row += p.step * Choice::kAtOnce) {
    Packet<T, V> inputs[Choice::kAtOnce];
#pragma unroll
    for (int k = 0; k < Choice::kAtOnce; ++k) {
      if (row + k * p.step < p.end) inputs[k] = fetch<T, V>(x + (row + k * p.step) * t.channels + p.channel);
    }
#pragma unroll
    for (int k = 0; k < Choice::kAtOnce; ++k) {
      if (row + k * p.step >= p.end) continue;
      float values[V];
#pragma unroll
      for (int v = 0; v < V; ++v) values[v] = activate(Choice::of(kind), to_float(inputs[k].at[v]) + shift[v]);
      store<V>(y + (row + k * p.step) * t.channels + p.channel, values);
    }
  }
}

template <class T, int V>
__global__ void __launch_bounds__(kThreads) sum_rows(float* partial, const T* dy, RowTiles t) {
  SHARED(Meeting<V>, between);
  const RowPlace p = row_place<V>(t);
  float sums[V] = {};
  for (std::int64_t row = p.begin; p.channel < t.channels && row < p.end; row += p.step * kRowsAtOnce) {
    Packet<T, V> gradients[kRowsAtOnce];
#pragma unroll
    for (int k = 0; k < kRowsAtOnce; ++k) {
      if (row + k * p.step < p.end) gradients[k] = fetch<T, V>(dy + (row + k * p.step) * t.channels + p.channel);
    }
#pragma unroll
    for (int k = 0; k < kRowsAtOnce; ++k) {
      if (row + k * p.step >= p.end) continue;
#pragma unroll
      for (int v = 0; v < V; ++v) sums[v] += to_float(gradients[k].at[v]);
    }
  }
  const float sum = add_up_rows<V>(sums, t.lanes, between);
  if (const int channel = own_channel<V>(t); channel >= 0)
    partial[static_cast<std::int64_t>(blockIdx.y) * t.channels + channel] = sum;
}

/// A warp per 32 channels and 8 of them per block, each on its share of the parts.
__global__ void __launch_bounds__(kThreads)
    join_rows(float* dbias, const float* partial, unsigned parts, int channels, bool accumulate) {
  SHARED(float[kThreads / 32][32], between);
  const int column = static_cast<int>(threadIdx.x) % 32, first = static_cast<int>(threadIdx.x) / 32;
  const int channel = static_cast<int>(blockIdx.x) * 32 + column;
  float sum = 0;
  for (unsigned part = static_cast<unsigned>(first); channel < channels && part < parts; part += kThreads / 32)
    sum += partial[static_cast<std::int64_t>(part) * channels + channel];
  between[first][column] = sum;
  __syncthreads();
  if (first != 0 || channel >= channels) return;
  sum = 0;
  for (int i = 0; i < kThreads / 32; ++i) sum += between[i][column];
  dbias[channel] = sum + (accumulate ? dbias[channel] : 0.0F);
}

}  // namespace

void bias_activation(Data data, Activation kind, const void* x, const float* bias, void* y, std::int64_t rows,
                     int channels, Stream stream) {
  if (rows <= 0) return;
  by_type(data, [&]<class T>() {
    const auto run = [&]<int V, class Choice>() {
      const RowTiles t = row_tiles(rows, channels, V, 2 * kRowsAtOnce, 1 << 15);
      launch(add_bias<T, V, Choice>, grid_of(t), kThreads, 0, stream, static_cast<T*>(y), static_cast<const T*>(x),
             bias, t, kind);
    };
    if (channels % kWide<T> != 0 || !aligned(x, bias, y)) return run.template operator()<1, AnyActivation>();
    by_activation(kind, [&]<class Choice>() { run.template operator()<kWide<T>, Choice>(); });
  });
}

void bias_gradient(Data data, const void* dy, float* dbias, bool accumulate, std::int64_t rows, int channels,
                   void* workspace, Stream stream) {
  if (rows <= 0) return;
  auto* partial = static_cast<float*>(workspace);
  by_type(data, [&]<class T>() {
    by_width<T>(channels % kWide<T> == 0 && aligned(dy), [&]<int V>() {
      const RowTiles t = row_tiles(rows, channels, V, kSumRows, kSumBlocks);
      launch(sum_rows<T, V>, grid_of(t), kThreads, 0, stream, partial, static_cast<const T*>(dy), t);
      launch(join_rows, static_cast<unsigned>(divide_up(channels, 32)), kThreads, 0, stream, dbias, partial, t.parts,
             channels, accumulate);
    });
  });
}

}  // namespace snug::kernels
