// How kernels cut their work, by shape alone, and the workspace that follows from it. Plain C++: plans for GPUs count
// with the same formulas in builds that have no kernel.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>

namespace snug::kernels {

inline constexpr int kThreads = 256;
/// Packets of a thread: all of them are fetched before the first is used.
inline constexpr int kPacketsPerThread = 4;

template <class Number>
constexpr Number divide_up(Number a, Number b) {
  return (a + b - 1) / b;
}

/// [rows, channels] in tiles, see rows.cuh.
struct RowTiles {
  std::int64_t rows = 0;
  int channels = 0;
  int lanes = 1;
  unsigned tiles = 1, parts = 1;
  std::int64_t rows_per_part = 0;
};

/// `rows_per_thread`: how many a thread should have at least; `most_blocks`: beyond it parts grow.
[[nodiscard]] inline RowTiles row_tiles(std::int64_t rows, int channels, int per_access, int rows_per_thread,
                                        int most_blocks) {
  RowTiles t{.rows = rows, .channels = channels};
  const int packets = divide_up(channels, per_access);
  while (t.lanes < 32 && t.lanes < packets) t.lanes *= 2;
  t.tiles = static_cast<unsigned>(divide_up(packets, t.lanes));
  const std::int64_t at_once = kThreads / t.lanes;
  const std::int64_t wanted = divide_up(rows, at_once * rows_per_thread);
  const std::int64_t most = most_blocks / static_cast<std::int64_t>(t.tiles);
  const std::int64_t parts = wanted < most ? wanted : (most < 1 ? 1 : most);
  t.rows_per_part = divide_up(divide_up(rows, parts), at_once) * at_once;
  t.parts = static_cast<unsigned>(divide_up(rows, t.rows_per_part));
  return t;
}

/// Rows of a thread, and blocks, of a first pass over rows: four blocks a multiprocessor on the largest GPU of today.
inline constexpr int kSumRows = 16, kSumBlocks = 512;

/// The most parts of a first pass over rows, whatever the addresses allow.
[[nodiscard]] inline std::int64_t sum_parts(std::int64_t rows, int channels) {
  std::int64_t parts = 1;
  for (const int per_access : {1, 4, 8}) {
    const std::int64_t own = row_tiles(rows, channels, per_access, kSumRows, kSumBlocks).parts;
    parts = own > parts ? own : parts;
  }
  return parts;
}

[[nodiscard]] inline std::int64_t round_up_to_16_bytes(std::int64_t floats) {
  return divide_up(floats, std::int64_t{4}) * 4;
}

/// Of a norm's forward or backward step: two sums of every part, then three coefficients, a channel.
[[nodiscard]] inline std::int64_t batchnorm_workspace_bytes(std::int64_t rows, int channels) {
  const std::int64_t sums = round_up_to_16_bytes(2 * sum_parts(rows, channels) * channels);
  return (sums + std::int64_t{3} * channels) * static_cast<std::int64_t>(sizeof(float));
}

/// Of the second half of a norm's backward step, whose sums are there already: three coefficients a channel.
[[nodiscard]] inline std::int64_t batchnorm_apply_workspace_bytes(int channels) {
  return std::int64_t{3} * channels * static_cast<std::int64_t>(sizeof(float));
}

/// Of the sum of `rows` rows into the gradient of a bias.
[[nodiscard]] inline std::int64_t bias_gradient_workspace_bytes(std::int64_t rows, int channels) {
  return sum_parts(rows, channels) * channels * static_cast<std::int64_t>(sizeof(float));
}

/// Rows and columns of a block of the 1×1 convolutions.
inline constexpr int kConv1x1Tile = 128;
/// Their epilogues leave a part for every tile of rows. Parts are joined in two steps: so many groups at most, then
/// all.
inline constexpr std::int64_t kMostGroups = 64;
[[nodiscard]] inline RowTiles conv1x1_parts(std::int64_t rows, int channels) {
  RowTiles t{.rows = rows, .channels = channels};
  t.parts = static_cast<unsigned>(divide_up(rows, std::int64_t{kConv1x1Tile}));
  t.rows_per_part = kConv1x1Tile;
  return t;
}
/// The same rows in groups of parts.
[[nodiscard]] inline RowTiles grouped(const RowTiles& t) {
  RowTiles groups = t;
  const std::int64_t per_group = divide_up(std::int64_t{t.parts}, kMostGroups);
  groups.parts = static_cast<unsigned>(divide_up(std::int64_t{t.parts}, per_group));
  groups.rows_per_part = t.rows_per_part * per_group;
  return groups;
}
/// Floats of two sums a channel of every part.
[[nodiscard]] inline std::int64_t part_floats(const RowTiles& t) { return std::int64_t{2} * t.parts * t.channels; }
/// Of a 1×1 convolution that measures its output, or sums its gradient: parts, groups, what means count from.
[[nodiscard]] inline std::int64_t conv1x1_sums_workspace_bytes(std::int64_t rows, int channels) {
  const RowTiles t = conv1x1_parts(rows, channels);
  return (part_floats(t) + part_floats(grouped(t)) + channels) * static_cast<std::int64_t>(sizeof(float));
}

/// Rows of a weight gradient of a 1×1 convolution that a block adds up: enough parts to fill a GPU, of many rows each.
[[nodiscard]] inline std::int64_t conv1x1_rows_per_part(std::int64_t rows, int channels, int filters) {
  constexpr std::int64_t kRows = 2'048, kMostBlocks = 512, kMostParts = 256, kStep = 32;
  const std::int64_t tiles = std::int64_t{divide_up(channels, kConv1x1Tile)} * divide_up(filters, kConv1x1Tile);
  const std::int64_t most = std::clamp(kMostBlocks / tiles, std::int64_t{1}, kMostParts);
  const std::int64_t parts = std::min(divide_up(rows, kRows), most);
  return divide_up(divide_up(rows, parts), kStep) * kStep;
}
[[nodiscard]] inline std::int64_t conv1x1_backward_weights_workspace_bytes(std::int64_t rows, int channels,
                                                                           int filters) {
  const std::int64_t parts = divide_up(rows, conv1x1_rows_per_part(rows, channels, filters));
  return parts * filters * channels * static_cast<std::int64_t>(sizeof(float));
}

/// What one sample adds to the statistics of a loss.
struct SampleResult {
  double loss, weight;
  int correct, correct_top5;
};
[[nodiscard]] inline std::int64_t loss_workspace_bytes(std::int64_t samples) {
  return samples * static_cast<std::int64_t>(sizeof(SampleResult));
}

/// Elements of a flat segment that a block works on, and the bytes that a norm's sum leaves for this many elements.
inline constexpr int kSegmentChunk = kThreads * kPacketsPerThread * 4;
[[nodiscard]] inline std::int64_t gradient_norm_workspace_bytes(std::int64_t segment_elements) {
  return divide_up(segment_elements, std::int64_t{kSegmentChunk}) * static_cast<std::int64_t>(sizeof(double));
}

}  // namespace snug::kernels
