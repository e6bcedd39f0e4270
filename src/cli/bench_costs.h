// Where the time of a training step goes: by layer and by kind of step, each against the device's limits.
#pragma once

#include <string>
#include <vector>

#include "cli/calibrate.h"
#include "program/program.h"
#include "report/reports.h"

namespace snug {

/// What a step counts as: its op; for convolutions also the window, as "conv_forward 3x3", "… depthwise 3x3",
/// "… grouped 3x3".
[[nodiscard]] std::string step_kind(const Program& program, const Step& step);

/// Fills in layers, kinds, limits and shares of a report that has its times. `seconds`: of every step, by StepId.
void add_costs(BenchReport& report, const Program& program, const std::vector<double>& seconds,
               const DeviceRates& ceiling);

}  // namespace snug
