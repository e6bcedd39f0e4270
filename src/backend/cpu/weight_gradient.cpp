// dw[o][kh][kw][c] = Σ over images and pixels of dy[pixel][o] · x[pixel moved by the tap][c]: for each tap a product of
// two matrices that share their longest side. Pixels are packed in blocks that stay in the caches; of a block every
// tile of dw is summed in registers and added to memory once. Each thread has its own part of dw, and packs for itself
// what that part needs: packing some of it twice is cheaper than handing it from core to core, and nobody waits. Which
// thread computes a tile changes no bit of it.
#include "backend/cpu/weight_gradient.h"

#include <array>
#include <vector>

namespace snug::cpu {

namespace {

constexpr std::int64_t kGroupPanels = 4, kGroupFilters = kGroupPanels * kPanelFilters;

/// One axis of a convolution. Pixels of the image whose places leave the same rest when divided by the stride are a
/// run: then outputs side by side read pixels side by side.
struct Axis {
  struct Tap {
    std::int64_t run = 0;             ///< which one it reads
    std::int64_t shift = 0;           ///< output i reads pixel i + shift of the run
    std::int64_t begin = 0, end = 0;  ///< outputs for which that is inside the image
  };
  struct Run {
    std::int64_t rest = 0, pixels = 0;
    std::int64_t first = 0;                       ///< the runs before it, in pixels
    std::int64_t reach_begin = 0, reach_end = 0;  ///< smallest and largest shift of its taps
  };
  std::int64_t stride = 1, outputs = 0, pixels = 0;  ///< pixels: of all runs
  std::vector<Tap> taps;
  std::vector<Run> runs;
};

std::int64_t floor_divide(std::int64_t a, std::int64_t b) { return (a - ((a % b) + b) % b) / b; }

Axis axis_of(const Window& window, std::size_t i, std::int64_t extent, std::int64_t outputs) {
  Axis axis{.stride = window.stride[i], .outputs = outputs, .pixels = 0, .taps = {}, .runs = {}};
  for (std::int64_t k = 0; k < window.kernel[i]; ++k) {
    const std::int64_t offset = k * window.dilation[i] - window.pad_begin[i];
    const std::int64_t shift = floor_divide(offset, axis.stride), rest = offset - shift * axis.stride;
    auto run = std::ranges::find(axis.runs, rest, &Axis::Run::rest);
    if (run == axis.runs.end()) {
      const std::int64_t pixels = (extent - rest + axis.stride - 1) / axis.stride;
      axis.runs.push_back({rest, std::max<std::int64_t>(pixels, 0), axis.pixels, shift, shift});
      run = axis.runs.end() - 1;
      axis.pixels += run->pixels;
    }
    run->reach_begin = std::min(run->reach_begin, shift);
    run->reach_end = std::max(run->reach_end, shift);
    const std::int64_t begin = std::clamp<std::int64_t>(-shift, 0, outputs);
    axis.taps.push_back(
        {run - axis.runs.begin(), shift, begin, std::clamp<std::int64_t>(run->pixels - shift, begin, outputs)});
  }
  return axis;
}

/// Half-open.
struct Panels {
  std::int64_t begin = 0, end = 0;
  [[nodiscard]] std::int64_t count() const { return end - begin; }
};
/// Share `i` of `count` things in `parts`.
Panels share(std::int64_t count, std::int64_t i, std::int64_t parts) {
  return {count * i / parts, count * (i + 1) / parts};
}

/// Pixels are taken in blocks: several images whole, or some rows of one. An "image" of a block is what shares words.
struct Plan {
  std::int64_t images = 0, height = 0, width = 0, channels = 0, filters = 0;  ///< images: real ones, of x
  std::int64_t word_images = 1;                                               ///< images that share a word
  Axis rows, columns;
  bool accumulate = false, bias = false;
  std::int64_t filter_parts = 1, channel_parts = 1;  ///< of dw; a thread has one of filter_parts · channel_parts
  std::int64_t block_images = 1, block_rows = 1;     ///< of outputs, in words
  std::int64_t a_panel = 0, b_panel = 0;             ///< words from panel to panel
  std::int64_t a = 0, b = 0, part_bytes = 0;         ///< workspace: of the first part, and from part to part

