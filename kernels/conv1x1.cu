#include "conv1x1.cuh"

#include "batchnorm_sums.cuh"
#include "functions.cuh"
#include "ptx.cuh"
#include "rows.cuh"

namespace snug::kernels {

namespace {

constexpr int kTile = 128;  // rows and columns of a block
constexpr int kDepth = 32;  // terms in shared memory at once
constexpr int kPad = 8;     // elements behind a line of shared memory: eight lines then lie in different banks

/// Rows of a weight gradient that a block adds up, and the most parts of them.
constexpr std::int64_t kRowsPerPart = 2'048, kMostParts = 64;

/// An operand in memory: lines of `width` elements. Its terms lie along a line (x and w going forward), or every line
/// is one term (both operands of a weight gradient).
struct Operand {
  const Bf16* data;
  std::int64_t lines;
  int width;
};

/// An operand's tile: [kTile][kDepth] or, where every line is a term, [kDepth][kTile]. Two packets a thread.
template <bool TermsAlongLine>
struct Tile {
  static constexpr int kLines = TermsAlongLine ? kTile : kDepth;
  static constexpr int kPackets = (TermsAlongLine ? kDepth : kTile) / 8;  // of a line
  static constexpr int kPitch = kPackets * 8 + kPad;
  using Shared = Bf16[kLines * kPitch];
  static constexpr int kOwn = kLines * kPackets / kThreads;

  /// `line`, `column`: where the tile begins in the operand. Beyond it all is 0.
  __device__ static void fetch_own(Packet<Bf16, 8> (&own)[kOwn], const Operand& o, std::int64_t line,
                                   std::int64_t column, std::int64_t lines_end) {
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      const int number = static_cast<int>(threadIdx.x) + i * kThreads;
      const std::int64_t at_line = line + number / kPackets, at = column + number % kPackets * 8;
      own[i].word = {0, 0, 0, 0};
      if (at_line < lines_end && at < o.width) own[i] = fetch<Bf16, 8>(o.data + at_line * o.width + at);
    }
  }
  __device__ static void put_own(Shared& shared, const Packet<Bf16, 8> (&own)[kOwn]) {
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      const int number = static_cast<int>(threadIdx.x) + i * kThreads;
      put<Bf16, 8>(&shared[number / kPackets * kPitch + number % kPackets * 8], own[i]);
    }
  }
  /// The 16 × 16 block at (place, term) as load_matrices gives it; `across`: matrices 1 and 2 change places.
  __device__ static void fragment(unsigned (&to)[4], const Shared& shared, int place, int term, bool across) {
    const int lane = static_cast<int>(threadIdx.x) % 32, matrix = lane / 8, row = lane % 8;
    const int first = (matrix & 1) * 8, second = (matrix >> 1) * 8;
    const int at = place + (across ? second : first), k = term + (across ? first : second);
    if constexpr (TermsAlongLine) {
      load_matrices<false>(to, &shared[(at + row) * kPitch + k]);
    } else {
      load_matrices<true>(to, &shared[(k + row) * kPitch + at]);
    }
  }
};

/// Accumulators of a warp: 64 rows and 32 columns; eight warps are two below each other and four side by side.
using Sums = float[4][4][4];

struct WarpPlace {
  int row, column;
};
__device__ inline WarpPlace warp_place() {
  const int warp = static_cast<int>(threadIdx.x) / 32;
  return {warp / 4 * 64, warp % 4 * 32};
}

