// Convolutions and products by cuDNN, on the device of this process. No GPU has run it yet.
#pragma once

#include <functional>
#include <memory>

#include "backend/cuda/cudnn_library.h"
#include "backend/cuda/cudnn_problem.h"
#include "backend/cuda/device_sheet.h"
#include "backend/cuda/product_library.h"
#include "backend/device.h"

namespace snug::cudnn {

/// An engine with its settings, finalised for a device; its need of scratch is then known exactly.
class ExecutionPlan {
 public:
  ExecutionPlan(const Problem& problem, const Object& configuration);
  /// Whether the device can run it.
  [[nodiscard]] bool ready() const { return ready_; }
  [[nodiscard]] std::int64_t workspace_bytes() const { return workspace_bytes_; }
  [[nodiscard]] void* handle() const { return object_.handle(); }

 private:
  Object object_;
  bool ready_ = false;
  std::int64_t workspace_bytes_ = 0;
};

/// On the current device of this thread. `memory` tells its memory: calls that fail where hardly any is left are told
/// as out of memory, whatever they say. Throws DeviceFailure when cuDNN does not start.
[[nodiscard]] std::shared_ptr<ProductLibrary> make_products(const Library& library, const DeviceSheet& sheet,
                                                            std::function<DeviceMemoryState()> memory);

}  // namespace snug::cudnn
