// Batch normalization with the relu and the max pool behind it, over what a convolution wrote: the map between them, as
// large as its input, is neither written nor read, nor is its gradient. Both ways give the bits of batchnorm.cuh and
// pool.cuh one after another: what they would store is rounded as if it were.
#pragma once

#include "pool.cuh"

namespace snug::kernels {

/// y and index: maxpool_forward of relu((x − mean) · inverse_std · gamma + beta).
struct NormPoolTensors {
  const void* x = nullptr;
  const float *gamma = nullptr, *beta = nullptr, *mean = nullptr, *inverse_std = nullptr;
  void* y = nullptr;
  std::uint8_t* index = nullptr;
};
void batchnorm_maxpool_forward(const Pool& pool, const NormPoolTensors& t, Stream stream);

struct NormPoolGradients {
  const void* dy = nullptr;  ///< of the pool's output
  const std::uint8_t* index = nullptr;
  const float *gamma = nullptr, *beta = nullptr, *mean = nullptr, *inverse_std = nullptr;
  const void* x = nullptr;  ///< the norm's input
  void* dx = nullptr;
  float *dgamma = nullptr, *dbeta = nullptr;
  bool accumulate = false;  ///< dgamma and dbeta are added to
};
/// `workspace`: batchnorm_workspace_bytes of x's pixels.
void batchnorm_maxpool_backward(const Pool& pool, const NormPoolGradients& g, void* workspace, Stream stream);

}  // namespace snug::kernels
