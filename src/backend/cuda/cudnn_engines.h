// Which engines cuDNN would take for a convolution on a GPU, here or not, and what scratch they need.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/cuda/convolution.h"
#include "backend/cuda/cudnn_library.h"
#include "backend/cuda/cudnn_problem.h"
#include "backend/cuda/device_sheet.h"

namespace snug::cudnn {

/// Scratch that one of the cluster engines of sm_90 and later may ask for once it sees the device: they split sums by
/// how many blocks fit at once, which nothing but the device tells, and keep one partial tile for each multiprocessor.
[[nodiscard]] std::int64_t cluster_workspace_bytes(const DeviceSheet& sheet);

/// Asks cuDNN by a device's property sheet alone.
class EngineQuery {
 public:
  /// Throws Error G… when cuDNN does not take the sheet.
  EngineQuery(const Library& library, const DeviceSheet& sheet);

  /// Best first, without what could never be chosen: each needs less scratch than those before it. Empty when there is
  /// no engine that computes what is asked (strict fp32, repeatable sums) on this device.
  [[nodiscard]] std::vector<Engine> engines(const Convolution& convolution) const;

 private:
  const Library& library_;
  DeviceSheet sheet_;
  Object properties_;
};

/// An engine with what it is made of.
struct RankedEngine {
  Engine engine;
  Object configuration;
};
/// All that compute what is asked, best first. Their scratch is what is known before a plan is made, on the safe side.
[[nodiscard]] std::vector<RankedEngine> rank_engines(const Problem& problem, const DeviceSheet& sheet,
                                                     HeuristicMode mode);

}  // namespace snug::cudnn
