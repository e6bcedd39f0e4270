// The product of two operands in bf16 on tensor cores, tile by tile, as the 1×1 convolutions need it: operands that are
// normalised on their way into shared memory, and results that leave it 16 bytes at a time.
//
// A block computes kTile × kTile sums. Its shared memory holds the tiles of both operands while they are multiplied and
// the rounded result behind that.
#pragma once

#include "functions.cuh"
#include "ptx.cuh"

namespace snug::kernels {

inline constexpr int kTile = kConv1x1Tile;
inline constexpr int kDepth = 32;  // terms in shared memory at once
inline constexpr int kPad = 8;     // elements behind a line of shared memory: eight lines then lie in different banks
inline constexpr int kResultPitch = kTile + kPad;
using TileMemory = Bf16[kTile * kResultPitch];

/// An operand in memory: lines of `width` elements, a pitch apart. Its terms lie along a line (x and w going forward),
/// or every line is one term (both operands of a weight gradient). There are less than 2³¹ elements.
struct Operand {
  const Bf16* data;
  int lines, width, pitch;
  bool wide;  ///< address and pitch allow accesses of 16 bytes
};

__device__ inline Packet<Bf16, 8> fetch_eight(const Bf16* from, bool wide) {
  if (wide) return fetch<Bf16, 8>(from);
  Packet<Bf16, 8> packet;
#pragma unroll
  for (int i = 0; i < 8; ++i) packet.at[i] = from[i];
  return packet;
}

/// The norm and the activation that an operand goes through, for channels of it; by channel its center, scale, shift.
struct NormInput {
  const float *gamma, *beta, *mean, *inverse_std;
  Activation kind;
};
using NormTable = float[3][kTile];

/// Channels [first, first + count) of `width`; beyond them everything is 0. Threads below `count` write one each.
__device__ inline void fill_table(NormTable& table, const NormInput& norm, int first, int count, int width) {
  const int t = static_cast<int>(threadIdx.x);
  if (t >= count) return;
  const int c = first + t;
  const bool inside = c < width;
  table[0][t] = inside ? norm.mean[c] : 0.0F;
  table[1][t] = inside ? norm.gamma[c] * norm.inverse_std[c] : 0.0F;
  table[2][t] = inside ? norm.beta[c] : 0.0F;
}

/// An operand's tile: [kTile][kDepth] or, where every line is a term, [kDepth][kTile]. Two packets a thread.
template <bool TermsAlongLine>
struct Tile {
  static constexpr int kLines = TermsAlongLine ? kTile : kDepth;
  static constexpr int kPackets = (TermsAlongLine ? kDepth : kTile) / 8;  // of a line
  static constexpr int kPitch = kPackets * 8 + kPad;
  static constexpr int kElements = kLines * kPitch;
  static constexpr int kOwn = kLines * kPackets / kThreads;

