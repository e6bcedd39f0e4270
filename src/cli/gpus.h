// The GPUs of this machine, as the driver's management library tells them; asks no device for a context.
#pragma once

#include <vector>

#include "report/reports.h"

namespace snug {

/// Empty where there is no driver.
[[nodiscard]] std::vector<DeviceEntry> list_gpus();

}  // namespace snug
