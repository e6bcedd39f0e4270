// One function per step kind (or family of kinds). Each checks the operands, computes all it can beforehand, and
// returns the call that runs the step. A kind without its function does not link.
#pragma once

#include "backend/cpu/context.h"

namespace snug::cpu {

PreparedStep prepare_normalize_input(const CpuContext& context, const StepView& step);
PreparedStep prepare_conv_forward(const CpuContext& context, const StepView& step);
PreparedStep prepare_conv_backward_data(const CpuContext& context, const StepView& step);
PreparedStep prepare_conv_backward_weights(const CpuContext& context, const StepView& step);
PreparedStep prepare_dense_forward(const CpuContext& context, const StepView& step);
PreparedStep prepare_dense_backward_data(const CpuContext& context, const StepView& step);
PreparedStep prepare_dense_backward_weights(const CpuContext& context, const StepView& step);
PreparedStep prepare_batchnorm_forward(const CpuContext& context, const StepView& step);
PreparedStep prepare_batchnorm_apply(const CpuContext& context, const StepView& step);
PreparedStep prepare_batchnorm_inference(const CpuContext& context, const StepView& step);
PreparedStep prepare_batchnorm_backward(const CpuContext& context, const StepView& step);
PreparedStep prepare_batchnorm_inference_backward(const CpuContext& context, const StepView& step);
PreparedStep prepare_activation_forward(const CpuContext& context, const StepView& step);
PreparedStep prepare_activation_backward(const CpuContext& context, const StepView& step);
PreparedStep prepare_softmax_forward(const CpuContext& context, const StepView& step);
PreparedStep prepare_softmax_backward(const CpuContext& context, const StepView& step);
PreparedStep prepare_maxpool_forward(const CpuContext& context, const StepView& step);
PreparedStep prepare_maxpool_backward(const CpuContext& context, const StepView& step);
PreparedStep prepare_avgpool_forward(const CpuContext& context, const StepView& step);
PreparedStep prepare_avgpool_backward(const CpuContext& context, const StepView& step);
PreparedStep prepare_adaptive_avgpool_forward(const CpuContext& context, const StepView& step);
PreparedStep prepare_adaptive_avgpool_backward(const CpuContext& context, const StepView& step);
PreparedStep prepare_add(const CpuContext& context, const StepView& step);
PreparedStep prepare_cast(const CpuContext& context, const StepView& step);
PreparedStep prepare_copy(const CpuContext& context, const StepView& step);
PreparedStep prepare_scale_channels(const CpuContext& context, const StepView& step);
PreparedStep prepare_scale_channels_backward(const CpuContext& context, const StepView& step);
PreparedStep prepare_dropout(const CpuContext& context, const StepView& step);  ///< forward and backward
PreparedStep prepare_fill(const CpuContext& context, const StepView& step);
PreparedStep prepare_weight_sum(const CpuContext& context, const StepView& step);
PreparedStep prepare_softmax_crossentropy(const CpuContext& context, const StepView& step);
PreparedStep prepare_softmax_crossentropy_rows(const CpuContext& context, const StepView& step);
PreparedStep prepare_sigmoid_crossentropy(const CpuContext& context, const StepView& step);
PreparedStep prepare_mean_squared_error(const CpuContext& context, const StepView& step);
PreparedStep prepare_add_stats(const CpuContext& context, const StepView& step);
PreparedStep prepare_loss_scale(const CpuContext& context, const StepView& step);  ///< both: no CPU computes in fp16
PreparedStep prepare_gradient_norm(const CpuContext& context, const StepView& step);
PreparedStep prepare_sgd_update(const CpuContext& context, const StepView& step);
PreparedStep prepare_adam_update(const CpuContext& context, const StepView& step);
PreparedStep prepare_ema_update(const CpuContext& context, const StepView& step);
PreparedStep prepare_wait(const CpuContext& context, const StepView& step);

}  // namespace snug::cpu
