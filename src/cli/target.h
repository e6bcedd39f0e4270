// What --device names: this processor, or a GPU that is planned for.
#pragma once

#include <functional>
#include <memory>
#include <optional>

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

/// What a training runs on; nothing for this processor. Throws Error: G… for a GPU that this build or machine does not
/// have, and for a profile, which can only be planned for; C… for a name that is none.
[[nodiscard]] std::optional<Computer> run_target(const Arguments& arguments);

/// A GPU that need not be here.
[[nodiscard]] Target target_of(DeviceProfile profile);

/// What a plan for the target needs.
[[nodiscard]] Planning planning_for(const Target& target, const Config& config, int threads);
/// The same as options of `plan_run`, with remedies.
[[nodiscard]] PlanRunOptions plan_options(const Target& target, const Planning& planning, int threads);

}  // namespace snug