  [[nodiscard]] std::int64_t words() const { return (images + word_images - 1) / word_images; }
  [[nodiscard]] std::int64_t row_blocks() const { return (rows.outputs + block_rows - 1) / block_rows; }
  [[nodiscard]] std::int64_t blocks() const { return (words() + block_images - 1) / block_images * row_blocks(); }
  /// Of filters, in fours: they are packed so.
  [[nodiscard]] std::int64_t a_groups() const { return (filters + kGroupFilters - 1) / kGroupFilters; }
  [[nodiscard]] std::int64_t b_panels() const { return (channels + kPanelChannels - 1) / kPanelChannels; }
  [[nodiscard]] std::int64_t taps() const { return static_cast<std::int64_t>(rows.taps.size() * columns.taps.size()); }
};

constexpr std::size_t kMostRuns = 8;

/// One block: its images and output rows, and the rows of each run that its taps read.
struct Block {
  struct Run {
    std::int64_t begin = 0, end = 0;  ///< its rows
    std::int64_t first = 0;           ///< rows packed before them
  };
  std::int64_t image = 0, images = 0, row = 0, rows = 0;
  std::int64_t packed_rows = 0;  ///< of all runs
  std::array<Run, kMostRuns> runs;
};

Block block_of(const Plan& p, std::int64_t i) {
  Block block;
  block.image = i / p.row_blocks() * p.block_images;
  block.images = std::min(p.block_images, p.words() - block.image);
  block.row = i % p.row_blocks() * p.block_rows;
  block.rows = std::min(p.block_rows, p.rows.outputs - block.row);
  for (std::size_t r = 0; r < p.rows.runs.size(); ++r) {
    const Axis::Run& run = p.rows.runs[r];
    const std::int64_t begin = std::clamp<std::int64_t>(block.row + run.reach_begin, 0, run.pixels);
    const std::int64_t end = std::clamp<std::int64_t>(block.row + block.rows + run.reach_end, begin, run.pixels);
    block.runs[r] = {begin, end, block.packed_rows};
    block.packed_rows += end - begin;
  }
  return block;
}

/// One thread's part of dw.
template <class T>
struct Part {
  const Plan& p;
  const WeightGradientKernels<T>& kernels;
  const T *x, *dy;
  float *dw, *dbias;
  Panels filters, channels;  ///< elements
  std::uint32_t *a, *b;

  /// The second image of a word, or null.
  [[nodiscard]] const T* second(const T* first, std::int64_t word_image, std::int64_t image_elements) const {
    const bool there = p.word_images == 2 && word_image * 2 + 1 < p.images;
    return there ? first + image_elements : nullptr;
  }

  void pack_image_row(std::uint32_t* to, std::int64_t word_image, std::int64_t row) const {
    const T* from = x + (word_image * p.word_images * p.height + row) * p.width * p.channels + channels.begin;
    for (const Axis::Run& run : p.columns.runs) {
      const T* first = from + run.rest * p.channels;
      kernels.pack_channels(to + run.first * kPanelChannels, p.b_panel, first,
                            second(first, word_image, p.height * p.width * p.channels), p.columns.stride * p.channels,
                            run.pixels, channels.count());
    }
  }

  void pack_gradient_row(std::uint32_t* to, std::int64_t word_image, std::int64_t row) const {
    const std::int64_t width = p.columns.outputs;
    const T* first = dy + (word_image * p.word_images * p.rows.outputs + row) * width * p.filters + filters.begin;
    kernels.pack_filters(to, p.a_panel, first, second(first, word_image, p.rows.outputs * width * p.filters), p.filters,
                         width, filters.count());
  }

