#include "conv1x1.cuh"

#include "batchnorm_sums.cuh"
#include "conv1x1_tiles.cuh"
#include "rows.cuh"

namespace snug::kernels {

namespace {

__device__ inline std::int64_t parts_of(const Output& out) { return divide_up(out.rows, kTile); }

struct ColumnMoments {
  float count, mean, squares;
};
__device__ inline ColumnMoments merged(const ColumnMoments& a, const ColumnMoments& b) {
  const float count = a.count + b.count;
  if (count == 0) return a;
  const float share = b.count / count, delta = b.mean - a.mean;
  return {count, fmaf(delta, share, a.mean), fmaf(delta * delta, a.count * share, a.squares + b.squares)};
}

/// The moments of the tile's columns as one part: [2][parts][filters].
__device__ inline void put_moments(Sums& sums, float* moments, const Output& out, int row, int column) {
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
  const std::int64_t at = static_cast<std::int64_t>(row / kTile) * out.columns + column + c;
  moments[at] = m.mean;
  moments[parts_of(out) * out.columns + at] = m.squares;
}

// ---- forward and the data gradient ------------------------------------------------------------------------------

/// What is done to the sums before they are rounded.
struct Ending {
  const float* bias;  ///< or null
  Activation kind;
  float* moments;  ///< [2][parts][columns], where they are measured
};

template <bool RightAlong, Normalized Which, bool Measure>
__global__ void __launch_bounds__(kThreads, 2)
    product(Output out, Operand left, Operand right, NormInput norm, int terms, Ending ending) {
  SHARED(TileMemory, memory);
  SHARED(NormTable, table);
  const TilePlace tile = tile_place(out.columns);
  Sums sums = {};
  multiply_tile<true, RightAlong, Which>(sums, memory, table, left, right, norm, {tile.row, tile.column, 0, terms});
  if constexpr (Measure) put_moments(sums, ending.moments, out, tile.row, tile.column);
  round_tile(memory, sums, [&](int c, float value) {
    if (ending.bias != nullptr && tile.column + c < out.columns) value += ending.bias[tile.column + c];
    return activate_lines(ending.kind, value);
  });
  store_tile(memory, out, tile.row, tile.column);
}

/// What a data gradient meets on its way through the norm before the convolution: see Conv1x1GradientSums.
struct Meeting1x1 {
  const Bf16 *addend, *y;  ///< or null
  Operand x;
  NormInput norm;
  float* partial;  ///< [2][parts][columns]
};

/// out = (dy · w [+ addend]) · slope, its sums and those of its product with x − mean. With Residual the slope is taken
/// from y, else from the norm of x.
template <bool Residual>
__global__ void __launch_bounds__(kThreads, 2)
    gradient_product(Output out, Operand dy, Operand w, int terms, Meeting1x1 meeting) {
  SHARED(TileMemory, memory);
  SHARED(NormTable, table);
  SHARED(Meeting<8>, between);
  const TilePlace tile = tile_place(out.columns);
  {
    Sums product = {};
    multiply_tile<true, false, Normalized::none>(product, memory, table, dy, w, meeting.norm,
                                                 {tile.row, tile.column, 0, terms});
    fill_table(table, meeting.norm, tile.column, kTile, out.columns);
    round_tile(memory, product, [](int, float value) { return value; });
  }
  const PacketPlace p = packet_place();
  float sums[8] = {}, dots[8] = {};
  if (tile.column + p.column < out.columns) {
#pragma unroll 2
    for (int r = p.row; r < kTile; r += kRowStep) {
      if (tile.row + r >= out.rows) continue;
      const std::int64_t row = tile.row + r, at = row * out.columns + tile.column + p.column;
      const Packet<Bf16, 8> x =
          fetch_eight(meeting.x.data + row * meeting.x.pitch + tile.column + p.column, meeting.x.wide);
      Packet<Bf16, 8> y, addend, g = fetch<Bf16, 8>(&memory[r * kResultPitch + p.column]);
      if constexpr (Residual) y = fetch_eight(meeting.y + at, out.wide);
      if (meeting.addend != nullptr) addend = fetch_eight(meeting.addend + at, out.wide);
#pragma unroll
      for (int v = 0; v < 8; ++v) {
        const int c = p.column + v;
        const float shifted = to_float(x.at[v]) - table[0][c];
        float value = to_float(g.at[v]);
        if (meeting.addend != nullptr) value += to_float(addend.at[v]);
        if constexpr (Residual) {
          value *= slope_of_lines(meeting.norm.kind, to_float(y.at[v]));
        } else {
          value *= slope_of_lines(meeting.norm.kind, fmaf(shifted, table[1][c], table[2][c]));
        }
        g.at[v] = from_float<Bf16>(value);  // the sums take it as it was before
        sums[v] += value;
        dots[v] = fmaf(value, shifted, dots[v]);
      }
      store_eight(out.data + at, g, out.wide);
    }
  }
  constexpr int kLanes = kTile / 8;
  const float sum = add_up_rows<8>(sums, kLanes, between), dot = add_up_rows<8>(dots, kLanes, between);
  const int channel = meeting_channel<8>(kLanes);
  if (channel >= kTile || tile.column + channel >= out.columns) return;
  const std::int64_t at = static_cast<std::int64_t>(tile.row / kTile) * out.columns + tile.column + channel;
  meeting.partial[at] = sum;
  meeting.partial[parts_of(out) * out.columns + at] = dot;
}

// ---- weight gradients -------------------------------------------------------------------------------------------

/// Grid: x over tiles of [filters, channels], y over parts of the rows; partial [parts][filters][channels].
template <Normalized Which>
__global__ void __launch_bounds__(kThreads, 2)
    weight_product(float* partial, Operand dy, Operand x, NormInput norm, int rows_per_part) {
  SHARED(TileMemory, memory);
  SHARED(NormTable, table);
  const TilePlace tile = tile_place(x.width);
  const int begin = static_cast<int>(blockIdx.y) * rows_per_part;
  const int end = dy.lines - begin < rows_per_part ? dy.lines : begin + rows_per_part;
  Sums sums = {};
  multiply_tile<false, false, Which>(sums, memory, table, dy, x, norm, {tile.row, tile.column, begin, end});
  float* part = partial + static_cast<std::int64_t>(blockIdx.y) * dy.width * x.width;
  for_each_pair(sums, [&](int r, int c, const float* pair) {
    if (tile.row + r >= dy.width || tile.column + c >= x.width) return;
    const float values[2] = {pair[0], pair[1]};
    store<2>(part + static_cast<std::int64_t>(tile.row + r) * x.width + tile.column + c, values);
  });
}

__global__ void __launch_bounds__(kThreads)
    join_products(float* dw, const float* partial, unsigned parts, std::int64_t n, bool accumulate) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= n) return;
  float sum = accumulate ? dw[i] : 0.0F;
#pragma unroll 8
  for (unsigned part = 0; part < parts; ++part) sum += partial[part * n + i];
  dw[i] = sum;
}