/// sums = left · right over terms [begin, end) for the tile at (row, column).
template <bool LeftAlong, bool RightAlong>
__device__ inline void multiply_tile(Sums& sums, const Operand& left, const Operand& right, std::int64_t row,
                                     std::int64_t column, std::int64_t begin, std::int64_t end) {
  using Left = Tile<LeftAlong>;
  using Right = Tile<RightAlong>;
  SHARED(typename Left::Shared, left_tile);
  SHARED(typename Right::Shared, right_tile);
  Packet<Bf16, 8> left_own[Left::kOwn], right_own[Right::kOwn];
  const auto fetch_tiles = [&](std::int64_t term) {
    Left::fetch_own(left_own, left, LeftAlong ? row : term, LeftAlong ? term : row, LeftAlong ? left.lines : end);
    Right::fetch_own(right_own, right, RightAlong ? column : term, RightAlong ? term : column,
                     RightAlong ? right.lines : end);
  };
  const WarpPlace place = warp_place();
  fetch_tiles(begin);
  for (std::int64_t term = begin; term < end; term += kDepth) {
    __syncthreads();
    Left::put_own(left_tile, left_own);
    Right::put_own(right_tile, right_own);
    __syncthreads();
    if (term + kDepth < end) fetch_tiles(term + kDepth);  // under way while this tile is multiplied
#pragma unroll
    for (int k = 0; k < kDepth; k += 16) {
      unsigned b[2][4];
#pragma unroll
      for (int j = 0; j < 2; ++j) Right::fragment(b[j], right_tile, place.column + j * 16, k, true);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        unsigned a[4];
        Left::fragment(a, left_tile, place.row + i * 16, k, false);
#pragma unroll
        for (int j = 0; j < 4; ++j) multiply_add(sums[i][j], a, b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
      }
    }
  }
}

/// visit(row, column, first of the pair) for the pairs of sums that this thread has, as places in the tile.
template <class Visit>
__device__ inline void for_each_pair(Sums& sums, const Visit& visit) {
  const WarpPlace place = warp_place();
  const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        visit(place.row + i * 16 + half * 8 + lane / 4, place.column + j * 8 + lane % 4 * 2, &sums[i][j][half * 2]);
      }
    }
  }
}

/// Where a product goes: [rows, columns] of bf16.
struct Output {
  Bf16* data;
  std::int64_t rows;
  int columns;
  const float* bias;
  Activation kind;
};

__device__ inline void put_outputs(Sums& sums, const Output& out, std::int64_t row, std::int64_t column) {
  for_each_pair(sums, [&](int r, int c, const float* pair) {
    if (row + r >= out.rows || column + c >= out.columns) return;
    float values[2] = {pair[0], pair[1]};
#pragma unroll
    for (int v = 0; v < 2; ++v) {
      if (out.bias != nullptr) values[v] += out.bias[column + c + v];
      values[v] = activate_lines(out.kind, values[v]);
    }
    store<2>(out.data + (row + r) * out.columns + column + c, values);
  });
}

struct ColumnMoments {
  float count, mean, squares;
};
__device__ inline ColumnMoments merged(const ColumnMoments& a, const ColumnMoments& b) {
  const float count = a.count + b.count;
  if (count == 0) return a;
  const float share = b.count / count, delta = b.mean - a.mean;
  return {count, fmaf(delta, share, a.mean), fmaf(delta * delta, a.count * share, a.squares + b.squares)};
}

