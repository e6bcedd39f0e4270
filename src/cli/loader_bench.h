// The loader by itself, timed: what `bench loader` and `tune` tell about the input.
#pragma once

#include <atomic>
#include <cstdint>

#include "report/bench.h"
#include "snug/config.h"
#include "train/setup.h"

namespace snug {

/// Batches of the training data as a run would take them, for about so many seconds, and at least two of them. Nothing
/// is done with them. Ends early once `stop` is set. Conditions are left open.
[[nodiscard]] LoaderBench measure_loader(const Config& config, const RunSetup& setup, std::int64_t batch,
                                         double seconds, const std::atomic<bool>* stop = nullptr);

}  // namespace snug
