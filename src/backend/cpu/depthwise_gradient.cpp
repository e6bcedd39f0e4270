// dw[tap][c] = Σ over images and pixels of dy[pixel][c] · x[pixel moved by the tap][c], 32 channels at a time: rows of
// both are widened to floats in scratch, those of x with their padding, and a row of x stays there for as many rows of
// dy as read it. An image's sums are added up before they meet those of the others. Channels alone are shared out to
// threads.
#include "backend/cpu/depthwise_gradient.h"

namespace snug::cpu {

namespace {

/// Everything but the pointers. Rows of x lie in a ring: row r at r mod ring_rows.
struct Plan {
  Window window;
  std::int64_t images = 0, height = 0, width = 0, out_height = 0, out_width = 0, channels = 0;
  bool bias = false, accumulate = false;
  std::int64_t padded_width = 0, ring_rows = 0;
  std::int64_t slope_row = 0, ring = 0, image_sums = 0, sums = 0, part_bytes = 0;  ///< workspace

  [[nodiscard]] std::int64_t taps() const { return window.kernel[0] * window.kernel[1]; }
  [[nodiscard]] std::int64_t blocks() const { return (channels + kDepthwiseChannels - 1) / kDepthwiseChannels; }
  [[nodiscard]] std::int64_t ring_row() const { return padded_width * kDepthwiseChannels; }
};

/// One block of channels.
template <class T>
struct Block {
  const Plan& p;
  const DepthwiseGradientKernels<T>& kernels;
  const T *x, *dy;  ///< at the block's first channel
  std::int64_t count = 0;
  float *slope_row, *ring, *image_sums, *sums;  ///< sums: [tap][channel], the bias behind them

  /// Widens the rows of x up to `last` that are not in the ring yet; returns the first that is not.
  [[nodiscard]] std::int64_t fill_ring(std::int64_t image, std::int64_t next, std::int64_t last) const {
    for (; next <= std::min(last, p.height - 1); ++next) {
      float* to = ring + next % p.ring_rows * p.ring_row() + p.window.pad_begin[1] * kDepthwiseChannels;
      kernels.widen(to, x + (image * p.height + next) * p.width * p.channels, p.channels, p.width, count);
    }
    return next;
  }

  void add_image(std::int64_t image) const {
    const Window& w = p.window;
    std::int64_t next = 0;
    for (std::int64_t row = 0; row < p.out_height; ++row) {
      kernels.widen(slope_row, dy + (image * p.out_height + row) * p.out_width * p.channels, p.channels, p.out_width,
                    count);
      const std::int64_t first = row * w.stride[0] - w.pad_begin[0];
      next = fill_ring(image, std::max(next, first), first + (w.kernel[0] - 1) * w.dilation[0]);
      for (std::int64_t tap = 0; tap < w.kernel[0]; ++tap) {
        const std::int64_t of_x = first + tap * w.dilation[0];
        if (of_x < 0 || of_x >= p.height) continue;
        kernels.add_row(image_sums + tap * w.kernel[1] * kDepthwiseChannels, slope_row,
                        ring + of_x % p.ring_rows * p.ring_row(), p.out_width, w.kernel[1], w.stride[1], w.dilation[1]);
      }
      if (p.bias) kernels.add_row(image_sums + p.taps() * kDepthwiseChannels, slope_row, ones(), p.out_width, 1, 0, 1);
    }
  }

  /// A pixel of ones, behind the ring.
  [[nodiscard]] float* ones() const { return ring + p.ring_rows * p.ring_row(); }

  void run() const {
    const std::int64_t all = (p.taps() + 1) * kDepthwiseChannels;
    std::fill_n(ring, p.ring_rows * p.ring_row(), 0.0F);
    std::fill_n(ones(), kDepthwiseChannels, 1.0F);
    std::fill_n(sums, all, 0.0F);
    for (std::int64_t image = 0; image < p.images; ++image) {
      std::fill_n(image_sums, all, 0.0F);
      add_image(image);
      for (std::int64_t i = 0; i < all; ++i) sums[i] += image_sums[i];
    }
  }

