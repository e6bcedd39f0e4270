// Fast packings: buffers are taken in some order, each goes into the lowest gap that is free during its whole life.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "memory/problem.h"

namespace snug {

struct GreedyOptions {
  std::int64_t goal = 0;  ///< units: a packing of this height is good enough
  double visits = 1e12;   ///< no further order is begun after as many pairs of buffers, about 1 ns each
  std::optional<std::chrono::steady_clock::time_point> deadline;  ///< no further order is begun after it
};

/// The best packing of several orders; at least one is tried. The part has items.
[[nodiscard]] Packing pack_greedily(const Part& part, const GreedyOptions& options);

}  // namespace snug
