// The gradient of depthwise weights by kernels of our own.
#pragma once

#include <optional>

#include "backend/cpu/context.h"

namespace snug::cpu {

/// dw (and db) of a convolution with one filter a channel and more than 9 taps; none for others. The same bits at any
/// number of threads.
[[nodiscard]] std::optional<PreparedStep> own_depthwise_gradient(const CpuContext& context, const StepView& step);

}  // namespace snug::cpu
