// The list of step kinds. A backend implements each; names and tables come from here.
//
// Operands are positional, in the order written below. [x] is present when the attribute named says so. "→" parts
// what is read from what is written; ± marks what is read and written. {a | b} are alternatives (Step::saved): the
// step reads exactly one of them, after its other operands (see Alternative).
// Images are [n, h, w, c], convolution weights [out, kh, kw, in ÷ groups], dense data [n, units], dense weights
// [out, in], per-channel values [c]. Every tensor is packed but those of `may_be_pitched` (program.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace snug {

enum class Op : std::uint8_t {
  normalize_input,        ///< images (u8, f32), mean [c], inverse_std [c], [places: gathered] → y. places i32 [n, 4]:
                          ///< which of the images each sample is, and how it is changed (base/sample_place.h)
                          ///<                                                       (NormalizeAttributes)
  conv_forward,           ///< x, w, [bias] → y, with the activation behind it       (ConvAttributes)
  conv_backward_data,     ///< dy, w → dx
  conv_backward_weights,  ///< x, dy → dw, [dbias]          (± with accumulate)
  dense_forward,          ///< x, w, [bias] → y                                      (DenseAttributes)
  dense_backward_data,    ///< dy, w → dx
  dense_backward_weights,  ///< x, dy → dw, [dbias]          (± with accumulate)
  batchnorm_forward,  ///< x, gamma, beta, running_mean ±, running_var ±, [residual] → y, mean, inverse_std (of the
                      ///< batch)                                                (BatchNormAttributes)
  batchnorm_apply,  ///< x, gamma, beta, mean, inverse_std, [residual] → y: what batchnorm_forward made of x, again, bit
                    ///< for bit
  batchnorm_inference,  ///< x, gamma, beta, running_mean, running_var, [residual] → y
  batchnorm_backward,  ///< dy, gamma, beta, mean, inverse_std, [y: residual] → dx (± with accumulate_dx), dgamma, dbeta
                       ///< (± with accumulate), [dresidual: residual], {x | y}; dresidual, or dx without, may be dy. y
                       ///< only where there is no activation
  batchnorm_inference_backward,  ///< dy, gamma, running_mean, running_var → dx (± with accumulate_dx), dgamma, dbeta (±
                                 ///< with accumulate), {x}  (frozen statistics)
  batchnorm_statistics,  ///< x, running_mean ±, running_var ± → mean, inverse_std: batchnorm_forward but for its y
  batchnorm_backward_apply,  ///< g, gamma, mean, inverse_std, sums [2, c], x → dx (± with accumulate_dx), dgamma, dbeta
                             ///< (± with accumulate): batchnorm_backward, given the gradient in front of the activation
                             ///< with its sums, Σ g and Σ g · (x − mean)
  // A norm with the relu and the max pool behind it, see lowering/fuse_pool.cpp; of backends that say so
  // (Backend::fuses). What lies between them is never written.                          (NormPoolAttributes)
  batchnorm_maxpool_forward,  ///< x, gamma, beta, mean, inverse_std → y, index: batchnorm_apply, relu, maxpool_forward
  batchnorm_maxpool_backward,  ///< dy, index, gamma, beta, mean, inverse_std, x → dx, dgamma, dbeta (± with
                               ///< accumulate): maxpool_backward, then batchnorm_backward through the relu
  // 1×1 convolutions (stride 1, no padding, one group) with what stands around them, see lowering/fuse_products.cpp; of
  // backends that say so (Backend::fuses).                                              (Conv1x1Attributes)
  conv1x1_forward,  ///< x, w, [gamma, beta, mean, inverse_std: norm of x], [running_mean ±, running_var ±: statistics]
                    ///< → y, [mean, inverse_std: statistics of y]
  conv1x1_backward_data,  ///< dy, w, [addend], x, gamma, beta, mean, inverse_std, [y: residual] → g, sums [2, c]: the
                          ///< gradient in front of the norm's activation, (dy · w + addend) · slope; x is the norm's
                          ///< input. The slope is taken from y or from x; g may be addend
  conv1x1_backward_weights,  ///< x, dy, gamma, beta, mean, inverse_std → dw (± with accumulate)
  activation_forward,        ///< x → y; in place allowed                               (ActivationAttributes)
  activation_backward,       ///< dy → dx, {x | y}; in place allowed; y only where the function can be inverted so
  softmax_forward,           ///< x → y, over the last axis; in place allowed
  softmax_backward,          ///< dy, y → dx; in place allowed
  maxpool_forward,   ///< x → y, index (u8: place in the window, row · kernel width + column)  (PoolAttributes)
  maxpool_backward,  ///< dy, index → dx
  avgpool_forward,   ///< x → y                                                 (PoolAttributes)
  avgpool_backward,  ///< dy → dx
  adaptive_avgpool_forward,  ///< x → y: cell i averages rows [⌊i·h÷H⌋, ⌈(i+1)·h÷H⌉), columns likewise; H = W = 1 is
                             ///< global
  adaptive_avgpool_backward,  ///< dy → dx
  add,                        ///< a, b → y; y may be a or b (in place)
  copy,                       ///< x → y; both may be pitched (a channel slice of a wider tensor)
  cast,                       ///< x → y: another floating type, rounded to nearest even           (CastAttributes)
  scale_channels,             ///< x [n,h,w,c], s [n,1,1,c] → y
  scale_channels_backward,    ///< dy, x, s → dx, ds
  dropout_forward,            ///< x, control → y; in place allowed                      (DropoutAttributes)
  dropout_backward,           ///< dy, control → dx; in place allowed; draws the same numbers again
  fill,                       ///< → y                                                   (FillAttributes)
  weight_sum,                 ///< labels (i32 [n] or rows [n, classes]), class_weights [classes] → sum [1]
  softmax_crossentropy,  ///< logits [n, classes], labels i32 [n], [class_weights, weight_sum], stats ± → [dlogits]
  softmax_crossentropy_rows,  ///< the same with labels f32 [n, classes]              (LossAttributes)
  sigmoid_crossentropy,       ///< logits [n, units], labels f32 [n, units], stats ± → [dlogits]
  mean_squared_error,         ///< y [n, units], labels f32 [n, units], stats ± → [dy]
  add_stats,                  ///< stats, totals ±: totals += stats (TrainStats below)
  scale_gradient,             ///< dlogits ±, scaling: times the scale of the loss
  update_loss_scale,          ///< stats, scaling ±: by what came of the step                  (LossScaleAttributes)
  gradient_norm,  ///< flat gradient, stats ± → sum of squares [1] (±); a sum that is not finite sets not_finite
  sgd_update,     ///< flat g, control, stats, [norm²: clip_norm], [scaling: scaled], flat w ±, [flat v ±: momentum]
                  ///< (UpdateAttributes)
  adam_update,    ///< flat g, control, stats, [norm²: clip_norm], [scaling: scaled], flat w ±, m ±, v ±
  ema_update,     ///< flat w, stats, flat average ±
  wait,           ///< operands of steps on another queue that are complete after this step
};
inline constexpr std::size_t kOpCount = static_cast<std::size_t>(Op::wait) + 1;

