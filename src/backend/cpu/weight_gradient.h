// Gradients of convolution weights by our own product kernels.
#pragma once

#include <optional>

#include "backend/cpu/context.h"

namespace snug::cpu {

/// The step (conv_backward_weights) on our own kernels, or nothing where the library is the better choice: grouped
/// convolutions, very few channels, processors without the instructions that make ours fast or with faster ones.
[[nodiscard]] std::optional<PreparedStep> own_weight_gradient(const CpuContext& context, const StepView& step);

}  // namespace snug::cpu
