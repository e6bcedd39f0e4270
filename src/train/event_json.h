// Events and plans as the JSON of the contract: one object a line, keys in the contract's order.
#pragma once

#include <string>

#include "snug/trainer.h"

namespace snug {

/// One line without its end; empty for ProgressEvent, which is no part of logs.
[[nodiscard]] std::string event_json(const TrainEvent& event);

/// The object of `plan --json`. `indent` < 0: on one line.
[[nodiscard]] std::string plan_json(const PlanReport& plan, int indent = -1);

/// A line of metrics.csv (the columns of the epoch event), with its end; what is absent stays empty.
[[nodiscard]] std::string metrics_csv_header();
[[nodiscard]] std::string metrics_csv_line(const EpochEvent& event);

}  // namespace snug
