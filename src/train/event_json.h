// Events and plans as the JSON of the contract: one object a line, keys in the contract's order.
#pragma once

#include <span>
#include <string>

#include "planner/plan_steps.h"
#include "snug/trainer.h"

namespace snug {

/// One line without its end; empty for ProgressEvent, which is no part of logs.
[[nodiscard]] std::string event_json(const TrainEvent& event);

/// The object of `plan --json`. `indent` < 0: on one line. `buffers`: what lies where, as run folders keep it.
[[nodiscard]] std::string plan_json(const PlanReport& plan, int indent = -1,
                                    std::span<const PlacedBuffer> buffers = {});

/// A line of metrics.csv (the columns of the epoch event), with its end; what is absent stays empty.
[[nodiscard]] std::string metrics_csv_header();
[[nodiscard]] std::string metrics_csv_line(const EpochEvent& event);

}  // namespace snug
