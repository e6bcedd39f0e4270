// `tune` on what is given to it: for tests with a device of their own.
#pragma once

#include <optional>

#include "cli/arguments.h"
#include "train/setup.h"

namespace snug {

/// The command. `gpu`: absent: this processor. Returns the exit code. Throws Error before anything was measured;
/// afterwards what was measured is printed, and findings with it.
int tune_on(const Arguments& arguments, std::optional<Computer> gpu);

}  // namespace snug
