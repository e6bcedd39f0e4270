#pragma once

#include <cstdint>

namespace snug {

/// The least multiple of `unit` (> 0) that is at least `value` (>= 0).
[[nodiscard]] constexpr std::int64_t round_up(std::int64_t value, std::int64_t unit) {
  return (value + unit - 1) / unit * unit;
}

}  // namespace snug
