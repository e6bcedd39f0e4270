#include "runtime/device_findings.h"

#include <fmt/format.h>

#include <string>

#include "base/text.h"

namespace snug {

Diagnostic device_stopped(std::string_view device, const DeviceFailure& failure) {
  return {.code = failure.of_memory ? "M304" : "G922",
          .where = std::string(device),
          .what = fmt::format("the device stopped: {}", failure.what()).substr(0, kMostWhat),
          .fix = std::string(failure.of_memory ? kWhoHoldsMemory : kCheckSteps)};
}

std::string free_now(const Device& device) {
  try {
    const DeviceMemoryState now = device.memory();
    return fmt::format(" ({} of {} are free now)", format_bytes(now.free_bytes), format_bytes(now.total_bytes));
  } catch (const DeviceFailure&) {  // it has failed already, and that is told
    return {};
  }
}

}  // namespace snug