unsigned tiles(std::int64_t rows, std::int64_t columns) {
  return static_cast<unsigned>(divide_up(rows, std::int64_t{kTile}) * divide_up(columns, std::int64_t{kTile}));
}

Operand operand(const void* data, std::int64_t lines, int width, std::int64_t pitch = 0) {
  const auto step = static_cast<int>(pitch_or(pitch, width));
  return {static_cast<const Bf16*>(data), static_cast<int>(lines), width, step, aligned(data) && step % 8 == 0};
}

NormInput norm_input(const Conv1x1Norm& norm) {
  return {norm.gamma, norm.beta, norm.mean, norm.inverse_std, norm.activation};
}

}  // namespace

bool conv1x1_possible(int channels, int filters) { return channels % 8 == 0 && filters % 8 == 0; }

void conv1x1_forward(const Conv1x1& conv, const Conv1x1Forward& f, void* workspace, Stream stream) {
  if (conv.rows <= 0) return;
  auto* moments = static_cast<float*>(workspace);
  const Output out{static_cast<Bf16*>(f.y), static_cast<int>(conv.rows), conv.filters, aligned(f.y)};
  const auto run = [&](auto kernel) {
    launch(kernel, tiles(conv.rows, conv.filters), kThreads, 0, stream, out,
           operand(f.x, conv.rows, conv.channels, conv.x_pitch), operand(f.w, conv.filters, conv.channels),
           norm_input(f.norm), conv.channels, Ending{f.bias, f.activation, moments});
  };
  const bool normalized = f.norm.gamma != nullptr, measured = f.statistics != nullptr;
  if (normalized) {
    measured ? run(product<true, Normalized::left, true>) : run(product<true, Normalized::left, false>);
  } else {
    measured ? run(product<true, Normalized::none, true>) : run(product<true, Normalized::none, false>);
  }
  if (!measured) return;
  const RowTiles t = conv1x1_parts(conv.rows, conv.filters);
  const Conv1x1Statistics& s = *f.statistics;
  finish_statistics(group_moments(moments, t, stream),
                    {s.running_mean, s.running_var, s.mean, s.inverse_std, s.epsilon, s.momentum}, grouped(t), stream);
}

