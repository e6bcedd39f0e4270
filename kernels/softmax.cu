#include "softmax.cuh"

#include "warp.cuh"

namespace snug::kernels {

namespace {

/// A warp per row, three walks over it; the second and third find it in L1.
template <class T>
__global__ void __launch_bounds__(kThreads) normalize_exponentials(T* y, const T* x, std::int64_t rows, int channels) {
  const std::int64_t row = warp_row();
  if (row >= rows) return;
  const T* from = x + row * channels;
  float largest = -FLT_MAX;
  for (int c = lane_number(); c < channels; c += 32) {
    const float value = to_float(from[c]);
    largest = value > largest || is_nan(value) ? value : largest;
  }
  largest = warp_largest(largest);
  float sum = 0;
  for (int c = lane_number(); c < channels; c += 32) sum += expf(to_float(from[c]) - largest);
  const float factor = 1.0F / warp_sum(sum);
  for (int c = lane_number(); c < channels; c += 32)
    y[row * channels + c] = from_float<T>(expf(to_float(from[c]) - largest) * factor);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    softmax_gradient(T* dx, const T* dy, const T* y, std::int64_t rows, int channels) {
  const std::int64_t row = warp_row();
  if (row >= rows) return;
  const std::int64_t begin = row * channels;
  float dot = 0;
  for (int c = lane_number(); c < channels; c += 32) dot = fmaf(to_float(dy[begin + c]), to_float(y[begin + c]), dot);
  dot = warp_sum(dot);
  for (int c = lane_number(); c < channels; c += 32)
    dx[begin + c] = from_float<T>(to_float(y[begin + c]) * (to_float(dy[begin + c]) - dot));
}

}  // namespace

void softmax_forward(Data data, const void* x, void* y, std::int64_t rows, int channels, Stream stream) {
  if (rows <= 0) return;
  by_type(data, [&]<class T>() {
    launch(normalize_exponentials<T>, warp_blocks(rows), kThreads, 0, stream, static_cast<T*>(y),
           static_cast<const T*>(x), rows, channels);
  });
}

void softmax_backward(Data data, const void* dy, const void* y, void* dx, std::int64_t rows, int channels,
                      Stream stream) {
  if (rows <= 0) return;
  by_type(data, [&]<class T>() {
    launch(softmax_gradient<T>, warp_blocks(rows), kThreads, 0, stream, static_cast<T*>(dx), static_cast<const T*>(dy),
           static_cast<const T*>(y), rows, channels);
  });
}

}  // namespace snug::kernels
