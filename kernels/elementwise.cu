#include "elementwise.cuh"

#include "map.cuh"
#include "rows.cuh"

namespace snug::kernels {

namespace {

struct Sum {
  __device__ float operator()(float a, float b) const { return a + b; }
};

struct Same {
  __device__ float operator()(float x) const { return x; }
};

/// y += x. A gradient of weights is small beside the maps that it came from: one element a thread and turn.
template <class From>
__global__ void __launch_bounds__(kThreads) add_widened(float* y, const From* x, std::int64_t n) {
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * (kThreads * kPacketsPerThread) + threadIdx.x;
#pragma unroll
  for (int k = 0; k < kPacketsPerThread; ++k) {
    if (const std::int64_t i = first + k * kThreads; i < n) y[i] += to_float(x[i]);
  }
}

/// Rows of packets; a thread per packet of all rows together.
template <class Word>
__global__ void __launch_bounds__(kThreads) copy_rows(unsigned char* y, const unsigned char* x, PitchedRows r) {
  const std::int64_t words = r.width_bytes / static_cast<std::int64_t>(sizeof(Word));
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * (kThreads * kPacketsPerThread) + threadIdx.x;
  Word kept[kPacketsPerThread];
#pragma unroll
  for (int k = 0; k < kPacketsPerThread; ++k) {
    const std::int64_t i = first + k * kThreads, row = i / words, at = (i - row * words) * sizeof(Word);
    if (row < r.rows) kept[k] = *reinterpret_cast<const Word*>(x + row * r.from_pitch_bytes + at);
  }
#pragma unroll
  for (int k = 0; k < kPacketsPerThread; ++k) {
    const std::int64_t i = first + k * kThreads, row = i / words, at = (i - row * words) * sizeof(Word);
    if (row < r.rows) *reinterpret_cast<Word*>(y + row * r.to_pitch_bytes + at) = kept[k];
  }
}

template <class Word>
void launch_copy(const void* x, void* y, const PitchedRows& rows, Stream stream) {
  const std::int64_t words = rows.rows * (rows.width_bytes / static_cast<std::int64_t>(sizeof(Word)));
  launch(copy_rows<Word>, map_blocks(words, 1), kThreads, 0, stream, static_cast<unsigned char*>(y),
         static_cast<const unsigned char*>(x), rows);
}

/// Whether everything about the rows is a multiple of this.
bool divides(std::int64_t bytes, const void* x, const void* y, const PitchedRows& r) {
  const auto address = [](const void* p) { return static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(p)); };
  return (address(x) | address(y) | r.width_bytes | r.from_pitch_bytes | r.to_pitch_bytes) % bytes == 0;
}

template <class Word>
__global__ void __launch_bounds__(kThreads) fill_words(Word* y, Word word, std::int64_t n) {
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * (kThreads * kPacketsPerThread) + threadIdx.x;
#pragma unroll
  for (int k = 0; k < kPacketsPerThread; ++k) {
    if (first + k * kThreads < n) y[first + k * kThreads] = word;
  }
}

template <class Word>
void launch_fill(void* y, Word word, std::int64_t n, Stream stream) {
  if (n > 0) launch(fill_words<Word>, map_blocks(n, 1), kThreads, 0, stream, static_cast<Word*>(y), word, n);
}

/// Grid: x over tiles of channels, y over parts of an image's rows, z over images.
template <class T, int V>
__global__ void __launch_bounds__(kThreads) scale_rows(T* y, const T* x, const T* s, RowTiles t, std::int64_t images) {
  const RowPlace p = row_place<V>(t);
  if (p.channel >= t.channels) return;
  for (std::int64_t n = blockIdx.z; n < images; n += gridDim.z) {
    float factors[V];
    load<V>(factors, s + n * t.channels + p.channel);
    const std::int64_t image = n * t.rows * t.channels + p.channel;
    for (std::int64_t row = p.begin; row < p.end; row += p.step * kRowsAtOnce) {
      Packet<T, V> kept[kRowsAtOnce];
#pragma unroll
      for (int k = 0; k < kRowsAtOnce; ++k) {
        if (row + k * p.step < p.end) kept[k] = fetch<T, V>(x + image + (row + k * p.step) * t.channels);
      }
#pragma unroll
      for (int k = 0; k < kRowsAtOnce; ++k) {
        if (row + k * p.step >= p.end) continue;
        float values[V];
        unpack(values, kept[k]);
#pragma unroll
        for (int v = 0; v < V; ++v) values[v] *= factors[v];
        store<V>(y + image + (row + k * p.step) * t.channels, values);
      }
    }
  }
}

/// One part is a whole image: its sums need no second kernel.
template <class T, int V>
__global__ void __launch_bounds__(kThreads)
    scale_rows_backward(T* dx, T* ds, const T* dy, const T* x, const T* s, RowTiles t, std::int64_t images) {
  SHARED(Meeting<V>, between);
  const RowPlace p = row_place<V>(t);
  const bool inside = p.channel < t.channels;
  for (std::int64_t n = blockIdx.z; n < images; n += gridDim.z) {
    float factors[V] = {}, sums[V] = {};
    if (inside) load<V>(factors, s + n * t.channels + p.channel);
    const std::int64_t image = n * t.rows * t.channels + p.channel;
    for (std::int64_t row = p.begin; inside && row < p.end; row += p.step * kRowsAtOnce) {
      Packet<T, V> gradients[kRowsAtOnce], inputs[kRowsAtOnce];
#pragma unroll
      for (int k = 0; k < kRowsAtOnce; ++k) {
        if (row + k * p.step >= p.end) continue;
        gradients[k] = fetch<T, V>(dy + image + (row + k * p.step) * t.channels);
        inputs[k] = fetch<T, V>(x + image + (row + k * p.step) * t.channels);
      }
#pragma unroll
      for (int k = 0; k < kRowsAtOnce; ++k) {
        if (row + k * p.step >= p.end) continue;
        float values[V];
#pragma unroll
        for (int v = 0; v < V; ++v) {
          const float gradient = to_float(gradients[k].at[v]);
          sums[v] = fmaf(gradient, to_float(inputs[k].at[v]), sums[v]);
          values[v] = gradient * factors[v];
        }
        store<V>(dx + image + (row + k * p.step) * t.channels, values);
      }
    }
    const float sum = add_up_rows<V>(sums, t.lanes, between);
    if (const int channel = own_channel<V>(t); channel >= 0) ds[n * t.channels + channel] = from_float<T>(sum);
  }
}

unsigned image_blocks(const Images& images) { return static_cast<unsigned>(images.n < 65'535 ? images.n : 65'535); }

}  // namespace

