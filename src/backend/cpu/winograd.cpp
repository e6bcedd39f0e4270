// A step is two sweeps. First the filters are carried over to the places of a patch, as panels of 32 outputs. Then
// blocks of patches, each small enough for the second cache: their pixels are carried over, every place is a product of
// matrices, and the outputs are gathered, some channels at a time. A thread walks its own share of the blocks. Where a
// patch lies in its block changes no bit of it.
#include "backend/cpu/winograd.h"

namespace snug::cpu {

namespace {

constexpr std::int64_t kOutputs = 2, kTaps = 3;  // of a patch and of a filter, each way
constexpr std::int64_t kPanelsAtOnce = 2;        // whose products are gathered together
constexpr std::int64_t kFiltersAtOnce = 16;      // of the filters' transform
constexpr std::int64_t kGathered = kPanelsAtOnce * kProductColumns;

/// A convolution of stride 1: [images][height][width][in] → [images][out_height][out_width][out].
struct Plan {
  std::int64_t images = 0, height = 0, width = 0, in = 0;
  std::int64_t out_height = 0, out_width = 0, out = 0;
  std::int64_t pad_rows = 0, pad_columns = 0;  ///< before the first
  bool backward = false;                       ///< `in` counts filters, `out` channels
  bool bias = false;
  std::size_t function = kIdentity;
  std::int64_t block = 0;                     ///< patches of a block
  std::int64_t filters = 0, thread_part = 0;  ///< workspace: transformed filters; of the first thread
  std::int64_t products = 0, part_bytes = 0;  ///< within a thread's part; its size

  [[nodiscard]] std::int64_t patch_rows() const { return (out_height + 1) / kOutputs; }
  [[nodiscard]] std::int64_t patch_columns() const { return (out_width + 1) / kOutputs; }
  [[nodiscard]] std::int64_t patches() const { return images * patch_rows() * patch_columns(); }
  [[nodiscard]] std::int64_t blocks() const { return (patches() + block - 1) / block; }
  [[nodiscard]] std::int64_t words() const { return in / 2; }
  [[nodiscard]] std::int64_t panels() const { return out / kProductColumns; }
  /// Words of a panel: [place][word][kProductColumns].
  [[nodiscard]] std::int64_t place_words() const { return words() * kProductColumns; }
};

/// The bits of [rows][side] that lie within the image; `row` and `column` are those of the first.
unsigned inside_of(std::int64_t row, std::int64_t column, std::int64_t height, std::int64_t width, int side) {
  unsigned bits = 0;
  for (int i = 0; i < side; ++i) {
    for (int j = 0; j < side; ++j) {
      const bool in = row + i >= 0 && row + i < height && column + j >= 0 && column + j < width;
      bits |= in ? 1U << (i * side + j) : 0;
    }
  }
  return bits;
}

void transform_filters(const Plan& p, const WinogradKernels& kernels, const Bf16* w, std::uint32_t* to, int threads) {
  const std::int64_t channels = p.backward ? p.out : p.in;
  const FilterStrides strides{.filter = kTaps * kTaps * channels, .tap = channels};
  parallel_for(threads, p.out / kFiltersAtOnce, [&](std::int64_t i) {
    const std::int64_t first = i * kFiltersAtOnce;
    std::uint32_t* panel = to + first / kProductColumns * kPatchPlaces * p.place_words() + first % kProductColumns;
    p.backward ? kernels.backward_filters(panel, p.place_words(), w + first, strides, p.in)
               : kernels.forward_filters(panel, p.place_words(), w + first * strides.filter, strides, p.in);
  });
}

/// One thread's walk over blocks.
struct Walk {
  const Plan& p;
  const WinogradKernels& kernels;
  const Bf16* x;
  Bf16* y;
  const float* bias;
  const std::uint32_t* filters;
  Bf16* pixels;     ///< [place][patch of the block][in]
  float* products;  ///< [place][patch of the block][kGathered]

