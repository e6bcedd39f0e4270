#include "program/op_list.h"

namespace snug {

std::string_view to_string(Op op) {
  switch (op) {
    case Op::normalize_input: return "normalize_input";
    case Op::conv_forward: return "conv_forward";
    case Op::conv_backward_data: return "conv_backward_data";
    case Op::conv_backward_weights: return "conv_backward_weights";
    case Op::dense_forward: return "dense_forward";
    case Op::dense_backward_data: return "dense_backward_data";
    case Op::dense_backward_weights: return "dense_backward_weights";
    case Op::batchnorm_forward: return "batchnorm_forward";
    case Op::batchnorm_apply: return "batchnorm_apply";
    case Op::batchnorm_inference: return "batchnorm_inference";
    case Op::batchnorm_backward: return "batchnorm_backward";
    case Op::batchnorm_inference_backward: return "batchnorm_inference_backward";
    case Op::batchnorm_statistics: return "batchnorm_statistics";
    case Op::batchnorm_backward_apply: return "batchnorm_backward_apply";
    case Op::batchnorm_maxpool_forward: return "batchnorm_maxpool_forward";
    case Op::batchnorm_maxpool_backward: return "batchnorm_maxpool_backward";
    case Op::conv1x1_forward: return "conv1x1_forward";
    case Op::conv1x1_backward_data: return "conv1x1_backward_data";
    case Op::conv1x1_backward_weights: return "conv1x1_backward_weights";
    case Op::activation_forward: return "activation_forward";
    case Op::activation_backward: return "activation_backward";
    case Op::softmax_forward: return "softmax_forward";
    case Op::softmax_backward: return "softmax_backward";
    case Op::maxpool_forward: return "maxpool_forward";
    case Op::maxpool_backward: return "maxpool_backward";
    case Op::avgpool_forward: return "avgpool_forward";
    case Op::avgpool_backward: return "avgpool_backward";
    case Op::adaptive_avgpool_forward: return "adaptive_avgpool_forward";
    case Op::adaptive_avgpool_backward: return "adaptive_avgpool_backward";
    case Op::add: return "add";
    case Op::copy: return "copy";
    case Op::cast: return "cast";
    case Op::scale_channels: return "scale_channels";
    case Op::scale_channels_backward: return "scale_channels_backward";
    case Op::dropout_forward: return "dropout_forward";
    case Op::dropout_backward: return "dropout_backward";
    case Op::fill: return "fill";
    case Op::weight_sum: return "weight_sum";
    case Op::softmax_crossentropy: return "softmax_crossentropy";
    case Op::softmax_crossentropy_rows: return "softmax_crossentropy_rows";
    case Op::sigmoid_crossentropy: return "sigmoid_crossentropy";
    case Op::mean_squared_error: return "mean_squared_error";
    case Op::add_stats: return "add_stats";
    case Op::scale_gradient: return "scale_gradient";
    case Op::update_loss_scale: return "update_loss_scale";
    case Op::gradient_norm: return "gradient_norm";
    case Op::sgd_update: return "sgd_update";
    case Op::adam_update: return "adam_update";
    case Op::ema_update: return "ema_update";
    case Op::wait: return "wait";
  }
  return "?";
}

bool is_product(Op op) {
  return op == Op::conv_forward || op == Op::conv_backward_data || op == Op::conv_backward_weights ||
         op == Op::dense_forward || op == Op::dense_backward_data || op == Op::dense_backward_weights;
}

bool is_fused_product(Op op) {
  return op == Op::conv1x1_forward || op == Op::conv1x1_backward_data || op == Op::conv1x1_backward_weights;
}

bool is_pooled_norm(Op op) { return op == Op::batchnorm_maxpool_forward || op == Op::batchnorm_maxpool_backward; }

bool is_loss(Op op) {
  return op == Op::softmax_crossentropy || op == Op::softmax_crossentropy_rows || op == Op::sigmoid_crossentropy ||
         op == Op::mean_squared_error;
}

}  // namespace snug
