// A GPU through the CUDA runtime. No GPU has run it yet: what tests hold it to is a runtime of their own.
#pragma once

#include <memory>

#include "backend/cuda/cuda_api.h"
#include "backend/device.h"

namespace snug::cuda {

struct CudaDeviceOptions {
  /// Waits for every step and records nothing, so that a kernel's fault is told with its step.
  bool check_every_step = false;
};

/// Opens cuda:`number` for this thread. Throws Error G…: no driver or one that is too old, no such GPU, a GPU that is
/// too old, one that is not to be had.
[[nodiscard]] std::shared_ptr<Device> open_device(const Api& api, int number, const CudaDeviceOptions& options = {});
/// What cuDNN is told of it. Throws the same.
[[nodiscard]] DeviceSheet describe_device(const Api& api, int number);

}  // namespace snug::cuda
