// Who else has memory of a device.
#pragma once

#include <string_view>
#include <vector>

#include "snug/plan.h"

namespace snug {

/// Other processes with memory of the CPU ("cpu": their own pages, a hundredth of all memory or more) or of a GPU here
/// ("cuda:0", as the driver tells it), the largest first. Empty for anything else.
[[nodiscard]] std::vector<PlanProcess> memory_holders(std::string_view device);

}  // namespace snug
