// How long steps take on a device, as far as arithmetic and memory traffic say it.
#pragma once

#include "ops/op.h"
#include "planner/planner.h"
#include "program/program.h"

namespace snug {

/// The longer of FLOP ÷ rate and bytes ÷ bandwidth; a rate that is not known (0) takes no time.
[[nodiscard]] double step_seconds(const Cost& cost, const DeviceRates& rates);

/// The sum over the program's steps.
[[nodiscard]] double program_seconds(const Program& program, const DeviceRates& rates);

}  // namespace snug
