// What a device says against a run, as findings.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "backend/device.h"
#include "snug/diagnostic.h"

namespace snug {

inline constexpr std::size_t kMostWhat = 160;  ///< bytes of a finding's sentence
inline constexpr std::string_view kWhoHoldsMemory = "snug devices   # who else holds the memory of the device";
inline constexpr std::string_view kCheckSteps =
    "SNUG_DEVICE_CHECKS=1 snug …   # waits for each step, so that the first one that fails is named";

/// A failure of no one step: M304 for want of memory, whatever the call was, else G922. `device`: its name, or what it
/// was asked for.
[[nodiscard]] Diagnostic device_stopped(std::string_view device, const DeviceFailure& failure);

/// " (2.1 GiB of 79.2 GiB are free now)"; empty where the device does not tell.
[[nodiscard]] std::string free_now(const Device& device);

}  // namespace snug
