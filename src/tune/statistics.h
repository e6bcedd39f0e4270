// Medians and what they are worth. Pure: nothing here reads a clock.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace snug {

/// The value below which `share` of the values lie (between two of them in proportion); 0 of none.
[[nodiscard]] double quantile(std::vector<double> values, double share);
[[nodiscard]] double median(std::vector<double> values);

/// Standard error of the median, as a part of it: from the median distance to the median, so that single outliers do
/// not count. Infinite for fewer than three values.
[[nodiscard]] double median_error(const std::vector<double>& values);

/// Bounds of what a resampled figure takes.
struct Interval {
  double low = 0, high = 0;
};

/// Values that were measured one after another, in runs of the same thing.
using Runs = std::vector<std::vector<double>>;

/// The median of the runs' medians.
[[nodiscard]] double median_of_runs(const Runs& runs);

/// How many times the median of `after` is that of `before`; a run counts as much as any other.
[[nodiscard]] double ratio_of_medians(const Runs& before, const Runs& after);

/// A bootstrap interval of that ratio that covers `share` of what resampling gives. Neighbouring values are not
/// independent (a machine is slow for a while), so blocks of them are drawn (Künsch's moving blocks, n^⅔ long),
/// and where there are several runs, runs first. A single run says nothing of the next, which differs by more than its
/// blocks do: there a part of the spread of its values is added. The same values and seed give the same interval.
[[nodiscard]] Interval ratio_interval(const Runs& before, const Runs& after, double share, std::uint64_t seed = 1);

/// Of consecutive values those where the machine is steady: without a beginning that is more than a tenth slower than
/// the median of the second half. At least half of them stay.
[[nodiscard]] std::span<const double> steady_part(std::span<const double> seconds);

}  // namespace snug
