#include "backend/cpu/kernels/tables.h"

#define SNUG_TEXT(x) #x
#define SNUG_NAME(x) SNUG_TEXT(x)

namespace snug::cpu::SNUG_ISA {

Kernels kernels() {
  return {.instruction_set = SNUG_NAME(SNUG_ISA),
          .activation = activation_kernels(),
          .channel = channel_kernels(),
          .pool = pool_kernels(),
          .weight_gradient = weight_gradient_kernels(),
          .depthwise_gradient = depthwise_gradient_kernels(),
          .winograd = winograd_kernels(),
          .dense = dense_kernels(),
          .elementwise = elementwise_kernels(),
          .cast = cast_kernels(),
          .softmax = softmax_kernels(),
          .update = update_kernels()};
}

}  // namespace snug::cpu::SNUG_ISA
