// Compares a backend with the reference backend, step by step, over the tables of op_cases.h.
#pragma once

#include <vector>

#include "ops/op_harness.h"

namespace snug::ops_test {

/// Runs the step on both and compares what it wrote: on packed operands, on operands at odd addresses, and in place
/// wherever that is allowed. `real`: f32, bf16 or f16.
void expect_agreement(Backend& backend, Backend& reference, const StepCase& exact, DType real);

/// Whether the step has operands that are bf16 or fp16 in such a program.
[[nodiscard]] bool has_narrow_operands(const StepCase& step);

/// Forward and backward steps; backward steps read what the reference's forward step left.
[[nodiscard]] std::vector<StepCase> steps_of(const std::vector<GradientCase>& cases);

}  // namespace snug::ops_test
