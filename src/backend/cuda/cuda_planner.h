// Plans for a GPU that need not be there: what every step would be run with and the scratch it would take.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "backend/backend.h"
#include "backend/cuda/engine_source.h"

namespace snug {

struct CudaPlannerOptions {
  std::optional<std::int64_t> workspace_limit_bytes;  ///< of a step; without, `default_workspace_limit`
  bool tf32 = false;                                  ///< fp32 products may be computed in tf32
};

/// What a convolution may take when nobody says: enough for the fast engines of the shapes that matter (those of the
/// first layer copy the batch with padded channels), and never a large share of a small card.
[[nodiscard]] std::int64_t default_workspace_limit(std::int64_t device_bytes);

/// A backend whose steps are prepared and never run. A convolution takes the best engine whose scratch is within the
/// limit; where none is, the one with the least, which a plan then shows to be too much. Backends made from one source
/// share its answers.
///
/// Gradients of weights are summed in fp32, and no engine of cuDNN writes fp32 from 16-bit data: they come out in the
/// type of the data, into scratch, and are widened (or added, over micro-batches) from there.
[[nodiscard]] std::unique_ptr<Backend> make_cuda_planner(std::shared_ptr<EngineSource> source,
                                                         const CudaPlannerOptions& options);

}  // namespace snug