void add(Data data, const void* a, const void* b, void* y, std::int64_t n, Stream stream) {
  by_type(data, [&]<class T>() {
    launch_map<2>(static_cast<T*>(y), Inputs<T>{static_cast<const T*>(a), static_cast<const T*>(b)}, n, Sum{}, stream);
  });
}

void copy(const void* x, void* y, const PitchedRows& rows, Stream stream) {
  PitchedRows r = rows;
  if (r.rows <= 0 || r.width_bytes <= 0) return;
  if (divides(16, x, y, r)) return launch_copy<uint4>(x, y, r, stream);
  if (divides(8, x, y, r)) return launch_copy<uint2>(x, y, r, stream);
  if (divides(4, x, y, r)) return launch_copy<unsigned>(x, y, r, stream);
  if (divides(2, x, y, r)) return launch_copy<std::uint16_t>(x, y, r, stream);
  launch_copy<std::uint8_t>(x, y, r, stream);
}

void cast(Data from, Data to, const void* x, void* y, std::int64_t n, Stream stream) {
  by_type(from, [&]<class From>() {
    by_type(to, [&]<class To>() {
      launch_map<1>(static_cast<To*>(y), Inputs<From>{static_cast<const From*>(x), nullptr}, n, Same{}, stream);
    });
  });
}

void add_to(Data from, const void* x, float* y, std::int64_t n, Stream stream) {
  if (n <= 0) return;
  by_type(from, [&]<class From>() {
    launch(add_widened<From>, map_blocks(n, 1), kThreads, 0, stream, y, static_cast<const From*>(x), n);
  });
}

void fill(void* y, int element_bytes, std::uint64_t bits, std::int64_t n, Stream stream) {
  std::uint64_t pattern = bits;
  for (int have = element_bytes; have < 8; have *= 2) pattern |= pattern << (have * 8);
  const std::int64_t bytes = n * element_bytes;
  if (aligned(y) && bytes % 16 == 0) {
    const auto low = static_cast<unsigned>(pattern), high = static_cast<unsigned>(pattern >> 32);
    return launch_fill(y, uint4{low, high, low, high}, bytes / 16, stream);
  }
  switch (element_bytes) {
    case 1: return launch_fill(y, static_cast<std::uint8_t>(bits), n, stream);
    case 2: return launch_fill(y, static_cast<std::uint16_t>(bits), n, stream);
    case 4: return launch_fill(y, static_cast<unsigned>(bits), n, stream);
    default: return launch_fill(y, bits, n, stream);
  }
}

void scale_channels(Data data, const void* x, const void* s, void* y, const Images& images, Stream stream) {
  by_type(data, [&]<class T>() {
    by_width<T>(images.c % kWide<T> == 0 && aligned(x, s, y), [&]<int V>() {
      const RowTiles t = row_tiles(std::int64_t{images.h} * images.w, images.c, V, kRowsAtOnce, 1 << 15);
      launch(scale_rows<T, V>, dim3(t.tiles, t.parts, image_blocks(images)), kThreads, 0, stream, static_cast<T*>(y),
             static_cast<const T*>(x), static_cast<const T*>(s), t, images.n);
    });
  });
}

void scale_channels_backward(Data data, const void* dy, const void* x, const void* s, void* dx, void* ds,
                             const Images& images, Stream stream) {
  by_type(data, [&]<class T>() {
    by_width<T>(images.c % kWide<T> == 0 && aligned(dy, x, s, dx, ds), [&]<int V>() {
      const RowTiles t = row_tiles(std::int64_t{images.h} * images.w, images.c, V, 1, 1);
      launch(scale_rows_backward<T, V>, dim3(t.tiles, 1, image_blocks(images)), kThreads, 0, stream,
             static_cast<T*>(dx), static_cast<T*>(ds), static_cast<const T*>(dy), static_cast<const T*>(x),
             static_cast<const T*>(s), t, images.n);
    });
  });
}

}  // namespace snug::kernels
