// How long steps take on a device that need not be there: each is bound by its arithmetic or by its bytes.
#pragma once

#include <vector>

#include "ops/op.h"
#include "planner/planner.h"
#include "program/program.h"

namespace snug {

/// max(FLOP ÷ rate, bytes ÷ bandwidth, the least of any step), by the step's kind, and what a product takes beside
/// that; of a copy between device and host the bytes at their rate. A norm that is made again costs less than its
/// bytes, by what it spares those that read it. 0 where the rates are not known.
[[nodiscard]] double step_seconds(const Program& program, const Step& step, const DeviceRates& rates);

/// Of every step. Copies between device and host run beside the other steps, one after another; a wait takes what is
/// left of the copies that it names.
[[nodiscard]] std::vector<double> step_times(const Program& program, const DeviceRates& rates);
/// The sum over all steps but those copies.
[[nodiscard]] double program_seconds(const Program& program, const DeviceRates& rates);

}  // namespace snug
