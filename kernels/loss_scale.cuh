// What fp16 needs to train: gradients of a scaled loss, and a scale that follows what overflows.
#pragma once

#include "types.h"

namespace snug::kernels {

/// Places in the scaling (doubles), as in LossScale of src/program/op_list.h.
struct LossScaling {
  enum : int { scale, clean_steps, skipped, count };
};

/// x *= the scale
void scale_gradient(float* x, const double* scaling, std::int64_t n, Stream stream);

/// Where a step had values that are not finite, half the scale, at least `least`; after so many in a row that had none,
/// twice, at most `most`.
struct ScaleRule {
  double growth_steps = 2000, least = 1, most = 1;
};
void update_loss_scale(const double* not_finite, double* scaling, const ScaleRule& rule, Stream stream);

}  // namespace snug::kernels
