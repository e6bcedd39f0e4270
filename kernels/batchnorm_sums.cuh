// The reductions of batch normalization: per channel, over rows.
#pragma once

#include "batchnorm.cuh"
#include "rows.cuh"

namespace snug::kernels {

/// Elements from row to row.
[[nodiscard]] inline std::int64_t pitch_or(std::int64_t pitch, int channels) { return pitch > 0 ? pitch : channels; }
/// Whether channels and pitch allow accesses of so many elements.
[[nodiscard]] inline bool widths_allow(const BatchNorm& norm, int per_access) {
  return (norm.channels | norm.x_pitch | norm.dx_pitch) % per_access == 0;
}

/// What the statistics of a batch become.
struct FinishStatistics {
  float *running_mean, *running_var, *mean, *inverse_std;
  double epsilon, momentum;
};

/// Mean and inverse_std of x, and the running values; `partial` is workspace.
void measure(const BatchNorm& norm, const void* x, const FinishStatistics& finish, float* partial, Stream stream);

/// The same from moments that another kernel left, as [2][t.parts][channels] means and squares of t.rows_per_part rows,
/// and [channels] that the means are counted from.
void finish_statistics(const float* partial, const FinishStatistics& finish, const RowTiles& t, Stream stream);

/// Parts into groups (tiles.h), which follow them in memory: sums are added up, moments merged. Behind the groups lies
/// what means count from: 0. Returns where the groups are.
const float* group_sums(float* partial, const RowTiles& t, Stream stream);
const float* group_moments(float* partial, const RowTiles& t, Stream stream);
/// Both sums of every channel, [2][channels].
void join_sums(float* sums, const float* partial, const RowTiles& t, Stream stream);

/// What the sums of a backward pass become: dgamma, dbeta, and coefficients of dx.
struct FinishBackward {
  const float *gamma, *spread;  ///< spread: inverse_std; frozen: the running variance
  float *dgamma, *dbeta;
  bool from_output = false, frozen = false, accumulate = false;
  double epsilon = 0;
};
void finish_backward(const float* partial, float* coefficients, const FinishBackward& finish, const RowTiles& t,
                     Stream stream);

}  // namespace snug::kernels
