#include "input.cuh"

#include "map.cuh"

namespace snug::kernels {

namespace {

struct Normalization {
  float divisor;
  const float* mean;
  const float* inverse_std;
  int channels, padded;
};

__device__ inline float normalized(const Normalization& f, float x, int channel) {
  // Centred first and scaled once, as a division would round the pixel.
  return (x / f.divisor - f.mean[channel]) * f.inverse_std[channel];
}

/// A thread per packet of the output; V divides the padded channels, or they are not padded and V elements follow one
/// another across pixels.
template <class T, class From, int V, bool Padded>
__global__ void __launch_bounds__(kThreads) normalize(T* y, const From* x, std::int64_t n, Normalization f) {
  const std::int64_t first = (static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x) * V;
  if (first >= n) return;
  float values[V];
  if constexpr (Padded) {
    const std::int64_t pixel = first / f.padded;
    const int channel = static_cast<int>(first - pixel * f.padded);
#pragma unroll
    for (int v = 0; v < V; ++v) {
      const bool there = channel + v < f.channels;
      values[v] = there ? normalized(f, to_float(x[pixel * f.channels + channel + v]), channel + v) : 0.0F;
    }
  } else {
    float raw[V];
    load<V>(raw, x + first);
    int channel = static_cast<int>(first % f.channels);
#pragma unroll
    for (int v = 0; v < V; ++v) {
      values[v] = normalized(f, raw[v], channel);
      channel = channel + 1 == f.channels ? 0 : channel + 1;
    }
  }
  store<V>(y + first, values);
}

template <class T, class From, int V, bool Padded>
void launch_normalize(void* y, const void* x, std::int64_t n, const Normalization& f, Stream stream) {
  launch(normalize<T, From, V, Padded>, static_cast<unsigned>(divide_up(n, std::int64_t{kThreads} * V)), kThreads, 0,
         stream, static_cast<T*>(y), static_cast<const From*>(x), n, f);
}

template <class T, class From>
void normalize_as(void* y, const void* x, std::int64_t pixels, const Normalization& f, Stream stream) {
  constexpr int kPacket = sizeof(T) == 4 || sizeof(From) == 4 ? 4 : 8;
  const std::int64_t n = pixels * f.padded;
  if (f.padded != f.channels) {
    if (aligned(y) && f.padded % kWide<T> == 0) return launch_normalize<T, From, kWide<T>, true>(y, x, n, f, stream);
    return launch_normalize<T, From, 1, true>(y, x, n, f, stream);
  }
  if (aligned(y, x) && n % kPacket == 0) return launch_normalize<T, From, kPacket, false>(y, x, n, f, stream);
  launch_normalize<T, From, 1, false>(y, x, n, f, stream);
}

}  // namespace

void normalize_input(bool bytes, Data data, float divisor, const void* images, const float* mean,
                     const float* inverse_std, void* y, std::int64_t pixels, int channels, int padded_channels,
                     Stream stream) {
  if (pixels <= 0) return;
  const Normalization f{divisor, mean, inverse_std, channels, padded_channels};
  by_type(data, [&]<class T>() {
    if (bytes) {
      normalize_as<T, std::uint8_t>(y, images, pixels, f, stream);
    } else {
      normalize_as<T, float>(y, images, pixels, f, stream);
    }
  });
}

}  // namespace snug::kernels