  void pack(const Block& block) const {
    std::uint32_t *to_a = a, *to_b = b;
    for (std::int64_t image = block.image; image < block.image + block.images; ++image) {
      for (std::size_t r = 0; r < p.rows.runs.size(); ++r) {
        for (std::int64_t row = block.runs[r].begin; row < block.runs[r].end; ++row) {
          pack_image_row(to_b, image, row * p.rows.stride + p.rows.runs[r].rest);
          to_b += p.columns.pixels * kPanelChannels;
        }
      }
      for (std::int64_t row = block.row; row < block.row + block.rows; ++row) {
        pack_gradient_row(to_a, image, row);
        to_a += p.columns.outputs * kPanelFilters;
      }
    }
  }

  /// All taps of the tile of dw at these panels.
  void add_tiles(const Block& block, const std::uint32_t* of_a, const std::uint32_t* of_b, std::int64_t filter,
                 std::int64_t channel, bool add) const {
    const auto kernel_columns = static_cast<std::int64_t>(p.columns.taps.size());
    const std::int64_t width = p.columns.outputs;
    GradientTile tile{.images = block.images,
                      .a_image = block.rows * width * kPanelFilters,
                      .a_row = width * kPanelFilters,
                      .b_image = block.packed_rows * p.columns.pixels * kPanelChannels,
                      .b_row = p.columns.pixels * kPanelChannels,
                      .filters = std::min(kPanelFilters, filters.end - filter),
                      .channels = std::min(kPanelChannels, channels.end - channel),
                      .filter_stride = p.taps() * p.channels,
                      .add = add};
    for (std::int64_t tap = 0; tap < p.taps(); ++tap) {
      const Axis::Tap& down = p.rows.taps[static_cast<std::size_t>(tap / kernel_columns)];
      const Axis::Tap& across = p.columns.taps[static_cast<std::size_t>(tap % kernel_columns)];
      const Block::Run& run = block.runs[static_cast<std::size_t>(down.run)];
      const std::int64_t row = std::max(down.begin, block.row);
      tile.rows = std::min(down.end, block.row + block.rows) - row;
      tile.pixels = across.end - across.begin;
      if (add && (tile.rows <= 0 || tile.pixels <= 0)) continue;
      const std::int64_t first = p.columns.runs[static_cast<std::size_t>(across.run)].first;
      const std::int64_t column = first + across.begin + across.shift;
      kernels.tile(dw + (filter * p.taps() + tap) * p.channels + channel,
                   of_a + (row - block.row) * tile.a_row + across.begin * kPanelFilters,
                   of_b + (run.first + row + down.shift - run.begin) * tile.b_row + column * kPanelChannels, tile);
    }
  }

  void add_bias(const Block& block, const std::uint32_t* of_a, std::int64_t filter, bool add) const {
    std::array<float, kPanelFilters> sums{};
    kernels.sums(sums.data(), of_a, block.images * block.rows * p.columns.outputs);
    for (std::int64_t i = 0; i < std::min(kPanelFilters, filters.end - filter); ++i)
      dbias[filter + i] = sums[static_cast<std::size_t>(i)] + (add ? dbias[filter + i] : 0.0F);
  }

