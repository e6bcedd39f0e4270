// The backend that runs on a GPU: kernels of kernels/, and a library for convolutions and products. It needs no CUDA to
// be built; what it is linked with decides where it runs (tests link the kernels on the emulator).
#pragma once

#include <memory>

#include "backend/backend.h"
#include "backend/cuda/cuda_planner.h"
#include "backend/cuda/engine_source.h"
#include "backend/cuda/product_library.h"

namespace snug {

/// Steps take the scratch that `make_cuda_planner` with the same source and options plans for them. Prepared steps are
/// enqueued on the stream of their arguments and hold the library.
[[nodiscard]] std::unique_ptr<Backend> make_cuda_backend(std::shared_ptr<EngineSource> source,
                                                         std::shared_ptr<ProductLibrary> library,
                                                         const CudaPlannerOptions& options);

/// The same with every convolution and product by kernels of our own: depthwise, 1×1 on tensor cores, and one for any
/// shape that is not meant to be fast.
[[nodiscard]] std::unique_ptr<Backend> make_kernel_backend();

}  // namespace snug
