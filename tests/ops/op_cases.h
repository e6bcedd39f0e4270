// The case tables of the ops: one list serves the gradient check on the reference backend and the comparison of other
// backends with it.
#pragma once

#include <vector>

#include "ops/op_harness.h"

namespace snug::ops_test {

// Ops with a gradient.
[[nodiscard]] std::vector<GradientCase> conv_cases();
/// Weight gradients large enough for our own kernels (bf16, and all but the first three also f32); too large for
/// finite differences.
[[nodiscard]] std::vector<StepCase> large_weight_gradient_cases();
/// Convolutions and their data gradients that are computed by Winograd's transforms in bf16; too large for finite
/// differences.
[[nodiscard]] std::vector<StepCase> winograd_cases();
[[nodiscard]] std::vector<GradientCase> dense_cases();
[[nodiscard]] std::vector<GradientCase> batchnorm_cases();
[[nodiscard]] std::vector<GradientCase> fused_batchnorm_cases();
[[nodiscard]] std::vector<StepCase> fused_inference_cases();
[[nodiscard]] std::vector<StepCase> fused_conv_cases();
/// The halves of a norm's steps, and 1×1 convolutions with norms around them; all in bf16, the halves in f32 too.
[[nodiscard]] std::vector<StepCase> half_norm_cases(const Shape& x);
struct FusedProduct {
  std::int64_t rows = 1, channels = 8, filters = 8;
  Conv1x1Attributes attributes{};
  bool slice = false;  ///< x lies in a wider tensor
};
/// Forward, data and weight gradient.
[[nodiscard]] std::vector<StepCase> fused_product_cases(const FusedProduct& product);
[[nodiscard]] std::vector<GradientCase> activation_cases();
/// Of backends that fuse so.
[[nodiscard]] std::vector<GradientCase> norm_pool_cases();
[[nodiscard]] std::vector<GradientCase> softmax_cases();
[[nodiscard]] std::vector<GradientCase> pool_cases();
[[nodiscard]] std::vector<GradientCase> elementwise_cases();
[[nodiscard]] std::vector<GradientCase> dropout_cases();
/// Every op that takes an image, on this one.
[[nodiscard]] std::vector<GradientCase> cases_of_shape(const Shape& image);

// Single steps.
[[nodiscard]] std::vector<StepCase> input_cases();
/// Of images that are kept: of backends for devices alone.
[[nodiscard]] std::vector<StepCase> gathered_input_cases();
[[nodiscard]] std::vector<StepCase> copy_cases();
[[nodiscard]] std::vector<StepCase> loss_cases();
[[nodiscard]] std::vector<StepCase> update_cases();
/// fp16 alone has them: kernels against the reference.
[[nodiscard]] std::vector<StepCase> scaled_loss_cases();

/// The loss of a case's batch is stats[loss_sum] ÷ this.
[[nodiscard]] double loss_divisor(const StepCase& step);

}  // namespace snug::ops_test
