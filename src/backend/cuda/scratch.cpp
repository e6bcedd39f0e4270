#include "backend/cuda/scratch.h"

#include <algorithm>

namespace snug {

namespace {

std::int64_t split(std::int64_t count, std::int64_t run) {
  return std::clamp<std::int64_t>((count + run - 1) / run, 1, kMostPartials);
}

}  // namespace

std::int64_t partials_of(std::int64_t rows) { return split(rows, kRowsPerPartial); }

std::int64_t bias_scratch_bytes(std::int64_t rows, std::int64_t channels) {
  return partials_of(rows) * channels * size_bytes(DType::f32);
}

std::int64_t scratch_bytes(const Program& program, const Step& step) {
  constexpr std::int64_t kElementsOfNorm = 64 << 10;
  constexpr std::int64_t kSamplesOfLoss = 256;
  constexpr std::int64_t kValuesOfLoss = 8;  // the elements of TrainStats and room to align them
  const Shape& first = program[step.operands.front().tensor].shape;
  switch (step.op) {
    case Op::batchnorm_forward:
    case Op::batchnorm_backward:
    case Op::batchnorm_inference_backward: return 2 * bias_scratch_bytes(first.elements() / first.back(), first.back());
    case Op::gradient_norm: return split(first.elements(), kElementsOfNorm) * size_bytes(DType::f64);
    case Op::weight_sum:
    case Op::softmax_crossentropy:
    case Op::softmax_crossentropy_rows:
    case Op::sigmoid_crossentropy:
    case Op::mean_squared_error: return split(first[0], kSamplesOfLoss) * kValuesOfLoss * size_bytes(DType::f64);
    case Op::normalize_input:
    case Op::conv_forward:
    case Op::conv_backward_data:
    case Op::conv_backward_weights:
    case Op::dense_forward:
    case Op::dense_backward_data:
    case Op::dense_backward_weights:
    case Op::batchnorm_inference:
    case Op::batchnorm_apply:
    case Op::activation_forward:
    case Op::activation_backward:
    case Op::softmax_forward:
    case Op::softmax_backward:
    case Op::maxpool_forward:
    case Op::maxpool_backward:
    case Op::avgpool_forward:
    case Op::avgpool_backward:
    case Op::adaptive_avgpool_forward:
    case Op::adaptive_avgpool_backward:
    case Op::add:
    case Op::copy:
    case Op::cast:
    case Op::scale_channels:
    case Op::scale_channels_backward:
    case Op::dropout_forward:
    case Op::dropout_backward:
    case Op::fill:
    case Op::add_stats:
    case Op::sgd_update:
    case Op::adam_update:
    case Op::ema_update:
    case Op::wait: return 0;
  }
  return 0;
}

}  // namespace snug