[[nodiscard]] std::string_view to_string(Op op);
/// Convolutions and matrix products: what a library computes, and not a kernel of our own.
[[nodiscard]] bool is_product(Op op);
/// Products with what stands around them, by kernels of our own: only backends that say so are given them.
[[nodiscard]] bool is_fused_product(Op op);
/// Norms with a max pool behind them: likewise.
[[nodiscard]] bool is_pooled_norm(Op op);
/// What makes a loss of logits and labels.
[[nodiscard]] bool is_loss(Op op);

/// Elements of the `control` tensor (f64), written by the host before each step.
struct Control {
  enum : std::size_t { learning_rate, step, count };  // step: optimizer steps issued before this one
};

/// Elements of `scaling` (f64 [3]), which fp16 programs keep from step to step: the loss's gradient is multiplied by
/// `scale`, so that small gradients do not vanish, and updates divide by it.
struct LossScale {
  enum : std::size_t { scale, clean_steps, skipped, count };
  // clean_steps: since the scale last changed; skipped: steps whose updates were, which adam does not count
  static constexpr double kLeast = 1, kMost = 16777216;
};

/// Elements of `stats` (f64 [6]), which a program zeroes first and the loss steps add to, and of `totals`, which sums
/// them over an epoch. Updates are skipped while not_finite is not zero.
struct TrainStats {
  enum : std::size_t { loss_sum, weight_sum, correct, correct_top5, samples, not_finite, count };
  // The loss of a batch is loss_sum ÷ weight_sum. loss_sum holds Σ weight · loss of a sample (binary crossentropy and
  // mse: the mean over the outputs), weight_sum Σ weight (1 each without class weights). correct: arg max equals the
  // label's (binary with one output: both on the same side of ½; several outputs: all of them). mse counts none.
};

}  // namespace snug
