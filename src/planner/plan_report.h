#pragma once

#include "planner/planner.h"

namespace snug {

/// Memory is given out in pages: each arena takes whole ones.
inline constexpr std::int64_t kPageBytes = 4096;

/// Everything counted: driver, library and the arenas in whole pages.
[[nodiscard]] std::int64_t total_bytes(const Plan& plan, const DeviceMemory& device);

/// Fills in what the plan itself shows: totals, breakdown, peak, the layers' saved and scratch bytes, "inplace".
/// Driver and library come from `device`.
void describe(Plan& plan, const DeviceMemory& device);

}  // namespace snug
