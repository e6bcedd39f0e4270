// Batch normalization over [rows, channels], with the residual and the activation behind it.
//
// Moments are merged from (count, mean, squares about the mean), so that a large mean never swallows the variance.
// Sums are cut by shape alone and added up in a fixed order: the same input gives the same bits.
#pragma once

#include "tiles.h"  // batchnorm_workspace_bytes
#include "types.h"

namespace snug::kernels {

struct BatchNorm {
  Data data = Data::f32;
  std::int64_t rows = 0;
  int channels = 0;
  Activation activation = Activation::none;
  double epsilon = 1e-5, momentum = 0.1;
  bool accumulate = false;     ///< backward: dgamma and dbeta are added to
  bool accumulate_dx = false;  ///< backward: dx is added to what is there
  // Elements from row to row where a tensor is a slice of channels; 0 where it is packed, as all others are.
  std::int64_t x_pitch = 0;   ///< of the input, also as what backward saved
  std::int64_t dx_pitch = 0;  ///< of its gradient
};

/// What is normalised: y = activation((x − mean) · inverse_std · gamma + beta [+ residual]).
struct NormTensors {
  const void* x = nullptr;
  const float *gamma = nullptr, *beta = nullptr;
  const void* residual = nullptr;  ///< or null
  void* y = nullptr;
};

/// Measures mean and inverse_std, moves the running values, normalises.
void batchnorm_forward(const BatchNorm& norm, const NormTensors& t, float* running_mean, float* running_var,
                       float* mean, float* inverse_std, void* workspace, Stream stream);
/// The first sweep of batchnorm_forward alone.
void batchnorm_statistics(const BatchNorm& norm, const void* x, float* running_mean, float* running_var, float* mean,
                          float* inverse_std, void* workspace, Stream stream);
/// The second sweep of batchnorm_forward alone: the same y bit for bit.
void batchnorm_apply(const BatchNorm& norm, const NormTensors& t, const float* mean, const float* inverse_std,
                     Stream stream);
void batchnorm_inference(const BatchNorm& norm, const NormTensors& t, const float* running_mean,
                         const float* running_var, Stream stream);

/// The operands of batchnorm_backward. `saved` is the norm's input, or its output (`from_output`: no activation).
/// With y the step had a residual: the slope is taken from y, and dresidual is written (it may be dy).
struct NormGradients {
  const void* dy = nullptr;
  const float *gamma = nullptr, *beta = nullptr, *mean = nullptr, *inverse_std = nullptr;
  const void* y = nullptr;  ///< or null
  const void* saved = nullptr;
  bool from_output = false;
  void* dx = nullptr;  ///< may be dy where there is no residual
  void* dresidual = nullptr;
  float *dgamma = nullptr, *dbeta = nullptr;
};
void batchnorm_backward(const BatchNorm& norm, const NormGradients& g, void* workspace, Stream stream);
/// The second sweep of batchnorm_backward alone: dy is the gradient in front of the activation, `sums` are those of it
/// and of its product with x − mean, [2][channels].
void batchnorm_backward_apply(const BatchNorm& norm, const NormGradients& g, const float* sums, void* workspace,
                              Stream stream);
/// With frozen statistics and no activation: `mean` and `inverse_std` of the operands are not read.
void batchnorm_inference_backward(const BatchNorm& norm, const NormGradients& g, const float* running_mean,
                                  const float* running_var, void* workspace, Stream stream);

}  // namespace snug::kernels
