// What --device names: this processor, or a GPU that is planned for.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "backend/backend.h"
#include "cli/arguments.h"
#include "config/precision.h"
#include "planner/device_profile.h"
#include "snug/config.h"
#include "train/setup.h"

namespace snug {

struct Target {
  std::optional<DeviceProfile> profile;  ///< absent: this processor
  Processor processor = this_processor();
};
/// The target of a command that plans and does not compute. Throws Error: G… for a GPU that is not here, C… for a name
/// that is none.
[[nodiscard]] Target plan_target(const Arguments& arguments);

/// What a command computes on; nothing for this processor. Throws Error: G… for a GPU that this build or machine does
/// not have, and for a profile, which can only be planned for; C… for a name that is none.
[[nodiscard]] std::optional<Computer> run_target(const Arguments& arguments);

/// cuda:`number`. Throws Error G….
[[nodiscard]] Computer gpu_computer(std::size_t number);

/// --device; without it a GPU where this machine has one that this build can compute on, else "cpu".
[[nodiscard]] std::string device_name(const Arguments& arguments);
/// N of the cuda:N that a command computes on; nothing for this processor and for profiles.
[[nodiscard]] std::optional<std::size_t> gpu_number_of(const Arguments& arguments);
/// "NVIDIA H200", as the driver's management library has it; "cuda:N" where it does not tell.
[[nodiscard]] std::string gpu_name(std::size_t number);
/// Returns when --device names a device or profile that there is, for commands that do not care which. Throws Error as
/// `plan_target` does.
void require_device(const Arguments& arguments);

/// A GPU that need not be here.
[[nodiscard]] Target target_of(DeviceProfile profile);

/// What a plan for the target needs.
[[nodiscard]] Planning planning_for(const Target& target, const Config& config, int threads);
/// The same as options of `plan_run`, with remedies.
[[nodiscard]] PlanRunOptions plan_options(const Target& target, const Planning& planning, int threads);

}  // namespace snug
