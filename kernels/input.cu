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

/// Where pixels of y come from.
template <class From>
struct Source {
  const From* images;
  const int* places;
  int height, width, channels;
};

/// The coordinate that `i` mirrors to when it lies outside [0, size).
__device__ inline int reflected(int i, int size) {
  if (i < 0) return -i;
  return i < size ? i : 2 * (size - 1) - i;
}

/// The channels of the pixel that becomes (row, column) of y's image `n`; null beside its image.
template <class From>
__device__ inline const From* source_pixel(const Source<From>& s, int n, int row, int column) {
  const int* const place = s.places + 4 * n;
  const int turns = place[3];
  row += place[1];
  column += place[2];
  if ((turns & kReflected) != 0) {
    row = reflected(row, s.height);
    column = reflected(column, s.width);
  }
  if (row < 0 || row >= s.height || column < 0 || column >= s.width) return nullptr;
  if ((turns & kUpsideDown) != 0) row = s.height - 1 - row;
  if ((turns & kMirrored) != 0) column = s.width - 1 - column;
  return s.images + ((static_cast<std::int64_t>(place[0]) * s.height + row) * s.width + column) * s.channels;
}

/// A thread per packet of y, whose V elements follow one another across pixels and images.
template <class T, class From, int V>
__global__ void __launch_bounds__(kThreads) gather(T* y, Source<From> s, std::int64_t n, Normalization f) {
  const std::int64_t at = (static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x) * V;
  if (at >= n) return;
  const int image_elements = s.height * s.width * s.channels;
  int image = static_cast<int>(at / image_elements);
  const int first = static_cast<int>(at - static_cast<std::int64_t>(image) * image_elements);
  int column = first / s.channels;
  int channel = first - column * s.channels;
  int row = column / s.width;
  column -= row * s.width;
  const From* from = source_pixel(s, image, row, column);
  float values[V];
#pragma unroll
  for (int v = 0; v < V; ++v) {
    if (channel == s.channels) {
      channel = 0;
      if (++column == s.width) {
        column = 0;
        if (++row == s.height) {
          row = 0;
          ++image;
        }
      }
      from = source_pixel(s, image, row, column);
    }
    values[v] = normalized(f, from != nullptr ? to_float(from[channel]) : 0.0F, channel);
    ++channel;
  }
  store<V>(y + at, values);
}

template <class T, class From>
void gather_as(void* y, const Source<From>& s, std::int64_t n, const Normalization& f, Stream stream) {
  const bool wide = aligned(y) && n % kWide<T> == 0;
  by_width<T>(wide, [&]<int V>() {
    launch(gather<T, From, V>, static_cast<unsigned>(divide_up(n, std::int64_t{kThreads} * V)), kThreads, 0, stream,
           static_cast<T*>(y), s, n, f);
  });
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

void normalize_gathered(bool bytes, Data data, float divisor, const void* images, const int* places, const float* mean,
                        const float* inverse_std, void* y, const Images& shape, Stream stream) {
  const std::int64_t n = shape.n * shape.h * shape.w * shape.c;
  if (n <= 0) return;
  const Normalization f{divisor, mean, inverse_std, shape.c, shape.c};
  by_type(data, [&]<class T>() {
    if (bytes) {
      gather_as<T>(y, Source<std::uint8_t>{static_cast<const std::uint8_t*>(images), places, shape.h, shape.w, shape.c},
                   n, f, stream);
    } else {
      gather_as<T>(y, Source<float>{static_cast<const float*>(images), places, shape.h, shape.w, shape.c}, n, f,
                   stream);
    }
  });
}

}  // namespace snug::kernels
