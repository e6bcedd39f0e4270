// GPUs of this machine, to run on. Builds without CUDA have none.
#pragma once

#include <functional>
#include <memory>

#include "backend/backend.h"
#include "backend/cuda/cuda_planner.h"
#include "backend/cuda/device_sheet.h"
#include "backend/cuda/engine_source.h"
#include "backend/device.h"

namespace snug {

/// A GPU that is open: its memory and queues, what it is, and the backend for it.
struct OpenGpu {
  std::shared_ptr<Device> device;
  DeviceSheet sheet;
  std::function<std::unique_ptr<Backend>(std::shared_ptr<EngineSource>, const CudaPlannerOptions&)> make_backend;
};

/// Whether this build has CUDA.
[[nodiscard]] bool has_cuda();

/// cuda:`number`. Throws Error G…: this build has no CUDA, or there is no such GPU, driver or cuDNN.
[[nodiscard]] OpenGpu open_gpu(int number);

}  // namespace snug
