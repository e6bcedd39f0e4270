// Learning rates to propose.
#pragma once

#include <algorithm>
#include <string_view>

#include "snug/config.h"

namespace snug {

/// The highest rate of a schedule, and the key that sets it.
struct PeakRate {
  std::string_view key;
  double value = 0;
};
[[nodiscard]] inline PeakRate peak_rate(const TrainConfig& train) {
  const bool cycle = train.schedule.kind == ScheduleKind::onecycle && train.schedule.max_lr > 0;
  if (cycle) return {"train.schedule.max_lr", train.schedule.max_lr};
  return {"train.optimizer.lr", train.optimizer.lr};
}

/// A tenth of `rate`, and no more than what the optimizer is commonly begun with.
[[nodiscard]] inline double sane_rate(OptimizerKind kind, double rate) {
  return std::min(rate / 10, kind == OptimizerKind::sgd ? 0.1 : 0.001);
}

}  // namespace snug
