#include "batchnorm_sums.cuh"

namespace snug::kernels {

namespace {

/// Moments of some numbers: their mean, and the sum of squares about it.
struct Moments {
  float count, mean, squares;
};

__device__ inline Moments merged(const Moments& a, const Moments& b) {
  const float count = a.count + b.count;
  if (count == 0) return a;
  const float share = b.count / count, delta = b.mean - a.mean;
  return {count, fmaf(delta, share, a.mean), fmaf(delta * delta, a.count * share, a.squares + b.squares)};
}

/// By part: mean and squares of its rows, [2][parts][channels]. A thread's sums are taken about its own first value:
/// where that lies far from the others, their true variance is as large as the error it brings. Means are counted from
/// the tensor's first row, which follows as [channels]: so they stay exact beside a large one.
template <class T, int V>
__global__ void __launch_bounds__(kThreads) moments(float* partial, const T* x, std::int64_t pitch, RowTiles t) {
  SHARED(Meeting<V>, means);
  SHARED(Meeting<V>, squares_of);
  SHARED(float[kThreads / 32][32], counts);
  const RowPlace p = row_place<V>(t);
  float shift[V] = {}, sums[V] = {}, squares[V] = {}, origin[V] = {};
  int rows = 0;
  if (p.channel < t.channels && p.begin < p.end) {
    load<V>(origin, x + p.channel);
    load<V>(shift, x + p.begin * pitch + p.channel);
    for (std::int64_t row = p.begin; row < p.end; row += p.step * kRowsAtOnce) {
      Packet<T, V> inputs[kRowsAtOnce];
#pragma unroll
      for (int k = 0; k < kRowsAtOnce; ++k) {
        if (row + k * p.step < p.end) inputs[k] = fetch<T, V>(x + (row + k * p.step) * pitch + p.channel);
      }
#pragma unroll
      for (int k = 0; k < kRowsAtOnce; ++k) {
        if (row + k * p.step >= p.end) continue;
        ++rows;
#pragma unroll
        for (int v = 0; v < V; ++v) {
          const float d = to_float(inputs[k].at[v]) - shift[v];
          sums[v] += d;
          squares[v] = fmaf(d, d, squares[v]);
        }
      }
    }
  }
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
#pragma unroll
  for (int v = 0; v < V; ++v) {
    const auto n = static_cast<float>(rows);
    const float mean = rows == 0 ? 0 : sums[v] / n;
    Moments m{n, shift[v] - origin[v] + mean, fmaxf(fmaf(-sums[v], mean, squares[v]), 0.0F)};
    if (is_nan(sums[v])) m.squares = sums[v];  // fmaxf would drop it
    for (int distance = 16; distance >= t.lanes; distance /= 2) {
      const Moments other{__shfl_xor_sync(0xFFFFFFFFU, m.count, distance),
                          __shfl_xor_sync(0xFFFFFFFFU, m.mean, distance),
                          __shfl_xor_sync(0xFFFFFFFFU, m.squares, distance)};
      m = merged(m, other);
    }
    means[warp][v][lane] = m.mean;
    squares_of[warp][v][lane] = m.squares;
    if (v == 0) counts[warp][lane] = m.count;
  }
  __syncthreads();
  const int channel = own_channel<V>(t);
  if (channel < 0) return;
  const int own_lane = static_cast<int>(threadIdx.x) % t.lanes, v = static_cast<int>(threadIdx.x) / t.lanes;
  Moments m{0, 0, 0};
  for (int w = 0; w < kThreads / 32; ++w)
    m = merged(m, {counts[w][own_lane], means[w][v][own_lane], squares_of[w][v][own_lane]});
  const std::int64_t at = static_cast<std::int64_t>(blockIdx.y) * t.channels + channel;
  const std::int64_t squares_begin = static_cast<std::int64_t>(t.parts) * t.channels;
  partial[at] = m.mean;
  partial[squares_begin + at] = m.squares;
  if (blockIdx.y == 0) partial[2 * squares_begin + channel] = to_float(x[channel]);
}

constexpr int kColumns = 32;  // channels of a block that joins parts

/// Σ over parts [begin, end) of value(part), in double and in a fixed order; for every thread of the column.
template <class Value>
__device__ inline double add_up_parts(unsigned begin, unsigned end, double (&between)[kThreads / kColumns][kColumns],
                                      const Value& value) {
  const int column = static_cast<int>(threadIdx.x) % kColumns, first = static_cast<int>(threadIdx.x) / kColumns;
  double sum = 0;
  for (unsigned part = begin + static_cast<unsigned>(first); part < end; part += kThreads / kColumns)
    sum += value(part);
  __syncthreads();
  between[first][column] = sum;
  __syncthreads();
  sum = 0;
  for (int i = 0; i < kThreads / kColumns; ++i) sum += between[i][column];
  return sum;
}

__device__ inline double rows_of_part(const RowTiles& t, unsigned part) {
  const std::int64_t begin = part * t.rows_per_part;
  return static_cast<double>(t.rows - begin < t.rows_per_part ? t.rows - begin : t.rows_per_part);
}

__device__ inline float moved(float running, double value, double momentum) {
  return static_cast<float>((1 - momentum) * static_cast<double>(running) + momentum * value);
}

__global__ void __launch_bounds__(kThreads) join_moments(const float* partial, FinishStatistics f, RowTiles t) {
  SHARED(double[kThreads / kColumns][kColumns], between);
  const int channel = static_cast<int>(blockIdx.x) * kColumns + static_cast<int>(threadIdx.x) % kColumns;
  const bool inside = channel < t.channels;
  const float* squares = partial + static_cast<std::int64_t>(t.parts) * t.channels;
  const auto mean_of = [&](unsigned part) {
    return inside ? static_cast<double>(partial[static_cast<std::int64_t>(part) * t.channels + channel]) : 0.0;
  };
  const auto rows = static_cast<double>(t.rows);
  const double mean =
      add_up_parts(0, t.parts, between, [&](unsigned part) { return mean_of(part) * rows_of_part(t, part); }) / rows;
  const double total = add_up_parts(0, t.parts, between, [&](unsigned part) {
    const double shift = mean_of(part) - mean;
    const float own = inside ? squares[static_cast<std::int64_t>(part) * t.channels + channel] : 0.0F;
    return static_cast<double>(own) + shift * shift * rows_of_part(t, part);
  });
  if (!inside || static_cast<int>(threadIdx.x) >= kColumns) return;
  const double whole_mean =
      mean + static_cast<double>(squares[static_cast<std::int64_t>(t.parts) * t.channels + channel]);
  const double variance = total / rows, unbiased = t.rows > 1 ? total / (rows - 1) : variance;
  f.mean[channel] = static_cast<float>(whole_mean);
  f.inverse_std[channel] = static_cast<float>(1 / sqrt(variance + f.epsilon));
  f.running_mean[channel] = moved(f.running_mean[channel], whole_mean, f.momentum);
  f.running_var[channel] = moved(f.running_var[channel], unbiased, f.momentum);
}

__global__ void __launch_bounds__(kThreads)
    join_gradients(const float* partial, float* coefficients, FinishBackward f, RowTiles t) {
  SHARED(double[kThreads / kColumns][kColumns], between);
  const int channel = static_cast<int>(blockIdx.x) * kColumns + static_cast<int>(threadIdx.x) % kColumns;
  const bool inside = channel < t.channels;
  const auto add_up = [&](const float* values) {
    return add_up_parts(0, t.parts, between, [&](unsigned part) {
      return inside ? static_cast<double>(values[static_cast<std::int64_t>(part) * t.channels + channel]) : 0.0;
    });
  };
  const double sum = add_up(partial), dot = add_up(partial + static_cast<std::int64_t>(t.parts) * t.channels);
  if (!inside || static_cast<int>(threadIdx.x) >= kColumns) return;
  const double gamma = f.gamma[channel], spread = f.spread[channel];
  const double inverse_std = f.frozen ? 1 / sqrt(spread + f.epsilon) : spread;
  // (z − center) · factor is the normalised value. From the output of a channel with gamma 0 it cannot be had.
  const double factor = !f.from_output ? inverse_std : (gamma != 0 ? 1 / gamma : 0.0);
  const double dgamma = dot * factor, scale = gamma * inverse_std;
  f.dgamma[channel] = static_cast<float>(dgamma) + (f.accumulate ? f.dgamma[channel] : 0.0F);
  f.dbeta[channel] = static_cast<float>(sum) + (f.accumulate ? f.dbeta[channel] : 0.0F);
  const auto rows = static_cast<double>(t.rows);
  coefficients[channel] = static_cast<float>(scale);
  coefficients[t.channels + channel] = f.frozen ? 0.0F : static_cast<float>(-scale * factor * dgamma / rows);
  coefficients[2 * static_cast<std::int64_t>(t.channels) + channel] =
      f.frozen ? 0.0F : static_cast<float>(-scale * sum / rows);
}

/// Grid: x over columns, y over groups of `per_group` parts, of t.
template <bool Moments>
__global__ void __launch_bounds__(kThreads)
    gather_parts(float* groups, const float* partial, RowTiles t, unsigned per_group) {
  SHARED(double[kThreads / kColumns][kColumns], between);
  const int channel = static_cast<int>(blockIdx.x) * kColumns + static_cast<int>(threadIdx.x) % kColumns;
  const bool inside = channel < t.channels;
  const unsigned begin = blockIdx.y * per_group, end = begin + per_group < t.parts ? begin + per_group : t.parts;
  const std::int64_t all = static_cast<std::int64_t>(t.parts) * t.channels;
  const auto first = [&](unsigned part) {
    return inside ? static_cast<double>(partial[static_cast<std::int64_t>(part) * t.channels + channel]) : 0.0;
  };
  const auto second = [&](unsigned part) {
    return inside ? static_cast<double>(partial[all + static_cast<std::int64_t>(part) * t.channels + channel]) : 0.0;
  };
  double sum = 0, other = 0;
  if constexpr (Moments) {
    const std::int64_t rows = (end - begin - 1) * t.rows_per_part;
    const double count = static_cast<double>(rows) + rows_of_part(t, end - 1);
    sum = add_up_parts(begin, end, between, [&](unsigned part) { return first(part) * rows_of_part(t, part); }) / count;
    other = add_up_parts(begin, end, between, [&](unsigned part) {
      const double shift = first(part) - sum;
      return second(part) + shift * shift * rows_of_part(t, part);
    });
  } else {
    sum = add_up_parts(begin, end, between, first);
    other = add_up_parts(begin, end, between, second);
  }
  if (!inside || static_cast<int>(threadIdx.x) >= kColumns) return;
  const std::int64_t of_groups = static_cast<std::int64_t>(gridDim.y) * t.channels;
  const std::int64_t at = static_cast<std::int64_t>(blockIdx.y) * t.channels + channel;
  groups[at] = static_cast<float>(sum);
  groups[of_groups + at] = static_cast<float>(other);
  if (Moments && blockIdx.y == 0) groups[2 * of_groups + channel] = 0;
}

__global__ void __launch_bounds__(kThreads) add_parts(float* sums, const float* partial, RowTiles t) {
  SHARED(double[kThreads / kColumns][kColumns], between);
  const int channel = static_cast<int>(blockIdx.x) * kColumns + static_cast<int>(threadIdx.x) % kColumns;
  const bool inside = channel < t.channels;
  const std::int64_t all = static_cast<std::int64_t>(t.parts) * t.channels;
  for (int which = 0; which < 2; ++which) {
    const double sum = add_up_parts(0, t.parts, between, [&](unsigned part) {
      const std::int64_t at = which * all + static_cast<std::int64_t>(part) * t.channels + channel;
      return inside ? static_cast<double>(partial[at]) : 0.0;
    });
    if (inside && static_cast<int>(threadIdx.x) < kColumns)
      sums[which * t.channels + channel] = static_cast<float>(sum);
  }
}

unsigned column_blocks(const RowTiles& t) { return static_cast<unsigned>(divide_up(t.channels, kColumns)); }

template <bool Moments>
const float* gather(float* partial, const RowTiles& t, Stream stream) {
  float* groups = partial + part_floats(t);
  const RowTiles g = grouped(t);
  launch(gather_parts<Moments>, dim3(column_blocks(t), g.parts), kThreads, 0, stream, groups, partial, t,
         static_cast<unsigned>(g.rows_per_part / t.rows_per_part));
  return groups;
}

}  // namespace

const float* group_sums(float* partial, const RowTiles& t, Stream stream) { return gather<false>(partial, t, stream); }
const float* group_moments(float* partial, const RowTiles& t, Stream stream) {
  return gather<true>(partial, t, stream);
}

void join_sums(float* sums, const float* partial, const RowTiles& t, Stream stream) {
  launch(add_parts, column_blocks(t), kThreads, 0, stream, sums, partial, t);
}

void measure(const BatchNorm& norm, const void* x, const FinishStatistics& finish, float* partial, Stream stream) {
  by_type(norm.data, [&]<class T>() {
    by_width<T>(widths_allow(norm, kWide<T>) && aligned(x), [&]<int V>() {
      const RowTiles t = row_tiles(norm.rows, norm.channels, V, kSumRows, kSumBlocks);
      launch(moments<T, V>, grid_of(t), kThreads, 0, stream, partial, static_cast<const T*>(x),
             pitch_or(norm.x_pitch, norm.channels), t);
      finish_statistics(partial, finish, t, stream);
    });
  });
}

void finish_statistics(const float* partial, const FinishStatistics& finish, const RowTiles& t, Stream stream) {
  launch(join_moments, column_blocks(t), kThreads, 0, stream, partial, finish, t);
}

void finish_backward(const float* partial, float* coefficients, const FinishBackward& finish, const RowTiles& t,
                     Stream stream) {
  launch(join_gradients, column_blocks(t), kThreads, 0, stream, partial, coefficients, finish, t);
}

}  // namespace snug::kernels
