// `snug plan --problem`: places the buffers of a CSV file.
#pragma once

#include <array>

#include "cli/arguments.h"

namespace snug {

// `plan` has these beside its own; they are of no use without --problem.
inline constexpr std::array<Option, 4> kProblemOptions{
    {{"problem", "FILE.csv", "instead of CONFIG: place the buffers of a CSV (id,lower,upper,size)"},
     {"capacity", "BYTES", "with --problem: end at the first placement within it; exit code 4 when none is found"},
     {"time-limit", "S", "with --problem: seconds to search at most (30)"},
     {"out", "FILE.csv", "with --problem: write the rows with a column offset"}}};

/// Throws Error C… for --capacity, --time-limit or --out without --problem.
void refuse_problem_options(const Arguments& arguments);
/// Returns the exit code; throws Error.
int run_plan_problem(const Arguments& arguments);

}  // namespace snug
