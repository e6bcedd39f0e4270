// How long steps take on a device that need not be there: each is bound by its arithmetic or by its bytes.
#pragma once

#include "ops/op.h"
#include "planner/planner.h"
#include "program/program.h"

namespace snug {

/// max(FLOP ÷ rate, bytes ÷ bandwidth, the least of any step), by the step's kind, and what a product takes beside
/// that; 0 where the rates are not known.
[[nodiscard]] double step_seconds(const Program& program, const Step& step, const DeviceRates& rates);
/// The sum over all steps.
[[nodiscard]] double program_seconds(const Program& program, const DeviceRates& rates);

}  // namespace snug
