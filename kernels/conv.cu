#include "conv.cuh"

#include "functions.cuh"
#include "map.cuh"

namespace snug::kernels {

namespace {

constexpr int kTile = 64;   // outputs of a block, both ways
constexpr int kDepth = 16;  // terms that are in shared memory at once
constexpr int kOwn = 4;     // outputs of a thread, both ways

/// Terms of a weight gradient that one block adds up, and the most parts of them.
constexpr std::int64_t kTermsPerPart = 4'096, kMostParts = 64;

/// A product of [rows, terms] and [terms, columns] per group, cut along the terms into parts.
struct Size {
  std::int64_t rows, columns, terms;
  std::int64_t terms_per_part;
  [[nodiscard]] dim3 grid(int groups) const {
    return {static_cast<unsigned>(divide_up(rows, std::int64_t{kTile}) * divide_up(columns, std::int64_t{kTile})),
            static_cast<unsigned>(divide_up(terms, terms_per_part)), static_cast<unsigned>(groups)};
  }
};

/// Problem: size, left(group, row, term), right(group, term, column), put(group, part, row, column, sum).
template <class Problem>
__global__ void __launch_bounds__(kThreads) multiply(Problem problem) {
  SHARED(float[kDepth][kTile + 1], left);
  SHARED(float[kDepth][kTile + 1], right);
  const Size& size = problem.size;
  const std::int64_t across = divide_up(size.columns, std::int64_t{kTile});
  const std::int64_t row = blockIdx.x / across * kTile, column = blockIdx.x % across * kTile;
  const int group = static_cast<int>(blockIdx.z), t = static_cast<int>(threadIdx.x);
  const int own_row = t / 16 * kOwn, own_column = t % 16 * kOwn;
  const std::int64_t begin = blockIdx.y * size.terms_per_part;
  const std::int64_t end = begin + size.terms_per_part < size.terms ? begin + size.terms_per_part : size.terms;
  float sums[kOwn][kOwn] = {};
  for (std::int64_t first = begin; first < end; first += kDepth) {
    for (int i = t; i < kDepth * kTile; i += kThreads) {
      // Neighbours along the axis that is packed in memory: terms of rows, and columns or terms of columns.
      const std::int64_t term = first + i % kDepth, at = i / kDepth;
      left[i % kDepth][at] = term < end && row + at < size.rows ? problem.left(group, row + at, term) : 0.0F;
      right[i % kDepth][at] = term < end && column + at < size.columns ? problem.right(group, term, column + at) : 0.0F;
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kDepth; ++k) {
#pragma unroll
      for (int r = 0; r < kOwn; ++r) {
#pragma unroll
        for (int c = 0; c < kOwn; ++c) sums[r][c] = fmaf(left[k][own_row + r], right[k][own_column + c], sums[r][c]);
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int r = 0; r < kOwn; ++r) {
#pragma unroll
    for (int c = 0; c < kOwn; ++c) {
      if (row + own_row + r < size.rows && column + own_column + c < size.columns)
        problem.put(group, blockIdx.y, row + own_row + r, column + own_column + c, sums[r][c]);
    }
  }
}

/// A place in the window and a channel of the group, from their common number.
struct Tap {
  int kh, kw, channel;
};
__device__ inline Tap tap_of(const Convolution& c, std::int64_t number, int channels) {
  const auto place = static_cast<int>(number / channels);
  return {place / c.window.kernel[1], place % c.window.kernel[1], static_cast<int>(number % channels)};
}

struct OutputPixel {
  std::int64_t n;
  int h, w;
};
__device__ inline OutputPixel pixel(std::int64_t number, int height, int width) {
  const std::int64_t row = number / width;
  return {row / height, static_cast<int>(row % height), static_cast<int>(number % width)};
}

/// The input that an output pixel multiplies by a tap; 0 beside the image.
template <class T>
__device__ inline float input_at(const Convolution& c, const T* x, const OutputPixel& o, const Tap& tap, int group) {
  const int h = o.h * c.window.stride[0] - c.window.pad[0] + tap.kh * c.window.dilation[0];
  const int w = o.w * c.window.stride[1] - c.window.pad[1] + tap.kw * c.window.dilation[1];
  if (h < 0 || h >= c.x.h || w < 0 || w >= c.x.w) return 0.0F;
  const int channel = group * (c.x.c / c.groups) + tap.channel;
  return to_float(x[((o.n * c.x.h + h) * c.x.w + w) * c.x.c + channel]);
}

template <class T>
struct Forward {
  Size size;  // rows: output pixels; columns: filters of a group; terms: taps
  Convolution conv;
  const T *x, *w;
  const float* bias;
  Activation kind;
  T* y;

  __device__ float left(int group, std::int64_t row, std::int64_t term) const {
    return input_at(conv, x, pixel(row, conv.y_h, conv.y_w), tap_of(conv, term, conv.x.c / conv.groups), group);
  }
  __device__ float right(int group, std::int64_t term, std::int64_t column) const {
    return to_float(w[(group * size.columns + column) * size.terms + term]);
  }
  __device__ void put(int group, unsigned, std::int64_t row, std::int64_t column, float sum) const {
    const std::int64_t filter = group * size.columns + column;
    y[row * conv.filters + filter] = from_float<T>(activate_lines(kind, sum + (bias == nullptr ? 0.0F : bias[filter])));
  }
};

template <class T>
struct BackwardData {
  Size size;  // rows: input pixels; columns: channels of a group; terms: taps of filters
  Convolution conv;
  const T *dy, *w;
  T* dx;

  /// The output row or column that a tap of the window at `pixel` belongs to; -1 for none.
  [[nodiscard]] __device__ int output_of(int axis, int place, int k, int outputs) const {
    const int from = place + conv.window.pad[axis] - k * conv.window.dilation[axis];
    if (from < 0 || from % conv.window.stride[axis] != 0) return -1;
    return from / conv.window.stride[axis] < outputs ? from / conv.window.stride[axis] : -1;
  }
  __device__ float left(int group, std::int64_t row, std::int64_t term) const {
    const OutputPixel i = pixel(row, conv.x.h, conv.x.w);
    const int filters = conv.filters / conv.groups;
    const Tap tap = tap_of(conv, term, filters);
    const int h = output_of(0, i.h, tap.kh, conv.y_h), v = output_of(1, i.w, tap.kw, conv.y_w);
    if (h < 0 || v < 0) return 0.0F;
    return to_float(dy[((i.n * conv.y_h + h) * conv.y_w + v) * conv.filters + group * filters + tap.channel]);
  }
  __device__ float right(int group, std::int64_t term, std::int64_t column) const {
    const int filters = conv.filters / conv.groups;
    const Tap tap = tap_of(conv, term, filters);
    const std::int64_t filter = group * filters + tap.channel;
    return to_float(
        w[((filter * conv.window.kernel[0] + tap.kh) * conv.window.kernel[1] + tap.kw) * size.columns + column]);
  }
  __device__ void put(int group, unsigned, std::int64_t row, std::int64_t column, float sum) const {
    dx[row * conv.x.c + group * size.columns + column] = from_float<T>(sum);
  }
};

template <class T>
struct BackwardWeights {
  Size size;  // rows: filters of a group; columns: taps; terms: output pixels
  Convolution conv;
  const T *x, *dy;
  float* partial;  // [parts][filters][taps]

  __device__ float left(int group, std::int64_t row, std::int64_t term) const {
    return to_float(dy[term * conv.filters + group * size.rows + row]);
  }
  __device__ float right(int group, std::int64_t term, std::int64_t column) const {
    return input_at(conv, x, pixel(term, conv.y_h, conv.y_w), tap_of(conv, column, conv.x.c / conv.groups), group);
  }
  __device__ void put(int group, unsigned part, std::int64_t row, std::int64_t column, float sum) const {
    partial[(part * static_cast<std::int64_t>(conv.filters) + group * size.rows + row) * size.columns + column] = sum;
  }
};

__global__ void __launch_bounds__(kThreads)
    join_weights(float* dw, const float* partial, unsigned parts, std::int64_t n, bool accumulate) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= n) return;
  float sum = accumulate ? dw[i] : 0.0F;
  for (unsigned part = 0; part < parts; ++part) sum += partial[part * n + i];
  dw[i] = sum;
}

std::int64_t taps(const Convolution& c) {
  return static_cast<std::int64_t>(c.window.kernel[0]) * c.window.kernel[1] * (c.x.c / c.groups);
}

Size weights_size(const Convolution& c) {
  const std::int64_t pixels = c.x.n * c.y_h * c.y_w, parts = divide_up(pixels, kTermsPerPart);
  const std::int64_t used = parts < kMostParts ? parts : kMostParts;
  return {c.filters / c.groups, taps(c), pixels, divide_up(divide_up(pixels, used), std::int64_t{kDepth}) * kDepth};
}

}  // namespace

void conv_forward(const Convolution& conv, const void* x, const void* w, const float* bias, Activation kind, void* y,
                  Stream stream) {
  if (conv.x.n <= 0) return;
  const Size size{conv.x.n * conv.y_h * conv.y_w, conv.filters / conv.groups, taps(conv), taps(conv)};
  by_type(conv.data, [&]<class T>() {
    const Forward<T> problem{size, conv, static_cast<const T*>(x), static_cast<const T*>(w),
                             bias, kind, static_cast<T*>(y)};
    launch(multiply<Forward<T>>, size.grid(conv.groups), kThreads, 0, stream, problem);
  });
}

void conv_backward_data(const Convolution& conv, const void* dy, const void* w, void* dx, Stream stream) {
  if (conv.x.n <= 0) return;
  const std::int64_t terms =
      static_cast<std::int64_t>(conv.window.kernel[0]) * conv.window.kernel[1] * (conv.filters / conv.groups);
  const Size size{conv.x.n * conv.x.h * conv.x.w, conv.x.c / conv.groups, terms, terms};
  by_type(conv.data, [&]<class T>() {
    const BackwardData<T> problem{size, conv, static_cast<const T*>(dy), static_cast<const T*>(w), static_cast<T*>(dx)};
    launch(multiply<BackwardData<T>>, size.grid(conv.groups), kThreads, 0, stream, problem);
  });
}

std::int64_t conv_backward_weights_workspace_bytes(const Convolution& conv) {
  const Size size = weights_size(conv);
  return divide_up(size.terms, size.terms_per_part) * conv.filters * size.columns *
         static_cast<std::int64_t>(sizeof(float));
}

void conv_backward_weights(const Convolution& conv, const void* x, const void* dy, float* dw, bool accumulate,
                           void* workspace, Stream stream) {
  if (conv.x.n <= 0) return;
  const Size size = weights_size(conv);
  auto* partial = static_cast<float*>(workspace);
  by_type(conv.data, [&]<class T>() {
    const BackwardWeights<T> problem{size, conv, static_cast<const T*>(x), static_cast<const T*>(dy), partial};
    launch(multiply<BackwardWeights<T>>, size.grid(conv.groups), kThreads, 0, stream, problem);
  });
  const std::int64_t n = conv.filters * size.columns;
  launch(join_weights, static_cast<unsigned>(divide_up(n, std::int64_t{kThreads})), kThreads, 0, stream, dw, partial,
         static_cast<unsigned>(divide_up(size.terms, size.terms_per_part)), n, accumulate);
}

}  // namespace snug::kernels
