// The device profiles among the installed configs.
#pragma once

#include <vector>

#include "report/reports.h"

namespace snug {

/// configs/devices/*.toml, sorted by name. A file that cannot be read as a profile is left out.
[[nodiscard]] std::vector<ProfileEntry> device_profiles();

}  // namespace snug
