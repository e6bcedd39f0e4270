#include "loss_scale.cuh"

#include "map.cuh"

namespace snug::kernels {

namespace {

/// A few numbers a sample: one element a thread and turn.
__global__ void __launch_bounds__(kThreads) multiply(float* x, const double* scaling, std::int64_t n) {
  const auto scale = static_cast<float>(scaling[LossScaling::scale]);
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * (kThreads * kPacketsPerThread) + threadIdx.x;
#pragma unroll
  for (int k = 0; k < kPacketsPerThread; ++k) {
    if (const std::int64_t i = first + k * kThreads; i < n) x[i] *= scale;
  }
}

__global__ void follow(const double* not_finite, double* scaling, ScaleRule rule) {
  const double scale = scaling[LossScaling::scale];
  if (*not_finite != 0) {
    scaling[LossScaling::scale] = fmax(rule.least, scale / 2);
    scaling[LossScaling::clean_steps] = 0;
    scaling[LossScaling::skipped] += 1;
    return;
  }
  const double clean_steps = scaling[LossScaling::clean_steps] + 1;
  const bool grows = clean_steps >= rule.growth_steps;
  scaling[LossScaling::clean_steps] = grows ? 0 : clean_steps;
  if (grows) scaling[LossScaling::scale] = fmin(rule.most, 2 * scale);
}

}  // namespace

void scale_gradient(float* x, const double* scaling, std::int64_t n, Stream stream) {
  launch(multiply, map_blocks(n, 1), kThreads, 0, stream, x, scaling, n);
}

void update_loss_scale(const double* not_finite, double* scaling, const ScaleRule& rule, Stream stream) {
  launch(follow, 1, 1, 0, stream, not_finite, scaling, rule);
}

}  // namespace snug::kernels
