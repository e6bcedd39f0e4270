// The norm of gradients and the optimizers, over flat storage: one launch for all parameters of a group.
//
// Everything is float. The rate, the step number and the flag of the statistics are read from device memory, so that
// a captured launch needs no new arguments; while the flag is set nothing is written.
#pragma once

#include "tiles.h"
#include "types.h"

namespace snug::kernels {

/// The parameters of a flat group: elements [begin[i], begin[i] + count[i]). What lies between is not touched.
struct FlatSegments {
  const std::int64_t* begin = nullptr;  ///< host memory, read during the call
  const std::int64_t* count = nullptr;
  int size = 0;
};

/// sum (added to with `accumulate`) = Σ g², a double; a sum that is not finite sets `not_finite` to 1.
void gradient_norm(const FlatSegments& segments, const float* g, double* sum, bool accumulate, double* not_finite,
                   void* workspace, Stream stream);

/// What an update reads from device memory.
struct UpdateState {
  const double* learning_rate = nullptr;
  const double* step = nullptr;          ///< adam: updates done before this one
  const double* not_finite = nullptr;    ///< skips the update unless 0
  const double* norm_squares = nullptr;  ///< with clip_norm
  const double* loss_scale = nullptr;    ///< of a scaled loss: gradients and their norm are so many times too large
  const double* skipped = nullptr;       ///< with it: of the updates before this one, those that were not done
};

struct Sgd {
  double weight_decay = 0, clip_norm = 0, momentum = 0;
  bool nesterov = false;
};
/// v is not used without momentum.
void sgd_update(const FlatSegments& segments, const Sgd& sgd, const UpdateState& state, const float* g, float* w,
                float* v, Stream stream);

struct Adam {
  double weight_decay = 0, clip_norm = 0, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  bool decoupled = false;
};
void adam_update(const FlatSegments& segments, const Adam& adam, const UpdateState& state, const float* g, float* w,
                 float* m, float* v, Stream stream);

/// average = decay · average + (1 − decay) · w
void ema_update(const FlatSegments& segments, double decay, const double* not_finite, const float* w, float* average,
                Stream stream);

}  // namespace snug::kernels