  struct Corner {
    std::int64_t image = 0, row = 0, column = 0;  ///< of the first output
  };
  [[nodiscard]] Corner corner(std::int64_t patch) const {
    const std::int64_t row = patch / p.patch_columns();
    return {row / p.patch_rows(), row % p.patch_rows() * kOutputs, patch % p.patch_columns() * kOutputs};
  }

  void carry_pixels(std::int64_t first, std::int64_t count) const {
    for (std::int64_t i = 0; i < count; ++i) {
      const Corner at = corner(first + i);
      const std::int64_t row = at.row - p.pad_rows, column = at.column - p.pad_columns;
      const Patch patch{
          .row_stride = p.width * p.in, .pixel_stride = p.in, .inside = inside_of(row, column, p.height, p.width, 4)};
      kernels.pixels(pixels + i * p.in, p.block * p.in, x + ((at.image * p.height + row) * p.width + column) * p.in,
                     patch, p.in);
    }
  }

  void multiply(std::int64_t panel, std::int64_t panels, std::int64_t count) const {
    for (std::int64_t place = 0; place < kPatchPlaces; ++place) {
      const auto* v = reinterpret_cast<const std::uint32_t*>(pixels + place * p.block * p.in);
      for (std::int64_t j = 0; j < panels; ++j) {
        const std::uint32_t* u = filters + ((panel + j) * kPatchPlaces + place) * p.place_words();
        float* m = products + place * p.block * kGathered + j * kProductColumns;
        for (std::int64_t i = 0; i < count; i += kProductRows)
          kernels.product(m + i * kGathered, kGathered, v + i * p.words(), p.words(), u, p.words());
      }
    }
  }

  void gather(std::int64_t first, std::int64_t count, std::int64_t channel, std::int64_t channels) const {
    for (std::int64_t i = 0; i < count; ++i) {
      const Corner at = corner(first + i);
      const Patch patch{.row_stride = p.out_width * p.out,
                        .pixel_stride = p.out,
                        .inside = inside_of(at.row, at.column, p.out_height, p.out_width, kOutputs)};
      Bf16* to = y + ((at.image * p.out_height + at.row) * p.out_width + at.column) * p.out + channel;
      kernels.outputs[p.function](to, patch, products + i * kGathered, p.block * kGathered,
                                  bias != nullptr ? bias + channel : nullptr, channels);
    }
  }