  void write(float* dw, float* dbias) const {
    for (std::int64_t c = 0; c < count; ++c) {
      for (std::int64_t tap = 0; tap < p.taps(); ++tap) {
        float& at = dw[c * p.taps() + tap];
        at = sums[tap * kDepthwiseChannels + c] + (p.accumulate ? at : 0.0F);
      }
      if (p.bias) dbias[c] = sums[p.taps() * kDepthwiseChannels + c] + (p.accumulate ? dbias[c] : 0.0F);
    }
  }
};

template <class T>
void run(const Plan& p, const DepthwiseGradientKernels<T>& kernels, const StepArguments& arguments, int threads) {
  parallel_shares(threads, p.blocks(), [&](std::int64_t thread, std::int64_t begin, std::int64_t end) {
    const std::int64_t part = thread * p.part_bytes;
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t channel = i * kDepthwiseChannels;
      const Block<T> block{.p = p,
                           .kernels = kernels,
                           .x = operand<T>(arguments, 0) + channel,
                           .dy = operand<T>(arguments, 1) + channel,
                           .count = std::min(kDepthwiseChannels, p.channels - channel),
                           .slope_row = scratch(arguments, part + p.slope_row),
                           .ring = scratch(arguments, part + p.ring),
                           .image_sums = scratch(arguments, part + p.image_sums),
                           .sums = scratch(arguments, part + p.sums)};
      block.run();
      block.write(operand(arguments, 2) + channel * p.taps(), p.bias ? operand(arguments, 3) + channel : nullptr);
    }
  });
}

template <class T>
PreparedStep prepared(const CpuContext& context, Plan plan) {
  const Window& w = plan.window;
  const std::int64_t reach = (plan.out_width - 1) * w.stride[1] + (w.kernel[1] - 1) * w.dilation[1] + 1;
  plan.padded_width = std::max(reach, w.pad_begin[1] + plan.width);
  plan.ring_rows = (w.kernel[0] - 1) * w.dilation[0] + 1;
  WorkspaceLayout layout;
  plan.slope_row = layout.add<float>(plan.out_width * kDepthwiseChannels);
  plan.ring = layout.add<float>(plan.ring_rows * plan.ring_row() + kDepthwiseChannels);
  plan.image_sums = layout.add<float>((plan.taps() + 1) * kDepthwiseChannels);
  plan.sums = layout.add<float>((plan.taps() + 1) * kDepthwiseChannels);
  plan.part_bytes = layout.bytes();
  layout.add_bytes((context.threads - 1) * plan.part_bytes);
  return {.algorithm = "conv:own depthwise",
          .workspace_bytes = layout.bytes(),
          .run = [kernels = context.kernels->depthwise_gradient.of<T>(), plan, threads = context.threads](
                     const StepArguments& arguments) { run<T>(plan, kernels, arguments, threads); }};
}

}  // namespace

std::optional<PreparedStep> own_depthwise_gradient(const CpuContext& context, const StepView& step) {
  const auto& conv = step.attributes<ConvAttributes>();
  const Shape &x = step.shape(0), &dy = step.shape(1);
  constexpr std::int64_t kLibraryTaps = 9;  // up to here oneDNN is up to a third faster; from here on five times slower
  const std::int64_t taps = conv.window.kernel[0] * conv.window.kernel[1];
  if (conv.groups == 1 || conv.groups != x[3] || conv.groups != dy[3] || taps <= kLibraryTaps) return std::nullopt;
  const Plan plan{.window = conv.window,
                  .images = x[0],
                  .height = x[1],
                  .width = x[2],
                  .out_height = dy[1],
                  .out_width = dy[2],
                  .channels = x[3],
                  .bias = conv.bias,
                  .accumulate = conv.accumulate};
  return step[0].dtype == kBf16 ? prepared<Bf16>(context, plan) : prepared<float>(context, plan);
}

}  // namespace snug::cpu
