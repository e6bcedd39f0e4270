// Where the time of a training step goes: by layer and by kind of step, each against the device's limits.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "program/program.h"
#include "report/bench.h"

namespace snug {

/// What a step counts as: its op; for convolutions also the window, as "conv_forward 3x3", "… depthwise 3x3",
/// "… grouped 3x3".
[[nodiscard]] std::string step_kind(const Program& program, const Step& step);

/// Which steps belong to the layer of that path or to one below it; by StepId. Updates do not.
[[nodiscard]] std::vector<bool> steps_of_layer(const Program& program, std::string_view path);

/// Fills in layers, kinds, limits and shares of a report that has its times. `seconds`: of every step, by StepId;
/// `counted`: which of them count, empty: all. A step that goes beyond a limit sets it: what was reached can be
/// reached, so that no share is above 1.
void add_costs(BenchReport& report, const Program& program, const std::vector<double>& seconds, DeviceLimits limits,
               const std::vector<bool>& counted = {});

}  // namespace snug