/// The moments of the tile's columns as one part of join_moments: [2][parts][filters], and zeros that means count from.
__device__ inline void put_moments(Sums& sums, float* moments, const Output& out, std::int64_t row, std::int64_t column,
                                   unsigned part, unsigned parts) {
  SHARED(float[3][2][kTile], halves);
  const WarpPlace place = warp_place();
  const int lane = static_cast<int>(threadIdx.x) % 32, warp_row = place.row / 64;
#pragma unroll
  for (int j = 0; j < 4; ++j) {
#pragma unroll
    for (int v = 0; v < 2; ++v) {
      ColumnMoments m{0, 0, 0};
#pragma unroll
      for (int k = 0; k < 8; ++k) {
        if (row + place.row + k / 2 * 16 + k % 2 * 8 + lane / 4 < out.rows)
          m.count += 1, m.mean += sums[k / 2][j][k % 2 * 2 + v];
      }
      m.mean = m.count == 0 ? 0 : m.mean / m.count;
#pragma unroll
      for (int k = 0; k < 8; ++k) {
        if (row + place.row + k / 2 * 16 + k % 2 * 8 + lane / 4 >= out.rows) continue;
        const float distance = sums[k / 2][j][k % 2 * 2 + v] - m.mean;
        m.squares = fmaf(distance, distance, m.squares);
      }
      for (int distance = 4; distance < 32; distance *= 2) {
        const ColumnMoments other{__shfl_xor_sync(0xFFFFFFFFU, m.count, distance),
                                  __shfl_xor_sync(0xFFFFFFFFU, m.mean, distance),
                                  __shfl_xor_sync(0xFFFFFFFFU, m.squares, distance)};
        m = merged(m, other);
      }
      if (lane >= 4) continue;
      const int at = place.column + j * 8 + lane * 2 + v;
      halves[0][warp_row][at] = m.count, halves[1][warp_row][at] = m.mean, halves[2][warp_row][at] = m.squares;
    }
  }
  __syncthreads();
  const int c = static_cast<int>(threadIdx.x);
  if (c >= kTile || column + c >= out.columns) return;
  const ColumnMoments m =
      merged({halves[0][0][c], halves[1][0][c], halves[2][0][c]}, {halves[0][1][c], halves[1][1][c], halves[2][1][c]});
  const std::int64_t all = static_cast<std::int64_t>(parts) * out.columns,
                     at = part * std::int64_t{out.columns} + column + c;
  moments[at] = m.mean;
  moments[all + at] = m.squares;
  if (part == 0) moments[2 * all + column + c] = 0;
}

/// Blocks that share rows follow one another, so that the rows are read from L2 by all but the first.
struct TilePlace {
  std::int64_t row, column;
};
__device__ inline TilePlace tile_place(std::int64_t columns) {
  const std::int64_t across = divide_up(columns, std::int64_t{kTile});
  return {blockIdx.x / across * kTile, blockIdx.x % across * kTile};
}

template <bool RightAlong, bool Measure>
__global__ void __launch_bounds__(kThreads, 2)
    product(Output out, Operand left, Operand right, int terms, float* moments) {
  const TilePlace tile = tile_place(out.columns);
  Sums sums = {};
  multiply_tile<true, RightAlong>(sums, left, right, tile.row, tile.column, 0, terms);
  if constexpr (Measure) {
    const auto parts = static_cast<unsigned>(divide_up(out.rows, std::int64_t{kTile}));
    put_moments(sums, moments, out, tile.row, tile.column, static_cast<unsigned>(tile.row / kTile), parts);
  }
  put_outputs(sums, out, tile.row, tile.column);
}

/// Grid: x over tiles of [filters, channels], y over parts of the rows; partial [parts][filters][channels].
__global__ void __launch_bounds__(kThreads, 2)
    weight_product(float* partial, Operand dy, Operand x, std::int64_t rows_per_part) {
  const TilePlace tile = tile_place(x.width);
  const std::int64_t begin = blockIdx.y * rows_per_part;
  const std::int64_t end = begin + rows_per_part < dy.lines ? begin + rows_per_part : dy.lines;
  Sums sums = {};
  multiply_tile<false, false>(sums, dy, x, tile.row, tile.column, begin, end);
  float* part = partial + static_cast<std::int64_t>(blockIdx.y) * dy.width * x.width;
  for_each_pair(sums, [&](int r, int c, const float* pair) {
    if (tile.row + r >= dy.width || tile.column + c >= x.width) return;
    const float values[2] = {pair[0], pair[1]};
    store<2>(part + (tile.row + r) * x.width + tile.column + c, values);
  });
}

__global__ void __launch_bounds__(kThreads)
    join_products(float* dw, const float* partial, unsigned parts, std::int64_t n, bool accumulate) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= n) return;
  float sum = accumulate ? dw[i] : 0.0F;
  for (unsigned part = 0; part < parts; ++part) sum += partial[part * n + i];
  dw[i] = sum;
}

