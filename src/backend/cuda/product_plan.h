// How the library computes a convolution or a matrix product: which engine, and how the step's scratch is divided.
// Plans for GPUs and the backend that runs on one share it, so that they cannot differ.
#pragma once

#include <cstdint>
#include <optional>

#include "backend/cuda/convolution.h"
#include "backend/cuda/cuda_planner.h"
#include "backend/cuda/engine_source.h"

namespace snug {

/// No engine of cuDNN writes fp32 from 16-bit data, and few add to what is there: such gradients of weights come out in
/// the type of the data, at the front of the scratch, and are widened or added from there. The engine's own scratch
/// lies behind them; once the engine is done, the sums of the bias' gradient do. Engines add a bias of the data's type:
/// a 16-bit one is narrowed to the front of the scratch.
struct ProductPlan {
  Convolution convolution;
  Engine engine;
  bool own = false;              ///< by a kernel of our own in place of an engine
  std::int64_t kept_bytes = 0;   ///< of gradients or of a bias on their way; 0: they are where they belong
  std::int64_t total_bytes = 0;  ///< scratch of the step
};

/// Whether kernels of our own compute this step for several: on tensor cores in bf16, from sm_80 on, where the widths
/// are multiples of 8 (kernels/conv1x1.cuh). It holds for no other step.
[[nodiscard]] bool fuses_product(const Program& program, const Step& step, const DeviceSheet& sheet);

/// The data gradient of a strided depthwise convolution is by a kernel of our own, for cuDNN's took 0.53 ms on an H100
/// where its bytes take 0.13. Else the best engine whose scratch keeps to the limit; where there is none, the one with
/// the least. `is_product` holds for the step. Throws Error A910 when the library cannot compute it.
[[nodiscard]] ProductPlan plan_product(const Program& program, const Step& step, EngineSource& source,
                                       const CudaPlannerOptions& options);

/// The plan with a better engine, where the step may take so many bytes, which are more than the limit.
[[nodiscard]] std::optional<ProductPlan> better_product(const Program& program, const Step& step, EngineSource& source,
                                                        const CudaPlannerOptions& options,
                                                        std::int64_t workspace_bytes);

/// The most scratch that `plan_product` gives the step, where that is known without asking the library.
[[nodiscard]] std::optional<std::int64_t> product_scratch_bound(const Program& program, const Step& step,
                                                                const EngineSource& source,
                                                                const CudaPlannerOptions& options);

}  // namespace snug