void conv1x1_backward_data(const Conv1x1& conv, const void* dy, const void* w, void* dx, Stream stream) {
  if (conv.rows <= 0) return;
  const Output out{static_cast<Bf16*>(dx), static_cast<int>(conv.rows), conv.channels, aligned(dx)};
  launch(product<false, Normalized::none, false>, tiles(conv.rows, conv.channels), kThreads, 0, stream, out,
         operand(dy, conv.rows, conv.filters), operand(w, conv.filters, conv.channels), NormInput{}, conv.filters,
         Ending{nullptr, Activation::none, nullptr});
}

void conv1x1_backward_data_sums(const Conv1x1& conv, const Conv1x1GradientSums& g, void* workspace, Stream stream) {
  if (conv.rows <= 0) return;
  auto* partial = static_cast<float*>(workspace);
  const Output out{static_cast<Bf16*>(g.g), static_cast<int>(conv.rows), conv.channels, aligned(g.g, g.addend, g.y)};
  const Meeting1x1 meeting{static_cast<const Bf16*>(g.addend), static_cast<const Bf16*>(g.y),
                           operand(g.x, conv.rows, conv.channels, conv.x_pitch), norm_input(g.norm), partial};
  launch(g.y != nullptr ? gradient_product<true> : gradient_product<false>, tiles(conv.rows, conv.channels), kThreads,
         0, stream, out, operand(g.dy, conv.rows, conv.filters), operand(g.w, conv.filters, conv.channels),
         conv.filters, meeting);
  const RowTiles t = conv1x1_parts(conv.rows, conv.channels);
  join_sums(g.sums, group_sums(partial, t, stream), grouped(t), stream);
}

void conv1x1_backward_weights(const Conv1x1& conv, const void* x, const Conv1x1Norm& norm, const void* dy, float* dw,
                              bool accumulate, void* workspace, Stream stream) {
  if (conv.rows <= 0) return;
  const std::int64_t per_part = conv1x1_rows_per_part(conv.rows, conv.channels, conv.filters),
                     n = std::int64_t{conv.filters} * conv.channels;
  const auto parts = static_cast<unsigned>(divide_up(conv.rows, per_part));
  auto* partial = static_cast<float*>(workspace);
  launch(norm.gamma != nullptr ? weight_product<Normalized::right> : weight_product<Normalized::none>,
         dim3(tiles(conv.filters, conv.channels), parts), kThreads, 0, stream, partial,
         operand(dy, conv.rows, conv.filters), operand(x, conv.rows, conv.channels, conv.x_pitch), norm_input(norm),
         static_cast<int>(per_part));
  launch(join_products, static_cast<unsigned>(divide_up(n, std::int64_t{kThreads})), kThreads, 0, stream, dw, partial,
         parts, n, accumulate);
}

}  // namespace snug::kernels
