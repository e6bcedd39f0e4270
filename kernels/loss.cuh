// The losses: a warp per sample leaves what it adds to the statistics in the workspace, and one block adds them up in
// the samples' order. Outputs, labels and gradients are float.
#pragma once

#include "tiles.h"  // loss_workspace_bytes
#include "types.h"

namespace snug::kernels {

/// Places in the statistics (doubles), as in TrainStats of src/program/op_list.h.
struct LossStats {
  enum : int { loss_sum, weight_sum, correct, correct_top5, samples, not_finite, count };
};

struct Loss {
  std::int64_t samples = 0;
  int width = 0;  ///< classes, or outputs
  double label_smoothing = 0;
  double mean_over = 1;                  ///< the gradient is divided by it, unless weights are given
  const float* class_weights = nullptr;  ///< [width], or null
  const float* weight_sum = nullptr;     ///< [1], with class_weights
  double* stats = nullptr;               ///< added to
  float* gradient = nullptr;             ///< [samples, width], or null
};

void softmax_crossentropy(const Loss& loss, const float* logits, const std::int32_t* labels, void* workspace,
                          Stream stream);
/// labels [samples, width]
void softmax_crossentropy_rows(const Loss& loss, const float* logits, const float* labels, void* workspace,
                               Stream stream);
void sigmoid_crossentropy(const Loss& loss, const float* logits, const float* labels, void* workspace, Stream stream);
void mean_squared_error(const Loss& loss, const float* outputs, const float* labels, void* workspace, Stream stream);

/// Σ of the classes' weights over samples: labels are numbers, or rows with shares of the classes.
void weight_sum_of_numbers(const std::int32_t* labels, const float* class_weights, float* sum, std::int64_t samples,
                           int classes, Stream stream);
void weight_sum_of_rows(const float* labels, const float* class_weights, float* sum, std::int64_t samples, int classes,
                        Stream stream);

/// totals += stats
void add_stats(const double* stats, double* totals, int count, Stream stream);

}  // namespace snug::kernels
