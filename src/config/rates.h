// Learning rates to propose.
#pragma once

#include <algorithm>

#include "snug/config.h"

namespace snug {

/// A tenth of `rate`, and no more than what the optimizer is commonly begun with.
[[nodiscard]] inline double sane_rate(OptimizerKind kind, double rate) {
  return std::min(rate / 10, kind == OptimizerKind::sgd ? 0.1 : 0.001);
}

}  // namespace snug
