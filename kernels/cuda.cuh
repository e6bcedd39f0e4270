// CUDA as kernels use it. nvcc has its own headers; any other compiler gets the emulator's names, so that the same file
// runs on the CPU in tests. This is the only place that tells the two apart.
//
//   SHARED(float[16][64], name);                       a shared variable (NaN at first on the emulator)
//   dynamic_shared<float>()                            the shared memory that the launch asked for
//   launch(kernel, grid, block, shared, stream, …)     the only way to launch
#pragma once

#ifdef __CUDACC__

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

// At 16 bytes, whatever the type: packets are put there.
#define SHARED(type, name) alignas(16) __shared__ std::type_identity_t<type> name

namespace snug::kernels {

template <class T>
__device__ T* dynamic_shared() {
  extern __shared__ uint4 snug_dynamic_shared[];
  return reinterpret_cast<T*>(snug_dynamic_shared);
}

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes, cudaStream_t stream,
            const Arguments&... arguments) {
  kernel<<<grid, block, shared_bytes, stream>>>(static_cast<Parameters>(arguments)...);
}

}  // namespace snug::kernels

#else

#include "emulator/device.h"

#endif
