// What this machine can do, measured with the program's own backend: the yardstick of `bench`, and what plans count on.
#pragma once

#include "backend/backend.h"
#include "planner/planner.h"

namespace snug {

/// FLOP/s of a square matrix product or a wide 3×3 convolution, the faster; bytes/s of a copy.
[[nodiscard]] DeviceRates measure_ceiling(Backend& backend, DType dtype);

/// What usual steps of a training step reach, by kind.
[[nodiscard]] DeviceRates measure_rates(Backend& backend, DType dtype);

/// Measures this processor where that was not done before and the cache folder can be written: about a second, in a
/// process of its own, so that this one keeps its memory. Without them plans have no times.
void ensure_cpu_rates(int threads);

}  // namespace snug
