// How long steps take on a device that need not be there: each is bound by its arithmetic or by its bytes.
#pragma once

#include <vector>

#include "ops/op.h"
#include "planner/planner.h"
#include "program/program.h"

namespace snug {

/// max(FLOP ÷ rate, bytes ÷ bandwidth, the least of any step), by the step's kind, and what a product takes beside
/// that; of a copy between device and host the bytes at their rate. 0 where the rates are not known.
[[nodiscard]] double step_seconds(const Program& program, const Step& step, const DeviceRates& rates);

/// Of every step, with what it finds in the last cache. Copies between device and host run beside the other steps, one
/// after another; a wait takes what is left of the copies that it names.
[[nodiscard]] std::vector<double> step_times(const Program& program, const DeviceRates& rates);
/// The sum over all steps but those copies.
[[nodiscard]] double program_seconds(const Program& program, const DeviceRates& rates);

/// By step of a program that keeps all: what doing a norm again spares it and those that read its output, which then
/// need not go to memory and come back. 0 of other steps.
[[nodiscard]] std::vector<double> spared_by_again(const Program& program, const DeviceRates& rates);

}  // namespace snug
