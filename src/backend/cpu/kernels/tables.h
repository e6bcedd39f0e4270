// The parts of this instruction set's table, one a kernel file.
#pragma once

#include "backend/cpu/kernels/kernels.h"

namespace snug::cpu::SNUG_ISA {

ByStorage<ActivationKernels> activation_kernels();
ByStorage<ChannelKernels> channel_kernels();
ByStorage<PoolKernels> pool_kernels();
ByStorage<WeightGradientKernels> weight_gradient_kernels();
ByStorage<DepthwiseGradientKernels> depthwise_gradient_kernels();
WinogradKernels winograd_kernels();
DenseKernels dense_kernels();
ByStorage<ElementwiseKernels> elementwise_kernels();
CastKernels cast_kernels();
SoftmaxKernels softmax_kernels();
UpdateKernels update_kernels();
Kernels kernels();

}  // namespace snug::cpu::SNUG_ISA
