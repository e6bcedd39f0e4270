#include "tune/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "base/rng.h"

namespace snug {

namespace {

constexpr int kResamples = 1000;
constexpr double kNormal = 1.4826;        // a normal distribution's deviation over its median distance to the median
constexpr double kMedianFactor = 1.2533;  // √(π ÷ 2): the error of a median over that of a mean

/// Draws whole blocks, wrapping around the end, until there are as many values as in `run`.
void draw_blocks(const std::vector<double>& run, Random& random, std::vector<double>& drawn) {
  const std::size_t count = run.size();
  const auto block = std::max<std::size_t>(1, static_cast<std::size_t>(std::lround(std::cbrt(count * count))));
  const std::size_t end = drawn.size() + count;
  while (drawn.size() < end) {
    const std::size_t first = random.below(static_cast<std::uint32_t>(count));
    for (std::size_t i = 0; i < block && drawn.size() < end; ++i) drawn.push_back(run[(first + i) % count]);
  }
}

/// The deviation of the values over their median, outliers aside.
double spread(const std::vector<double>& values) {
  const double middle = median(values);
  if (middle <= 0) return std::numeric_limits<double>::infinity();
  std::vector<double> distances;
  distances.reserve(values.size());
  for (const double value : values) distances.push_back(std::abs(value - middle));
  return kNormal * median(std::move(distances)) / middle;
}

/// `between`: the deviation of single runs from one another, over their median.
double resampled_median(const Runs& runs, double between, Random& random) {
  std::vector<double> medians;
  medians.reserve(runs.size());
  std::vector<double> drawn;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const auto& run = runs.size() == 1 ? runs[0] : runs[random.below(static_cast<std::uint32_t>(runs.size()))];
    drawn.clear();
    draw_blocks(run, random, drawn);
    medians.push_back(median(drawn));
  }
  return median(std::move(medians)) * (between > 0 ? 1 + between * random.normal() : 1);
}

/// How far the next run may be from the only one: a part of what its steps differ by (docs/decisions.md). Several runs
/// say it themselves.
double between_runs(const Runs& runs) {
  constexpr double kPart = 0.6;
  return runs.size() == 1 ? kPart * spread(runs[0]) : 0;
}

}  // namespace

double quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const double place = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::ranges::nth_element(values, middle);
  if (values.size() % 2 == 1) return *middle;
  return (*std::max_element(values.begin(), middle) + *middle) / 2;
}

double median_error(const std::vector<double>& values) {
  if (values.size() < 3) return std::numeric_limits<double>::infinity();
  return kMedianFactor * spread(values) / std::sqrt(static_cast<double>(values.size()));
}

double median_of_runs(const Runs& runs) {
  std::vector<double> medians;
  medians.reserve(runs.size());
  for (const auto& run : runs) medians.push_back(median(run));
  return median(std::move(medians));
}

double ratio_of_medians(const Runs& before, const Runs& after) {
  return median_of_runs(after) / median_of_runs(before);
}

Interval ratio_interval(const Runs& before, const Runs& after, double share, std::uint64_t seed) {
  Random random(random_key(seed, RandomStream::synthetic));
  const double between_before = between_runs(before), between_after = between_runs(after);
  std::vector<double> ratios;
  ratios.reserve(kResamples);
  for (int i = 0; i < kResamples; ++i) {
    const double denominator = resampled_median(before, between_before, random);
    ratios.push_back(resampled_median(after, between_after, random) / denominator);
  }
  return {.low = quantile(ratios, (1 - share) / 2), .high = quantile(ratios, (1 + share) / 2)};
}

std::span<const double> steady_part(std::span<const double> seconds) {
  const std::size_t half = seconds.size() / 2;
  const std::span<const double> second = seconds.subspan(half);
  const double usual = median({second.begin(), second.end()});
  std::size_t first = 0;
  while (first < half && seconds[first] > 1.1 * usual) ++first;
  return seconds.subspan(first);
}

}  // namespace snug
