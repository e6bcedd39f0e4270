#pragma once

#include "planner/planner.h"

namespace snug {

/// What the library keeps for the kernels of a plan. Steps on equal shapes share one.
[[nodiscard]] std::int64_t library_bytes(const Plan& plan, const DeviceMemory& device);

/// The arenas on the device, as it gives them.
[[nodiscard]] std::int64_t arena_bytes(const Plan& plan, const DeviceMemory& device);

/// Everything counted: driver, library and the arenas as the device gives them.
[[nodiscard]] std::int64_t total_bytes(const Plan& plan, const DeviceMemory& device);

/// The arena in host memory, in whole pages.
[[nodiscard]] std::int64_t host_arena_bytes(const Plan& plan);

/// Fills in what the plan itself shows: totals, breakdown, peak, the layers' saved and scratch bytes, "inplace".
/// Driver and library come from `device`.
void describe(Plan& plan, const DeviceMemory& device);

}  // namespace snug
