// Scratch of the steps that kernels of our own run on a GPU.
#pragma once

#include <cstdint>

#include "program/program.h"

namespace snug {

/// Bytes of scratch of a step that no library runs. Sums are split by shape, never by the device (kernels/tiles.h):
///
/// | steps                                  | scratch                                        |
/// |----------------------------------------|------------------------------------------------|
/// | batchnorm, forward and backward        | two sums of every part, then three coefficients, a channel |
/// | batchnorm_inference_backward, _statistics | the same                                    |
/// | batchnorm_maxpool_backward             | the same                                       |
/// | batchnorm_backward_apply               | three coefficients a channel                   |
/// | conv1x1, forward and data              | two sums of every part and group of parts, a channel |
/// | conv1x1_backward_weights               | the gradient of every part of the rows         |
/// | gradient_norm                          | a double for every 4,096 elements of a segment |
/// | losses                                 | 24 bytes a sample                              |
/// | everything else                        | none: each output is written by one thread     |
[[nodiscard]] std::int64_t scratch_bytes(const Program& program, const Step& step);

}  // namespace snug
