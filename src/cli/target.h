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

namespace snug {

struct Target {
  std::optional<DeviceProfile> profile;  ///< absent: this processor
  Processor processor = this_processor();
};
/// The target of a command that plans and does not compute. Throws Error: G… for a GPU that is not here, C… for a name
/// that is none.
[[nodiscard]] Target plan_target(const Arguments& arguments);

/// What a plan for the target needs: its memory, and backends to prepare steps with. These share what the first has
/// found out.
struct TargetPlanning {
  DeviceMemory memory;
  std::function<std::unique_ptr<Backend>()> make_backend;
};
[[nodiscard]] TargetPlanning planning_for(const Target& target, const Config& config, int threads);

}  // namespace snug
