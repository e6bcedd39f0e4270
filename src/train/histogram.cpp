#include "train/histogram.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace snug {

double Histogram::limit(std::size_t bin) const {
  if (bin + 1 == kBins) return max;
  return min + (max - min) * static_cast<double>(bin + 1) / static_cast<double>(kBins);
}

Histogram histogram_of(std::span<const float> values) {
  Histogram made{.min = std::numeric_limits<double>::infinity(), .max = -std::numeric_limits<double>::infinity()};
  for (const float value : values) {
    if (!std::isfinite(value)) continue;
    const double v = value;
    made.min = std::min(made.min, v);
    made.max = std::max(made.max, v);
    made.sum += v;
    made.sum_squares += v * v;
    ++made.count;
  }
  if (made.count == 0) return {};
  if (made.min == made.max) {
    made.counts.back() = static_cast<double>(made.count);
    return made;
  }
  const double scale = static_cast<double>(Histogram::kBins) / (made.max - made.min);
  for (const float value : values) {
    if (!std::isfinite(value)) continue;
    const auto bin = static_cast<std::size_t>((value - made.min) * scale);
    ++made.counts[std::min(bin, Histogram::kBins - 1)];
  }
  return made;
}

}  // namespace snug