unsigned tiles(std::int64_t rows, std::int64_t columns) {
  return static_cast<unsigned>(divide_up(rows, std::int64_t{kTile}) * divide_up(columns, std::int64_t{kTile}));
}

std::int64_t rows_per_part(const Conv1x1& conv) {
  const std::int64_t wanted = divide_up(conv.rows, kRowsPerPart), parts = wanted < kMostParts ? wanted : kMostParts;
  return divide_up(divide_up(conv.rows, parts), std::int64_t{kDepth}) * kDepth;
}

Operand operand(const void* data, std::int64_t lines, int width) {
  return {static_cast<const Bf16*>(data), lines, width};
}

}  // namespace

bool conv1x1_possible(const Conv1x1& conv, const void* a, const void* b, const void* c) {
  return conv.channels % 8 == 0 && conv.filters % 8 == 0 && aligned(a, b, c);
}

std::int64_t conv1x1_moments_bytes(const Conv1x1& conv) {
  const std::int64_t parts = divide_up(conv.rows, std::int64_t{kTile});
  return (2 * parts + 1) * conv.filters * static_cast<std::int64_t>(sizeof(float));
}

void conv1x1_forward(const Conv1x1& conv, const void* x, const void* w, const float* bias, Activation kind, void* y,
                     float* moments, Stream stream) {
  if (conv.rows <= 0) return;
  const Output out{static_cast<Bf16*>(y), conv.rows, conv.filters, bias, kind};
  const auto kernel = moments == nullptr ? product<true, false> : product<true, true>;
  launch(kernel, tiles(conv.rows, conv.filters), kThreads, 0, stream, out, operand(x, conv.rows, conv.channels),
         operand(w, conv.filters, conv.channels), conv.channels, moments);
}

void conv1x1_statistics(const Conv1x1& conv, const float* moments, const BatchNorm& norm, float* running_mean,
                        float* running_var, float* mean, float* inverse_std, Stream stream) {
  const RowTiles t{.rows = conv.rows,
                   .channels = conv.filters,
                   .parts = static_cast<unsigned>(divide_up(conv.rows, std::int64_t{kTile})),
                   .rows_per_part = kTile};
  finish_statistics(moments, {running_mean, running_var, mean, inverse_std, norm.epsilon, norm.momentum}, t, stream);
}

void conv1x1_backward_data(const Conv1x1& conv, const void* dy, const void* w, void* dx, Stream stream) {
  if (conv.rows <= 0) return;
  const Output out{static_cast<Bf16*>(dx), conv.rows, conv.channels, nullptr, Activation::none};
  launch(product<false, false>, tiles(conv.rows, conv.channels), kThreads, 0, stream, out,
         operand(dy, conv.rows, conv.filters), operand(w, conv.filters, conv.channels), conv.filters,
         static_cast<float*>(nullptr));
}

std::int64_t conv1x1_backward_weights_workspace_bytes(const Conv1x1& conv) {
  return divide_up(conv.rows, rows_per_part(conv)) * conv.filters * conv.channels *
         static_cast<std::int64_t>(sizeof(float));
}

void conv1x1_backward_weights(const Conv1x1& conv, const void* x, const void* dy, float* dw, bool accumulate,
                              void* workspace, Stream stream) {
  if (conv.rows <= 0) return;
  const std::int64_t per_part = rows_per_part(conv), n = std::int64_t{conv.filters} * conv.channels;
  const auto parts = static_cast<unsigned>(divide_up(conv.rows, per_part));
  auto* partial = static_cast<float*>(workspace);
  launch(weight_product, dim3(tiles(conv.filters, conv.channels), parts), kThreads, 0, stream, partial,
         operand(dy, conv.rows, conv.filters), operand(x, conv.rows, conv.channels), per_part);
  launch(join_products, static_cast<unsigned>(divide_up(n, std::int64_t{kThreads})), kThreads, 0, stream, dw, partial,
         parts, n, accumulate);
}

}  // namespace snug::kernels
