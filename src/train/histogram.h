// How many values lie where: a histogram of a tensor.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace snug {

/// Of finite values; others are not counted.
struct Histogram {
  static constexpr std::size_t kBins = 64;
  double min = 0, max = 0, sum = 0, sum_squares = 0;
  std::int64_t count = 0;
  std::array<double, kBins> counts{};  ///< in kBins equal parts of [min, max]; where all values are equal, in the last
  /// The right end of a bin; that of the last is max itself.
  [[nodiscard]] double limit(std::size_t bin) const;
};

[[nodiscard]] Histogram histogram_of(std::span<const float> values);

}  // namespace snug
