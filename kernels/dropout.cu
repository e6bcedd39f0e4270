#include "dropout.cuh"

#include "map.cuh"
#include "philox.h"

namespace snug::kernels {

namespace {

/// The numbers of a launch; elements are drawn four at a time, for that is what one counter gives.
struct Draw {
  std::uint64_t key;
  std::int64_t sample_offset, elements;
  std::uint32_t threshold;  ///< of 2^24
  float factor;
  bool per_sample;
};

/// Grid: x over the elements of a sample, y over samples (walked, for a grid has at most 65,535 there).
template <class T, int V>
__global__ void __launch_bounds__(kThreads)
    drop(T* y, const T* x, const double* step, std::int64_t samples, Draw draw) {
  constexpr int kGroup = V > 4 ? V : 4;
  const std::int64_t at = (static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kGroup;
  if (at >= draw.elements) return;
  const auto now = static_cast<std::uint64_t>(*step);
  for (std::int64_t sample = blockIdx.y; sample < samples; sample += gridDim.y) {
    const std::uint64_t counter = now << 32 | static_cast<std::uint64_t>(draw.sample_offset + sample);
    float factors[kGroup];
#pragma unroll
    for (int i = 0; i < kGroup; i += 4) {
      const RandomWords words =
          philox_words(draw.key, counter, draw.per_sample ? 0 : static_cast<std::uint64_t>(at + i) / 4);
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        const std::uint32_t word = words.at[draw.per_sample ? 0 : k];
        factors[i + k] = (word >> 8) >= draw.threshold ? draw.factor : 0.0F;
      }
    }
    const std::int64_t begin = sample * draw.elements + at;
#pragma unroll
    for (int i = 0; i < kGroup; i += V) {
      if (at + i >= draw.elements) break;
      float values[V];
      load<V>(values, x + begin + i);
#pragma unroll
      for (int k = 0; k < V; ++k) values[k] = factors[i + k] != 0 ? values[k] * factors[i + k] : 0.0F;
      store<V>(y + begin + i, values);
    }
  }
}

}  // namespace

void dropout(Data data, const Dropout& dropout, const double* step, const void* x, void* y, std::int64_t samples,
             std::int64_t elements_per_sample, Stream stream) {
  if (samples <= 0 || elements_per_sample <= 0) return;
  const Draw draw{.key = dropout.key,
                  .sample_offset = dropout.sample_offset,
                  .elements = elements_per_sample,
                  // to_unit(word) ≥ rate, in whole numbers: both sides times 2^24.
                  .threshold = static_cast<std::uint32_t>(ceil(dropout.rate * 0x1p24)),
                  .factor = dropout.rate < 1 ? static_cast<float>(1 / (1 - dropout.rate)) : 0.0F,
                  .per_sample = dropout.per_sample};
  by_type(data, [&]<class T>() {
    by_width<T>(elements_per_sample % kWide<T> == 0 && aligned(x, y), [&]<int V>() {
      const std::int64_t per_block = kThreads * (V > 4 ? V : 4);
      const dim3 grid(static_cast<unsigned>(divide_up(elements_per_sample, per_block)),
                      static_cast<unsigned>(samples < 65'535 ? samples : 65'535));
      launch(drop<T, V>, grid, kThreads, 0, stream, static_cast<T*>(y), static_cast<const T*>(x), step, samples, draw);
    });
  });
}

}  // namespace snug::kernels