  void run(std::int64_t begin, std::int64_t end) const {
    for (std::int64_t block = begin; block < end; ++block) {
      const std::int64_t first = block * p.block, count = std::min(p.block, p.patches() - first);
      carry_pixels(first, count);
      for (std::int64_t panel = 0; panel < p.panels(); panel += kPanelsAtOnce) {
        const std::int64_t panels = std::min(kPanelsAtOnce, p.panels() - panel);
        multiply(panel, panels, count);
        gather(first, count, panel * kProductColumns, panels * kProductColumns);
      }
    }
  }
};

void run(const Plan& p, const WinogradKernels& kernels, const StepArguments& arguments, int threads) {
  auto* filters = scratch<std::uint32_t>(arguments, p.filters);
  transform_filters(p, kernels, operand<Bf16>(arguments, 1), filters, threads);
  parallel_shares(threads, p.blocks(), [&](std::int64_t thread, std::int64_t begin, std::int64_t end) {
    const std::int64_t part = p.thread_part + thread * p.part_bytes;
    const Walk walk{.p = p,
                    .kernels = kernels,
                    .x = operand<Bf16>(arguments, 0),
                    .y = operand<Bf16>(arguments, p.bias ? 3 : 2),
                    .bias = p.bias ? operand(arguments, 2) : nullptr,
                    .filters = filters,
                    .pixels = scratch<Bf16>(arguments, part),
                    .products = scratch(arguments, part + p.products)};
    walk.run(begin, end);
  });
}

/// Patches of a block: as many as the second cache likes, pixels and products together.
std::int64_t block_of(std::int64_t in) {
  constexpr std::int64_t kBytes = 400 << 10, kMost = 64, kLeast = 24;
  const std::int64_t patch = kPatchPlaces * (in * 2 + kGathered * 4);
  return std::clamp(kBytes / patch, kLeast, kMost) / kProductRows * kProductRows;
}

PreparedStep prepared(const CpuContext& context, Plan plan) {
  plan.block = block_of(plan.in);
  WorkspaceLayout part;
  part.add<Bf16>(kPatchPlaces * plan.block * plan.in);
  plan.products = part.add<float>(kPatchPlaces * plan.block * kGathered);
  plan.part_bytes = part.bytes();
  WorkspaceLayout layout;
  plan.filters = layout.add<std::uint32_t>(kPatchPlaces * plan.panels() * plan.place_words());
  plan.thread_part = layout.add_bytes(context.threads * plan.part_bytes);
  return {.algorithm = "conv:winograd",
          .workspace_bytes = layout.bytes(),
          .run = [kernels = context.kernels->winograd, plan, threads = context.threads](
                     const StepArguments& arguments) { run(plan, kernels, arguments, threads); }};
}

/// Whether the kernels apply and are the faster ones (measured against oneDNN 3.2's direct convolutions). Few patches
/// do not repay the filters' transform.
bool pays(const CpuContext& context, const ConvAttributes& conv, DType type, const Plan& plan) {
  constexpr std::int64_t kLeastChannels = 64, kLeastPatches = 64;
  const Window& window = conv.window;
  const auto all = [](const std::array<std::int64_t, 2>& values, std::int64_t value) {
    return values[0] == value && values[1] == value;
  };
  return type == kBf16 && context.kernels->winograd.product != nullptr && !has_amx_bf16() && conv.groups == 1 &&
         all(window.kernel, kTaps) && all(window.stride, 1) && all(window.dilation, 1) && plan.pad_rows >= 0 &&
         plan.pad_columns >= 0 && plan.in >= kLeastChannels && plan.out >= kLeastChannels &&
         plan.in % kFiltersAtOnce == 0 && plan.out % kProductColumns == 0 && plan.patches() >= kLeastPatches;
}

}  // namespace

std::optional<PreparedStep> winograd_forward(const CpuContext& context, const StepView& step) {
  const auto& conv = step.attributes<ConvAttributes>();
  const Shape &x = step.shape(0), &y = step.shape(conv.bias ? 3 : 2);
  const Plan plan{.images = x[0],
                  .height = x[1],
                  .width = x[2],
                  .in = x[3],
                  .out_height = y[1],
                  .out_width = y[2],
                  .out = y[3],
                  .pad_rows = conv.window.pad_begin[0],
                  .pad_columns = conv.window.pad_begin[1],
                  .bias = conv.bias,
                  .function = conv.activation ? static_cast<std::size_t>(*conv.activation) : kIdentity};
  if (!pays(context, conv, step[0].dtype, plan) || context.kernels->winograd.outputs[plan.function] == nullptr)
    return std::nullopt;
  return prepared(context, plan);
}

std::optional<PreparedStep> winograd_backward_data(const CpuContext& context, const StepView& step) {
  const auto& conv = step.attributes<ConvAttributes>();
  const Shape &dy = step.shape(0), &dx = step.shape(2);
  const Plan plan{.images = dy[0],
                  .height = dy[1],
                  .width = dy[2],
                  .in = dy[3],
                  .out_height = dx[1],
                  .out_width = dx[2],
                  .out = dx[3],
                  .pad_rows = kTaps - 1 - conv.window.pad_begin[0],
                  .pad_columns = kTaps - 1 - conv.window.pad_begin[1],
                  .backward = true};
  if (!pays(context, conv, step[0].dtype, plan)) return std::nullopt;
  return prepared(context, plan);
}

}  // namespace snug::cpu
