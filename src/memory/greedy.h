// Fast packings: buffers are taken in some order, each goes into the lowest gap that is free during its whole life.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "memory/problem.h"

namespace snug {

struct GreedyOptions {
  std::int64_t goal = 0;                                          ///< units: a packing of this height is good enough
  std::optional<std::chrono::steady_clock::time_point> deadline;  ///< no further order is begun after it
};

/// The best packing of several orders; at least one is tried.
[[nodiscard]] Packing pack_greedily(const Part& part, const GreedyOptions& options);

}  // namespace snug
