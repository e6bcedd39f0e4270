// Scratch of the steps that kernels of our own run on a GPU: what they may take, and must keep within.
#pragma once

#include <cstdint>

#include "program/program.h"

namespace snug {

/// Sums are split by shape, never by the device: into runs of `kRowsPerPartial` rows (pixels of all images), at most
/// `kMostPartials`, each of which leaves its partial sums in scratch.
inline constexpr std::int64_t kRowsPerPartial = 1024;
inline constexpr std::int64_t kMostPartials = 512;
[[nodiscard]] std::int64_t partials_of(std::int64_t rows);

/// Bytes of scratch of a step that no library runs:
///
/// | steps                                  | scratch                                        |
/// |----------------------------------------|------------------------------------------------|
/// | batchnorm, forward and backward        | partials × channels × 2 × 4 (two sums)         |
/// | batchnorm_inference_backward           | the same                                       |
/// | gradient_norm                          | partials of 64 Ki elements, at most 512, × 8   |
/// | losses, weight_sum                     | partials of 256 samples × 8 values × 8         |
/// | everything else                        | none: each output is written by one thread     |
///
/// Sums per channel of backward convolutions (the bias) are `bias_scratch_bytes`.
[[nodiscard]] std::int64_t scratch_bytes(const Program& program, const Step& step);

/// For the sum of `rows` rows into the gradient of a bias.
[[nodiscard]] std::int64_t bias_scratch_bytes(std::int64_t rows, std::int64_t channels);

}  // namespace snug
