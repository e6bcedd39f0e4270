// What a measurement was made under: part of every result of `bench` and `tune`.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "cli/arguments.h"
#include "report/bench.h"

namespace snug {

/// Of this moment, on what --device names. `threads`: 0: all cores.
[[nodiscard]] Conditions conditions_here(std::string_view command, const Arguments& arguments, int threads);

/// The program, its libraries, what it computes on.
[[nodiscard]] VersionReport version_report();

/// Joules that cuda:`gpu`, or the processor's packages, have taken since an unknown moment; nothing where the system
/// does not tell.
[[nodiscard]] std::optional<double> energy_joules(std::optional<std::size_t> gpu = {});

}  // namespace snug
