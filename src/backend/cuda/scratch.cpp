#include "backend/cuda/scratch.h"

#include "kernels/tiles.h"

namespace snug {

namespace {

// Of a convolution's weights, the second operand.
int filters_of(const Program& program, const Step& step) {
  return static_cast<int>(program[step.operands[1].tensor].shape[0]);
}
int channels_of(const Program& program, const Step& step) {
  return static_cast<int>(program[step.operands[1].tensor].shape.back());
}

}  // namespace

std::int64_t scratch_bytes(const Program& program, const Step& step) {
  const Shape& first = program[step.operands.front().tensor].shape;
  const auto channels = static_cast<int>(first.back());
  switch (step.op) {
    case Op::batchnorm_forward:
    case Op::batchnorm_backward:
    case Op::batchnorm_inference_backward:
    case Op::batchnorm_statistics: return kernels::batchnorm_workspace_bytes(first.elements() / channels, channels);
    case Op::batchnorm_maxpool_backward: {
      const Shape& x = program[step.operands[6].tensor].shape;
      return kernels::batchnorm_workspace_bytes(x.elements() / channels, channels);
    }
    case Op::batchnorm_backward_apply: return kernels::batchnorm_apply_workspace_bytes(channels);
    case Op::conv1x1_forward: {
      if (!std::get<Conv1x1Attributes>(step.attributes).statistics) return 0;
      return kernels::conv1x1_sums_workspace_bytes(first.elements() / channels, filters_of(program, step));
    }
    case Op::conv1x1_backward_data:  // whose first operand has the filters for channels
      return kernels::conv1x1_sums_workspace_bytes(first.elements() / channels, channels_of(program, step));
    case Op::conv1x1_backward_weights:
      return kernels::conv1x1_backward_weights_workspace_bytes(
          first.elements() / channels, channels, static_cast<int>(program[step.operands[1].tensor].shape.back()));
    case Op::gradient_norm: {
      std::int64_t bytes = 0;
      for (const Segment& segment : std::get<GradientNormAttributes>(step.attributes).segments)
        bytes += kernels::gradient_norm_workspace_bytes(segment.count);
      return bytes;
    }
    case Op::softmax_crossentropy:
    case Op::softmax_crossentropy_rows:
    case Op::sigmoid_crossentropy:
    case Op::mean_squared_error: return kernels::loss_workspace_bytes(first[0]);
    case Op::weight_sum:
    case Op::normalize_input:
    case Op::conv_forward:
    case Op::conv_backward_data:
    case Op::conv_backward_weights:
    case Op::dense_forward:
    case Op::dense_backward_data:
    case Op::dense_backward_weights:
    case Op::batchnorm_inference:
    case Op::batchnorm_apply:
    case Op::batchnorm_maxpool_forward:
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
    case Op::scale_gradient:
    case Op::update_loss_scale:
    case Op::sgd_update:
    case Op::adam_update:
    case Op::ema_update:
    case Op::wait: return 0;
  }
  return 0;
}

}  // namespace snug
