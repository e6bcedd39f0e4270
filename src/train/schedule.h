// The learning rate as a function of the step number.
#pragma once

#include <cstdint>

#include "snug/config.h"

namespace snug {

/// The rate of optimizer step `step` (from 0) of `total_steps`, for batches of `batch` samples.
///   constant   lr
///   step       lr · factor^⌊epoch ÷ every_epochs⌋, epochs from 0
///   cosine     lr · ½ (1 + cos π (t − W) ÷ (T − W))
///   onecycle   cosine from max_lr ÷ 25 up to max_lr at step warmup_fraction · T − 1, then down to max_lr ÷ 250,000 at
///              step T − 1
/// Over the first W = warmup_epochs · steps_per_epoch steps (to the nearest whole) the rate is lr · (t + 1) ÷ W;
/// onecycle's own curve is multiplied by (t + 1) ÷ W there. lr_reference_batch scales every rate by batch ÷ reference.
[[nodiscard]] double learning_rate(const TrainConfig& train, std::int64_t step, std::int64_t steps_per_epoch,
                                   std::int64_t total_steps, std::int64_t batch);

}  // namespace snug
