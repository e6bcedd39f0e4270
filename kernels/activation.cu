#include "activation.cuh"

#include "functions.cuh"
#include "map.cuh"

namespace snug::kernels {

namespace {

template <class Choice>
struct Forward {
  Activation kind;
  __device__ float operator()(float x) const { return activate(Choice::of(kind), x); }
};

template <class Choice>
struct BackwardFromInput {
  Activation kind;
  __device__ float operator()(float dy, float x) const { return dy * slope_at_input(Choice::of(kind), x); }
};

template <class Choice>
struct BackwardFromOutput {
  Activation kind;
  __device__ float operator()(float dy, float y) const { return dy * slope_at_output(Choice::of(kind), y); }
};

template <class T, class Function>
void map_one(const void* x, void* y, std::int64_t n, const Function& function, Stream stream) {
  launch_map<1>(static_cast<T*>(y), Inputs<T>{static_cast<const T*>(x), nullptr}, n, function, stream);
}

template <class T, class Function>
void map_two(const void* a, const void* b, void* y, std::int64_t n, const Function& function, Stream stream) {
  launch_map<2>(static_cast<T*>(y), Inputs<T>{static_cast<const T*>(a), static_cast<const T*>(b)}, n, function, stream);
}

/// A thread per packet.
template <class T, int V>
__global__ void __launch_bounds__(kThreads, 2)
    slice_gradients(T* dx, const T* dy, const T* saved, SliceRows r, Activation kind, bool from_output) {
  const std::int64_t packets = r.channels / V;
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const std::int64_t row = i / packets, channel = (i - row * packets) * V;
  if (row >= r.rows) return;
  float gradients[V], values[V];
  load<V>(gradients, dy + row * r.dy_pitch + channel);
  load<V>(values, saved + row * r.saved_pitch + channel);
#pragma unroll
  for (int v = 0; v < V; ++v)
    gradients[v] *= from_output ? slope_at_output(kind, values[v]) : slope_at_input(kind, values[v]);
  store<V>(dx + row * r.dx_pitch + channel, gradients);
}

}  // namespace

void activation_backward_slices(Data data, Activation kind, bool from_output, const void* dy, const void* saved,
                                void* dx, const SliceRows& rows, Stream stream) {
  if (rows.rows <= 0) return;
  by_type(data, [&]<class T>() {
    const bool wide = (rows.channels | rows.dy_pitch | rows.saved_pitch | rows.dx_pitch) % kWide<T> == 0;
    by_width<T>(wide && aligned(dy, saved, dx), [&]<int V>() {
      const auto blocks = static_cast<unsigned>(divide_up(rows.rows * (rows.channels / V), std::int64_t{kThreads}));
      launch(slice_gradients<T, V>, blocks, kThreads, 0, stream, static_cast<T*>(dx), static_cast<const T*>(dy),
             static_cast<const T*>(saved), rows, kind, from_output);
    });
  });
}

void activation_forward(Data data, Activation kind, const void* x, void* y, std::int64_t n, Stream stream) {
  by_type(data, [&]<class T>() {
    by_activation(kind, [&]<class Choice>() { map_one<T>(x, y, n, Forward<Choice>{kind}, stream); });
  });
}

void activation_backward(Data data, Activation kind, bool from_output, const void* dy, const void* saved, void* dx,
                         std::int64_t n, Stream stream) {
  by_type(data, [&]<class T>() {
    by_activation(kind, [&]<class Choice>() {
      if (from_output) {
        map_two<T>(dy, saved, dx, n, BackwardFromOutput<Choice>{kind}, stream);
      } else {
        map_two<T>(dy, saved, dx, n, BackwardFromInput<Choice>{kind}, stream);
      }
    });
  });
}

}  // namespace snug::kernels
