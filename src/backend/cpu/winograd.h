// 3×3 convolutions in bf16 by Winograd's F(2×2, 3×3): 2.25 times fewer products than a direct convolution.
#pragma once

#include <optional>

#include "backend/cpu/context.h"

namespace snug::cpu {

/// y = activation(w ∗ x [+ bias]); none where the library's direct convolution is better or the kernels do not apply.
/// No bit depends on the batch or on the threads.
[[nodiscard]] std::optional<PreparedStep> winograd_forward(const CpuContext& context, const StepView& step);
/// The same for the gradient of x, which is a convolution of dy with the filters turned by half a turn.
[[nodiscard]] std::optional<PreparedStep> winograd_backward_data(const CpuContext& context, const StepView& step);

}  // namespace snug::cpu