  /// `line`, `column`: where the tile begins in the operand. Beyond it all is 0.
  __device__ static void fetch_own(Packet<Bf16, 8> (&own)[kOwn], const Operand& o, int line, int column,
                                   int lines_end) {
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      const int number = static_cast<int>(threadIdx.x) + i * kThreads;
      const int at_line = line + number / kPackets, at = column + number % kPackets * 8;
      own[i].word = {0, 0, 0, 0};
      if (at_line < lines_end && at < o.width)
        own[i] = fetch_eight(o.data + static_cast<std::int64_t>(at_line) * o.pitch + at, o.wide);
    }
  }
  __device__ static void put_own(Bf16* shared, const Packet<Bf16, 8> (&own)[kOwn]) {
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      const int number = static_cast<int>(threadIdx.x) + i * kThreads;
      put<Bf16, 8>(&shared[number / kPackets * kPitch + number % kPackets * 8], own[i]);
    }
  }
  /// What this thread has put, two elements at a time: in registers there is no room beside the sums.
  __device__ static void normalize_own(Bf16* shared, const NormTable& table, Activation kind) {
    const int c = static_cast<int>(threadIdx.x) % kPackets * 8;  // of all its packets: kThreads is a multiple
#pragma unroll 1
    for (int pair = 0; pair < 4 * kOwn; ++pair) {
      const int number = static_cast<int>(threadIdx.x) + pair / 4 * kThreads, channel = c + pair % 4 * 2;
      Bf16* at = &shared[number / kPackets * kPitch + channel];
      float values[2];
      load<2>(values, at);
#pragma unroll
      for (int v = 0; v < 2; ++v) {
        values[v] = normalized(values[v], table[0][channel + v], table[1][channel + v], table[2][channel + v]);
        values[v] = activate_lines(kind, values[v]);
      }
      store<2>(at, values);
    }
  }
  /// The 16 × 16 block at (place, term) as load_matrices gives it; `across`: matrices 1 and 2 change places.
  __device__ static void fragment(unsigned (&to)[4], const Bf16* shared, int place, int term, bool across) {
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

/// Which operand goes through a norm: the left one by its terms, the right one by its places.
enum class Normalized { none, left, right };

/// Where a block's tile lies in the result, and its terms [begin, end).
struct Span {
  int row, column, begin, end;
};

/// sums = left · right over the terms of the span.
template <bool LeftAlong, bool RightAlong, Normalized Which>
__device__ inline void multiply_tile(Sums& sums, TileMemory& memory, NormTable& table, const Operand& left,
                                     const Operand& right, const NormInput& norm, const Span& span) {
  using Left = Tile<LeftAlong>;
  using Right = Tile<RightAlong>;
  static_assert(Left::kElements + Right::kElements <= kTile * kResultPitch);
  Bf16* left_tile = memory;
  Bf16* right_tile = memory + Left::kElements;
  Packet<Bf16, 8> left_own[Left::kOwn], right_own[Right::kOwn];
  const auto fetch_tiles = [&](int term) {
    Left::fetch_own(left_own, left, LeftAlong ? span.row : term, LeftAlong ? term : span.row,
                    LeftAlong ? left.lines : span.end);
    Right::fetch_own(right_own, right, RightAlong ? span.column : term, RightAlong ? term : span.column,
                     RightAlong ? right.lines : span.end);
  };
  const WarpPlace place = warp_place();
  if constexpr (Which == Normalized::left) fill_table(table, norm, span.begin, kDepth, left.width);
  if constexpr (Which == Normalized::right) fill_table(table, norm, span.column, kTile, right.width);
  fetch_tiles(span.begin);
  for (int term = span.begin; term < span.end; term += kDepth) {
    __syncthreads();
    Left::put_own(left_tile, left_own);
    Right::put_own(right_tile, right_own);
    if constexpr (Which == Normalized::left) Left::normalize_own(left_tile, table, norm.kind);
    if constexpr (Which == Normalized::right) Right::normalize_own(right_tile, table, norm.kind);
    __syncthreads();
    if (term + kDepth < span.end) {
      fetch_tiles(term + kDepth);  // under way while this tile is multiplied
      if constexpr (Which == Normalized::left) fill_table(table, norm, term + kDepth, kDepth, left.width);
    }
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
  int rows, columns;
  bool wide;  ///< its address, and those of what is read at the same places, allow accesses of 16 bytes
};

/// The tile's sums as change(column, value), rounded, into shared memory; all threads may read it behind this.
template <class Change>
__device__ inline void round_tile(TileMemory& memory, Sums& sums, const Change& change) {
  __syncthreads();  // others may still multiply
  for_each_pair(sums, [&](int r, int c, const float* pair) {
    const float values[2] = {change(c, pair[0]), change(c + 1, pair[1])};
    store<2>(&memory[r * kResultPitch + c], values);
  });
  __syncthreads();
}

/// The eight columns of the tile that a thread stores, and its first row; the next follow `kRowStep` apart.
struct PacketPlace {
  int row, column;
};
inline constexpr int kRowStep = kThreads / (kTile / 8);
__device__ inline PacketPlace packet_place() {
  const int t = static_cast<int>(threadIdx.x);
  return {t / (kTile / 8), t % (kTile / 8) * 8};
}

__device__ inline void store_eight(Bf16* to, const Packet<Bf16, 8>& packet, bool wide) {
  if (wide) return put<Bf16, 8>(to, packet);
#pragma unroll
  for (int i = 0; i < 8; ++i) to[i] = packet.at[i];
}

__device__ inline void store_tile(const TileMemory& memory, const Output& out, int row, int column) {
  const PacketPlace p = packet_place();
  if (column + p.column >= out.columns) return;
#pragma unroll
  for (int r = p.row; r < kTile; r += kRowStep) {
    if (row + r >= out.rows) continue;
    store_eight(out.data + static_cast<std::int64_t>(row + r) * out.columns + column + p.column,
                fetch<Bf16, 8>(&memory[r * kResultPitch + p.column]), out.wide);
  }
}

/// Blocks that share rows follow one another, so that the rows are read from L2 by all but the first.
struct TilePlace {
  int row, column;
};
__device__ inline TilePlace tile_place(int columns) {
  const auto across = static_cast<unsigned>(divide_up(columns, kTile));
  return {static_cast<int>(blockIdx.x / across) * kTile, static_cast<int>(blockIdx.x % across) * kTile};
}

}  // namespace snug::kernels
