// One function per step kind; operands stand where src/program/op_list.h puts them.
#pragma once

namespace snug::reference {

class Call;

void normalize_input(const Call& call);

void conv_forward(const Call& call);
void conv_backward_data(const Call& call);
void conv_backward_weights(const Call& call);

void dense_forward(const Call& call);
void dense_backward_data(const Call& call);
void dense_backward_weights(const Call& call);

void batchnorm_forward(const Call& call);
void batchnorm_apply(const Call& call);
void batchnorm_inference(const Call& call);
void batchnorm_backward(const Call& call);
void batchnorm_inference_backward(const Call& call);

void batchnorm_statistics(const Call& call);
void batchnorm_backward_apply(const Call& call);
void batchnorm_maxpool_forward(const Call& call);
void batchnorm_maxpool_backward(const Call& call);

void conv1x1_forward(const Call& call);
void conv1x1_backward_data(const Call& call);
void conv1x1_backward_weights(const Call& call);

void activation_forward(const Call& call);
void activation_backward(const Call& call);

void softmax_forward(const Call& call);
void softmax_backward(const Call& call);

void maxpool_forward(const Call& call);
void maxpool_backward(const Call& call);
void avgpool_forward(const Call& call);
void avgpool_backward(const Call& call);
void adaptive_avgpool_forward(const Call& call);
void adaptive_avgpool_backward(const Call& call);

void add(const Call& call);
void copy(const Call& call);
void cast(const Call& call);
void fill(const Call& call);
void scale_channels(const Call& call);
void scale_channels_backward(const Call& call);

void dropout(const Call& call);  ///< forward and backward are one function: the same numbers times the same mask

void weight_sum(const Call& call);
void softmax_crossentropy(const Call& call);
void softmax_crossentropy_rows(const Call& call);
void sigmoid_crossentropy(const Call& call);
void mean_squared_error(const Call& call);
void add_stats(const Call& call);

void scale_gradient(const Call& call);
void update_loss_scale(const Call& call);
void gradient_norm(const Call& call);
void sgd_update(const Call& call);
void adam_update(const Call& call);
void ema_update(const Call& call);

void nothing(const Call& call);  ///< wait: there is one queue

}  // namespace snug::reference
