// The parts of this instruction set's table, one a kernel file.
#pragma once

#include "backend/cpu/kernels/kernels.h"

namespace snug::cpu::SNUG_ISA {

ActivationKernels activation_kernels();
ByStorage<ChannelKernels> channel_kernels();
PoolKernels pool_kernels();
ElementwiseKernels elementwise_kernels();
SoftmaxKernels softmax_kernels();
UpdateKernels update_kernels();
Kernels kernels();

}  // namespace snug::cpu::SNUG_ISA