  void run() const {
    for (std::int64_t i = 0; i < p.blocks(); ++i) {
      const Block block = block_of(p, i);
      const bool add = p.accumulate || i > 0;
      pack(block);
      const std::uint32_t* of_b = b;  // filters run fastest: a panel of channels is the larger one, and stays in L2
      for (std::int64_t channel = channels.begin; channel < channels.end; channel += kPanelChannels) {
        const std::uint32_t* of_a = a;
        for (std::int64_t filter = filters.begin; filter < filters.end; filter += kPanelFilters) {
          add_tiles(block, of_a, of_b, filter, channel, add);
          if (p.bias && channel == 0) add_bias(block, of_a, filter, add);
          of_a += p.a_panel;
        }
        of_b += p.b_panel;
      }
    }
  }
};

/// Elements of a share of panels.
Panels elements(Panels panels, std::int64_t width, std::int64_t count) {
  return {std::min(panels.begin * width, count), std::min(panels.end * width, count)};
}

template <class T>
void run(const Plan& p, const WeightGradientKernels<T>& kernels, const StepArguments& arguments, int threads) {
  parallel_for(threads, p.filter_parts * p.channel_parts, [&](std::int64_t i) {
    const Part<T> part{
        .p = p,
        .kernels = kernels,
        .x = operand<T>(arguments, 0),
        .dy = operand<T>(arguments, 1),
        .dw = operand(arguments, 2),
        .dbias = p.bias ? operand(arguments, 3) : nullptr,
        .filters = elements(share(p.a_groups(), i % p.filter_parts, p.filter_parts), kGroupFilters, p.filters),
        .channels = elements(share(p.b_panels(), i / p.filter_parts, p.channel_parts), kPanelChannels, p.channels),
        .a = scratch<std::uint32_t>(arguments, p.a + i * p.part_bytes),
        .b = scratch<std::uint32_t>(arguments, p.b + i * p.part_bytes)};
    part.run();
  });
}

std::int64_t largest_share(std::int64_t count, std::int64_t parts) { return (count + parts - 1) / parts; }

/// Cuts dw into as many parts as there are threads, so that the largest part takes the least time: a tile's 16
/// products a word and tap, and about a cycle for a word that is packed.
void choose_parts(Plan& p, std::int64_t threads) {
  std::int64_t best = -1;
  for (std::int64_t f = 1; f <= threads; ++f) {
    const std::int64_t c = threads / f;
    if (f > p.a_groups() || c > p.b_panels()) continue;
    const std::int64_t groups = largest_share(p.a_groups(), f), panels = largest_share(p.b_panels(), c);
    const std::int64_t cycles = groups * kGroupPanels * panels * p.taps() * 2 * kPanelFilters + groups * kGroupFilters +
                                panels * kPanelChannels;
    if (best >= 0 && cycles >= best) continue;
    best = cycles;
    p.filter_parts = f;
    p.channel_parts = c;
  }
}

/// Even parts of `count`, each at most `most`.
std::int64_t even_parts(std::int64_t count, std::int64_t most) {
  const std::int64_t parts = (count + most - 1) / most;
  return (count + parts - 1) / parts;
}

/// Blocks as large as the caches like, the panels' places, and the workspace.
void lay_out(Plan& p, WorkspaceLayout& layout) {
  constexpr std::int64_t kMostPixels = 512;    // a panel of filters is then 16 KiB, half of L1; one of channels 64 KiB
  constexpr std::int64_t kLeastPixels = 128;   // fewer, and adding tiles to memory shows
  constexpr std::int64_t kPacked = 128 << 10;  // words of a block: half of L2…
  constexpr std::int64_t kSmall = 64 << 10;    // …where dw, so many floats, may be walked that often
  constexpr std::int64_t kLeastRows = 8;       // rows at the edges of a block are packed again for the next one
  constexpr std::int64_t kLine = 16;           // words: panels a power of two apart would share few sets of a cache
  const std::int64_t groups = largest_share(p.a_groups(), p.filter_parts);
  const std::int64_t panels = largest_share(p.b_panels(), p.channel_parts);
  const bool small = groups * kGroupFilters * panels * kPanelChannels * p.taps() <= kSmall;
  const std::int64_t fitting = kPacked / (groups * kGroupFilters + panels * kPanelChannels);
  const std::int64_t most = small ? std::clamp(fitting, kLeastPixels, kMostPixels) : kMostPixels;
  const std::int64_t pixels = p.rows.outputs * p.columns.outputs;
  p.block_rows = p.rows.outputs;
  if (pixels <= most) {
    p.block_images = even_parts(p.words(), std::max<std::int64_t>(1, most / pixels));
  } else {
    p.block_rows = even_parts(p.rows.outputs, std::max(kLeastRows, most / p.columns.outputs));
  }
  std::int64_t packed_rows = 0;
  for (std::int64_t i = 0; i < p.row_blocks(); ++i) packed_rows = std::max(packed_rows, block_of(p, i).packed_rows);
  p.a_panel = p.block_images * p.block_rows * p.columns.outputs * kPanelFilters + kLine;
  p.b_panel = p.block_images * packed_rows * p.columns.pixels * kPanelChannels + kLine;
  p.a = layout.add<std::uint32_t>(groups * kGroupPanels * p.a_panel);
  p.b = layout.add<std::uint32_t>(panels * p.b_panel);
  p.part_bytes = layout.bytes();
  layout.add_bytes((p.filter_parts * p.channel_parts - 1) * p.part_bytes);
}

template <class T>
PreparedStep prepared(const CpuContext& context, Plan plan) {
  WorkspaceLayout layout;
  choose_parts(plan, context.threads);
  lay_out(plan, layout);
  const auto shared = std::make_shared<const Plan>(std::move(plan));
  return {.algorithm = "conv:own",
          .workspace_bytes = layout.bytes(),
          .run = [kernels = context.kernels->weight_gradient.of<T>(), shared, threads = context.threads](
                     const StepArguments& arguments) { run<T>(*shared, kernels, arguments, threads); }};
}

/// Whether our kernels are the faster ones (measured against oneDNN 3.2 on two cores; see bench/cpu_ops_bench.cpp).
bool pays(const CpuContext& context, const ConvAttributes& conv, const Shape& x, const Shape& dy, bool bf16) {
  constexpr std::int64_t kLeastChannels = 16, kLeastFilters = 8;  // fewer leave words of a tile empty
  constexpr std::int64_t kLeastWork = 100, kLeastWorkOfFloats = 600;
  const std::int64_t images = x[0], channels = x[3], filters = dy[3];
  const std::int64_t tiles = (channels / kPanelChannels) * (filters / kPanelFilters);
  if (conv.groups > 1 || channels < kLeastChannels || filters < kLeastFilters ||
      tiles < std::int64_t{2} * context.threads) {
    return false;
  }
  if (std::ranges::any_of(conv.window.stride, [](std::int64_t s) { return s > static_cast<std::int64_t>(kMostRuns); }))
    return false;
  // Every word that is packed must be multiplied often enough. The library packs floats less than we do.
  const std::int64_t products = conv.window.kernel[0] * conv.window.kernel[1] * channels * filters;
  if (products < (bf16 ? kLeastWork : kLeastWorkOfFloats) * (channels + filters)) return false;
  if (!bf16) return context.kernels->weight_gradient.f32.tile != nullptr;
  if (images % 2 != 0 && images < 7) return false;  // half of the last words is empty
  return context.kernels->weight_gradient.bf16.tile != nullptr && !has_amx_bf16();
}

}  // namespace

std::optional<PreparedStep> own_weight_gradient(const CpuContext& context, const StepView& step) {
  const auto& conv = step.attributes<ConvAttributes>();
  const Shape &x = step.shape(0), &dy = step.shape(1);
  const bool bf16 = step[0].dtype == kBf16;
  if (!pays(context, conv, x, dy, bf16)) return std::nullopt;
  Plan plan{.images = x[0],
            .height = x[1],
            .width = x[2],
            .channels = x[3],
            .filters = dy[3],
            .word_images = bf16 ? 2 : 1,
            .rows = axis_of(conv.window, 0, x[1], dy[1]),
            .columns = axis_of(conv.window, 1, x[2], dy[2]),
            .accumulate = conv.accumulate,
            .bias = conv.bias};
  return bf16 ? prepared<Bf16>(context, std::move(plan)) : prepared<float>(context, std::move(plan));
}

}  // namespace snug::cpu
