// Our own CPU kernels: plain functions on ranges, without threads, memory or state of their own. Each is compiled for
// several instruction sets; `kernels_for` picks a table. Splitting work over threads is the callers' part.
// Activations and their gradients are stored as T (storage.h); everything else is float, and so is what is computed.
// In-place use (an output equal to an input) is allowed where the line says so; other overlap never is.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "backend/cpu/kernels/storage.h"

namespace snug::cpu {

/// y may be x; dx may be dy or the third operand. Indexed by ActivationFunction.
template <class T>
struct ActivationKernels {
  using Forward = void (*)(T* y, const T* x, std::int64_t count);
  using Backward = void (*)(T* dx, const T* dy, const T* saved, std::int64_t count);
  Forward forward[7];
  Backward backward_from_input[7];
  Backward backward_from_output[7];  ///< null where the output does not determine the slope
};

/// Per-channel vectors of a normalization (x − center) · scale + shift, repeated to a row's width.
struct ChannelVectors {
  const float *center = nullptr, *scale = nullptr, *shift = nullptr;
};

/// Tables by activation: indexed by ActivationFunction, kIdentity for none.
inline constexpr std::size_t kIdentity = 7, kFunctions = 8;

/// Rows that stand `pitch` elements apart: a channel slice of a wider tensor. Packed rows: pitch is their width.
template <class T>
struct Pitched {
  T* data = nullptr;
  std::int64_t pitch = 0;
};

/// Rows of channels, stored as T. Few channels would leave vectors half empty; so `fold` successive rows count as one
/// row of width = fold · channels, and per-channel vectors are repeated to `width` (see fold_of). Pitched rows are not
/// folded.
template <class T>
struct ChannelKernels {
  /// Mean and Σ(x − mean)² of each channel over `rows` rows: two passes, so keep a chunk within the cache.
  void (*statistics)(Pitched<const T> x, std::int64_t rows, std::int64_t channels, std::int64_t fold, float* mean,
                     float* squares);
  /// y = activation((x − center) · scale + shift [+ residual]); y may be x or residual, which may be null.
  using Normalize = void (*)(T* y, Pitched<const T> x, const T* residual, std::int64_t rows, std::int64_t width,
                             const ChannelVectors& vectors);
  Normalize normalize[kFunctions];
  /// Σ g and Σ g · (z − center) of each channel, where g = dy · slope of the activation at the normalised z.
  using GradientSums = void (*)(const T* dy, Pitched<const T> z, std::int64_t rows, std::int64_t channels,
                                std::int64_t fold, const ChannelVectors& vectors, float* sum, float* product);
  GradientSums gradient_sums[kFunctions];
  /// The same with the slope taken from the output y; g is written, and may be dy. Null where y does not tell the
  /// slope.
  using ResidualSums = void (*)(T* g, const T* dy, const T* y, Pitched<const T> z, std::int64_t rows,
                                std::int64_t channels, std::int64_t fold, const float* center, float* sum,
                                float* product);
  ResidualSums residual_sums[kFunctions];
  /// dx = [dx +] a · g + b · (z − center) + c, g as for gradient_sums; vectors of `width`; dx may be dy or z.
  using Gradient = void (*)(Pitched<T> dx, bool add, const T* dy, Pitched<const T> z, std::int64_t rows,
                            std::int64_t width, const ChannelVectors& vectors, const float* a, const float* b,
                            const float* c);
  Gradient gradient[kFunctions];
  /// y = x · scale (vector of `channels`), and Σ a · b of each channel.
  void (*scale)(T* y, const T* x, std::int64_t rows, std::int64_t channels, const float* scale);
  void (*products)(const T* a, const T* b, std::int64_t rows, std::int64_t channels, float* sum);
  /// y = (x ÷ divisor − mean) · inverse_std, vectors of `channels`.
  void (*normalize_bytes)(T* y, const std::uint8_t* x, std::int64_t rows, std::int64_t channels, float divisor,
                          const float* mean, const float* inverse_std);
  void (*normalize_floats)(T* y, const float* x, std::int64_t rows, std::int64_t channels, float divisor,
                           const float* mean, const float* inverse_std);
};

struct PoolGeometry {
  std::int64_t in_height = 0, in_width = 0, out_height = 0, out_width = 0, channels = 0;
  std::int64_t kernel[2]{}, stride[2]{}, dilation[2]{}, pad[2]{};  ///< rows, columns
};
/// Half-open.
struct Range {
  std::int64_t begin = 0, end = 0;
};
template <class T>
struct PoolKernels {
  /// One output row of one image. NaN wins; a window without a pixel gives -infinity.
  void (*max_forward)(const PoolGeometry& geometry, std::int64_t out_row, const T* x, T* y, std::uint8_t* index);
  /// One input row of one image: `rows` and `columns[i]` are the outputs whose windows may reach this row and column i.
  void (*max_backward)(const PoolGeometry& geometry, std::int64_t in_row, Range rows, const Range* columns, const T* dy,
                       const std::uint8_t* index, T* dx);
  /// One output row: averages x over rows × columns[j].
  void (*average_forward)(T* y, const T* x, std::int64_t channels, std::int64_t in_width, Range rows,
                          const Range* columns, std::int64_t out_width);
  /// One input row: column i gathers dy over rows × columns[i], weighted by 1 ÷ (row_count · column_count).
  void (*average_backward)(T* dx, const T* dy, std::int64_t channels, std::int64_t out_width, Range rows,
                           const float* row_weights, const Range* columns, const float* column_weights,
                           std::int64_t in_width);
};

/// Gradients of convolution weights are products of two matrices, dy by filter and x by channel, summed over pixels.
/// Both are packed into panels of words of 32 bits: a float, or two images' bf16 side by side. A panel holds one word a
/// pixel for each of its filters or channels.
inline constexpr std::int64_t kPanelFilters = 8, kPanelChannels = 32;
/// A tile of dw: [filters ≤ kPanelFilters][channels ≤ kPanelChannels], summed over images × rows × pixels. Strides in
/// words; those of pixels are the panels' widths.
struct GradientTile {
  std::int64_t images = 0, rows = 0, pixels = 0;
  std::int64_t a_image = 0, a_row = 0, b_image = 0, b_row = 0;
  std::int64_t filters = 0, channels = 0, filter_stride = 0;
  bool add = false;  ///< to what is in dw
};
template <class T>
struct WeightGradientKernels {  ///< null where the instruction set is too narrow for them to pay
  /// Words of `pixels` pixels, `pixel_stride` elements apart, to panels `panel_stride` words apart. `second` is null
  /// where there is no second image, and always for floats.
  void (*pack_channels)(std::uint32_t* to, std::int64_t panel_stride, const T* first, const T* second,
                        std::int64_t pixel_stride, std::int64_t pixels, std::int64_t channels);
  /// Writes whole groups of 32 filters: four panels.
  void (*pack_filters)(std::uint32_t* to, std::int64_t panel_stride, const T* first, const T* second,
                       std::int64_t pixel_stride, std::int64_t pixels, std::int64_t filters);
  /// c: the tile; a, b: its panels. Null for bf16 without AVX512_BF16.
  void (*tile)(float* c, const std::uint32_t* a, const std::uint32_t* b, const GradientTile& tile);
  /// sum[kPanelFilters] += the words of each filter.
  void (*sums)(float* sum, const std::uint32_t* a, std::int64_t words);
};

/// Gradients of depthwise weights: a row of dy against a row of x, kDepthwiseChannels channels of both at a time, as
/// floats and with the padding in front. Pixels of both are kDepthwiseChannels apart.
inline constexpr std::int64_t kDepthwiseChannels = 32;
template <class T>
struct DepthwiseGradientKernels {
  /// Channels from `count` on are 0.
  void (*widen)(float* to, const T* from, std::int64_t pixel_stride, std::int64_t pixels, std::int64_t count);
  /// sum[tap][channel] += Σ over pixels of dy[pixel][channel] · x[pixel · stride + tap · dilation][channel].
  void (*add_row)(float* sum, const float* dy, const float* x, std::int64_t pixels, std::int64_t taps,
                  std::int64_t stride, std::int64_t dilation);
};

/// 3×3 convolutions by Winograd's F(2×2, 3×3): a patch of 4×4 pixels gives 2×2 outputs with 16 products for each pair
/// of channels, where 36 are usual. Pixels and filters are carried over to the 16 places of a patch (Bᵀ d B, G g Gᵀ),
/// each place is a product of matrices, and outputs are Aᵀ m A. Transforms compute in float; what is multiplied is
/// rounded to bf16, two channels to a word.
inline constexpr std::int64_t kPatchPlaces = 16, kProductRows = 8, kProductColumns = 32;
/// Where a patch's pixels are. Bit 4 · row + column (of 2×2 outputs: 2 · row + column) of `inside`: in the image.
struct Patch {
  std::int64_t row_stride = 0, pixel_stride = 0;  ///< elements
  unsigned inside = 0;
};
/// Filters of O(kh)(kw)I: elements from filter to filter and from tap to tap.
struct FilterStrides {
  std::int64_t filter = 0, tap = 0;
};
struct WinogradKernels {  ///< null without AVX512_BF16
  /// Words of 16 filters for `channels` (a multiple of 16), to [place][channels ÷ 2][kProductColumns].
  void (*forward_filters)(std::uint32_t* to, std::int64_t place_stride, const Bf16* w, FilterStrides strides,
                          std::int64_t channels);
  /// The same of 16 channels for `filters`, turned by half a turn: a gradient's filters.
  void (*backward_filters)(std::uint32_t* to, std::int64_t place_stride, const Bf16* w, FilterStrides strides,
                           std::int64_t filters);
  /// v[place · place_stride + channel], channels a multiple of 16. `x` is the patch's first pixel, inside or not.
  void (*pixels)(Bf16* v, std::int64_t place_stride, const Bf16* x, const Patch& patch, std::int64_t channels);
  /// m[row][column] = Σ over words of v[row] · u[word][column], kProductRows × kProductColumns; strides in elements.
  void (*product)(float* m, std::int64_t m_stride, const std::uint32_t* v, std::int64_t v_stride,
                  const std::uint32_t* u, std::int64_t words);
  /// Outputs of `channels` (a multiple of 16) from m[place · place_stride + channel]; bias may be null.
  using Outputs = void (*)(Bf16* y, const Patch& patch, const float* m, std::int64_t place_stride, const float* bias,
                           std::int64_t channels);
  Outputs outputs[kFunctions];  ///< by activation; null for those that oneDNN does not fuse either
};

/// Dense layers: inputs of samples and of units lie side by side, so a tile of outputs is a vector of partial sums
/// each.
inline constexpr int kDenseSide = 4;
struct DenseTile {
  const float *x[kDenseSide]{}, *w[kDenseSide]{};  ///< inputs of samples and weights of units; none is null
  std::int64_t count = 0;                          ///< inputs to sum over
  std::int64_t rows = 0, columns = 0;              ///< samples and units that are written, at most kDenseSide
  const float* bias = nullptr;                     ///< of the units; may be null
  bool add = false;                                ///< to what is in y, instead of the bias
};
struct DenseKernels {
  /// y[sample][unit] = bias + Σ x · w; null where the instruction set is too narrow for it to pay.
  void (*tile)(float* y, std::int64_t y_stride, const DenseTile& tile);
};

template <class T>
struct ElementwiseKernels {
  void (*add)(T* y, const T* a, const T* b, std::int64_t count);         ///< y may be a or b
  void (*multiply)(T* y, const T* x, float factor, std::int64_t count);  ///< y may be x
  /// y = x · factor where the element's random number is kept, else 0; `first` (of x, within its sample) is a multiple
  /// of 4. See DropoutAttributes; kept when word >> 8 ≥ threshold. y may be x.
  void (*dropout)(T* y, const T* x, std::int64_t count, std::int64_t first, std::uint64_t key, std::uint64_t counter,
                  std::uint32_t threshold, float factor);
};

struct CastKernels {
  void (*narrow)(Bf16* y, const float* x, std::int64_t count);
  void (*widen)(float* y, const Bf16* x, std::int64_t count);
};

struct SoftmaxKernels {
  float (*maximum)(const float* x, std::int64_t count);  ///< NaN if any is
  /// y = e^(x − shift) and their sum; y may be x, or null for the sum alone.
  float (*exponentials)(float* y, const float* x, float shift, std::int64_t count);
  float (*sum)(const float* x, std::int64_t count);
  float (*dot)(const float* a, const float* b, std::int64_t count);
  /// y = y · factor + offset.
  void (*affine)(float* y, float factor, float offset, std::int64_t count);
  /// dx = (dy − dot) · y; dx may be dy or y.
  void (*backward)(float* dx, const float* dy, const float* y, float dot, std::int64_t count);
};

struct SgdValues {
  float rate = 0, weight_decay = 0, momentum = 0, gradient_scale = 1;
};
struct AdamValues {
  float rate = 0;                                   ///< divided by the first bias correction
  float weight_decay = 0;                           ///< added to the gradient
  float weight_factor = 1;                          ///< decoupled decay: weights are multiplied by it first
  float beta1_rest = 0, beta2 = 0, beta2_rest = 0;  ///< rest: 1 − beta, rounded once
  float epsilon = 0, gradient_scale = 1;
  float root_correction = 1;  ///< √(1 − beta2^t)
};
struct UpdateKernels {
  void (*sgd)(float* w, const float* g, const SgdValues& values, std::int64_t count);
  void (*sgd_momentum)(float* w, const float* g, float* v, const SgdValues& values, std::int64_t count);
  void (*sgd_nesterov)(float* w, const float* g, float* v, const SgdValues& values, std::int64_t count);
  void (*adam)(float* w, const float* g, float* m, float* v, const AdamValues& values, std::int64_t count);
  void (*ema)(float* average, const float* w, float decay, float one_minus_decay, std::int64_t count);
  double (*sum_of_squares)(const float* x, std::int64_t count);
};

struct Kernels {
  const char* instruction_set;
  ByStorage<ActivationKernels> activation;
  ByStorage<ChannelKernels> channel;
  ByStorage<PoolKernels> pool;
  ByStorage<WeightGradientKernels> weight_gradient;
  ByStorage<DepthwiseGradientKernels> depthwise_gradient;
  WinogradKernels winograd;
  DenseKernels dense;
  ByStorage<ElementwiseKernels> elementwise;
  CastKernels cast;
  SoftmaxKernels softmax;
  UpdateKernels update;
};

/// The table for the newest instruction set that this processor has.
[[nodiscard]] const Kernels& best_kernels();
/// The tables that this processor can run, oldest first.
[[nodiscard]] std::array<const Kernels*, 4> usable_kernels();  ///< null where it cannot

/// Whether the processor has tiles for products of bf16 (AMX), which only oneDNN uses.
[[nodiscard]] bool has_amx_bf16();

/// A fold's width is at most this (unless fold = 1).
inline constexpr std::int64_t kMaxFoldedWidth = 128;
/// How many rows to take as one, so that vectors fill up.
[[nodiscard]] std::int64_t fold_of(std::int64_t channels);

}  // namespace snug::cpu
