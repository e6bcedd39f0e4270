// What this machine can do at best, measured with the program's own backend: the yardstick of `bench`.
#pragma once

#include "backend/backend.h"
#include "planner/planner.h"

namespace snug {

/// FLOP/s of a square matrix product or a wide 3×3 convolution, the faster; bytes/s of a copy.
[[nodiscard]] DeviceRates measure_ceiling(Backend& backend, DType dtype);

}  // namespace snug
