// What this machine can do, measured with the program's own backend: the yardstick of `bench`, and what plans count on.
#pragma once

#include <memory>

#include "backend/backend.h"
#include "backend/device.h"
#include "config/precision.h"
#include "planner/planner.h"
#include "report/bench.h"

namespace snug {

/// FLOP/s of a square matrix product or a wide 3×3 convolution, the faster; bytes/s of copies.
/// `device`: where the backend runs; null: here. Throws Error where the device's memory is short.
[[nodiscard]] DeviceLimits measure_limits(Backend& backend, DType dtype, const std::shared_ptr<Device>& device = {});

/// Copies, products in every type that can be computed, and the least that a step takes; in turn, several times; fewer
/// once `stop` is set.
void measure_device(Backend& backend, DeviceBench& bench, const Processor& processor,
                    const std::shared_ptr<Device>& device = {}, const std::atomic<bool>* stop = nullptr);

/// What usual steps of a training step reach, by kind.
[[nodiscard]] DeviceRates measure_rates(Backend& backend, DType dtype);

/// Measures this processor where that was not done before and the cache folder can be written: about a second, in a
/// process of its own, so that this one keeps its memory. Without them plans have no times.
void ensure_cpu_rates(int threads);

}  // namespace snug
