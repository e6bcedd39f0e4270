#include "ops/op.h"

namespace snug {

namespace {

std::int64_t elements(const Program& program, const Step& step, std::size_t operand) {
  return program[step.operands[operand].tensor].shape.elements();
}

/// Multiply-adds of a convolution: outputs × the weights of one filter.
std::int64_t conv_flops(const Program& program, TensorId output, TensorId weights) {
  const Shape& w = program[weights].shape;
  return 2 * program[output].shape.elements() * (w.elements() / w[0]);
}

/// The images that a normalize_input step makes.
TensorId output_of_input(const Step& step) {
  const auto* input = std::get_if<NormalizeAttributes>(&step.attributes);
  return step.operands[input != nullptr && input->gathered ? 4 : 3].tensor;
}

std::int64_t step_flops(const Program& program, const Step& step) {
  const auto tensor = [&](std::size_t operand) { return step.operands[operand].tensor; };
  switch (step.op) {
    case Op::conv_forward:
    case Op::dense_forward: {
      const bool bias = step.op == Op::conv_forward ? std::get<ConvAttributes>(step.attributes).bias
                                                    : std::get<DenseAttributes>(step.attributes).bias;
      return conv_flops(program, tensor(bias ? 3 : 2), tensor(1));
    }
    case Op::conv_backward_data:
    case Op::dense_backward_data: return conv_flops(program, tensor(0), tensor(1));
    case Op::conv_backward_weights:
    case Op::dense_backward_weights: return conv_flops(program, tensor(1), tensor(2));
    case Op::conv1x1_forward: {
      const auto& conv = std::get<Conv1x1Attributes>(step.attributes);
      return conv_flops(program, tensor((conv.norm ? 6 : 2) + (conv.statistics ? 2 : 0)), tensor(1));
    }
    case Op::conv1x1_backward_data: return conv_flops(program, tensor(0), tensor(1));
    case Op::conv1x1_backward_weights: return conv_flops(program, tensor(1), tensor(6));
    case Op::normalize_input: return program[output_of_input(step)].shape.elements();
    case Op::batchnorm_maxpool_backward: return elements(program, step, 6);
    case Op::batchnorm_maxpool_forward:
    case Op::batchnorm_statistics:
    case Op::batchnorm_backward_apply:
    case Op::batchnorm_forward:
    case Op::batchnorm_apply:
    case Op::batchnorm_inference:
    case Op::batchnorm_backward:
    case Op::batchnorm_inference_backward:
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
    case Op::scale_channels:
    case Op::scale_channels_backward:
    case Op::dropout_forward:
    case Op::dropout_backward:
    case Op::softmax_crossentropy:
    case Op::softmax_crossentropy_rows:
    case Op::sigmoid_crossentropy:
    case Op::mean_squared_error:
    case Op::cast:
    case Op::scale_gradient:
    case Op::gradient_norm:
    case Op::sgd_update:
    case Op::adam_update:
    case Op::ema_update:
      // Bound by memory: one FLOP an element says so to anyone who divides by a rate.
      return elements(program, step, 0);
    case Op::copy:
    case Op::fill:
    case Op::weight_sum:
    case Op::add_stats:
    case Op::update_loss_scale:
    case Op::wait: return 0;
  }
  return 0;
}

/// Elements that the step moves: all of an operand, but of images that are kept those that the batch is made of.
std::int64_t moved_elements(const Program& program, const Step& step, std::size_t operand) {
  const bool kept = program.storage_of(step.operands[operand].tensor).arena == Arena::data;
  const TensorId tensor = kept ? output_of_input(step) : step.operands[operand].tensor;
  return program[tensor].shape.elements();
}

/// How often the step sweeps over an operand: statistics of a batch, and sums of its gradient, must be complete before
/// they are used.
int sweeps(const Step& step, std::size_t operand) {
  if (step.op == Op::batchnorm_maxpool_backward) return operand < 2 || operand == 6 ? 2 : 1;  // dy, index, x
  const bool two_passes = step.op == Op::batchnorm_forward || step.op == Op::batchnorm_backward;
  if (!two_passes) return 1;
  const bool residual = std::get<BatchNormAttributes>(step.attributes).residual;
  const bool is_saved = step.op == Op::batchnorm_backward && operand + 1 + step.has_workspace == step.operands.size();
  // With a residual the first backward pass leaves the gradient of the sum, which the second one reads.
  const bool is_main = operand == (step.op == Op::batchnorm_backward && residual ? 9 : 0);
  return is_main || is_saved ? 2 : 1;
}

}  // namespace

Cost step_cost(const Program& program, const Step& step) {
  Cost cost{.flops = step_flops(program, step), .bytes = 0};
  if (step.op == Op::wait) return cost;  // names what others move
  for (std::size_t i = 0; i < step.operands.size(); ++i) {
    const TensorInfo& tensor = program[step.operands[i].tensor];
    if (tensor.role == Role::workspace) continue;
    const std::int64_t bytes = moved_elements(program, step, i) * size_bytes(tensor.dtype) * sweeps(step, i);
    cost.bytes += step.operands[i].access == Access::inout ? 2 * bytes : bytes;
  }
  return cost;
}

}  // namespace snug
