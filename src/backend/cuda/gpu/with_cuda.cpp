// GPUs through the CUDA runtime, kernels as nvcc made them, and cuDNN. The one file that includes CUDA's headers
// besides the kernels.
#include "backend/cuda/gpu/gpu.h"

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <cstdlib>
#include <string>

#include "backend/cuda/cuda_device.h"
#include "backend/cuda/cudnn_products.h"
#include "backend/cuda/steps/cuda_backend.h"
#include "snug/diagnostic.h"

namespace snug {

namespace {

static_assert(int{cuda::kErrorMemoryAllocation} == int{cudaErrorMemoryAllocation});
static_assert(int{cuda::kErrorStubLibrary} == int{cudaErrorStubLibrary});
static_assert(int{cuda::kErrorInsufficientDriver} == int{cudaErrorInsufficientDriver});
static_assert(int{cuda::kErrorDevicesUnavailable} == int{cudaErrorDevicesUnavailable});
static_assert(int{cuda::kErrorNoDevice} == int{cudaErrorNoDevice});
static_assert(int{cuda::kErrorNoKernelImage} == int{cudaErrorNoKernelImageForDevice});
static_assert(int{cuda::kErrorSystemDriverMismatch} == int{cudaErrorSystemDriverMismatch});

cudaStream_t stream_of(void* stream) { return static_cast<cudaStream_t>(stream); }
cudaEvent_t event_of(void* event) { return static_cast<cudaEvent_t>(event); }
cudaGraph_t graph_of(void* graph) { return static_cast<cudaGraph_t>(graph); }
cudaGraphExec_t executable_of(void* executable) { return static_cast<cudaGraphExec_t>(executable); }

int attribute(int device, cudaDeviceAttr what, std::int64_t& value) {
  int number = 0;
  const int status = cudaDeviceGetAttribute(&number, what, device);
  value = number;
  return status;
}

int describe(int device, DeviceSheet* sheet) {
  cudaDeviceProp properties{};
  if (const int status = cudaGetDeviceProperties(&properties, device); status != cudaSuccess) return status;
  sheet->name = properties.name;
  sheet->capability = 10 * properties.major + properties.minor;
  sheet->multiprocessors = properties.multiProcessorCount;
  sheet->l2_bytes = properties.l2CacheSize;
  sheet->total_bytes = static_cast<std::int64_t>(properties.totalGlobalMem);
  if (const int status = attribute(device, cudaDevAttrClockRate, sheet->clock_khz); status != cudaSuccess)
    return status;
  return attribute(device, cudaDevAttrMemoryClockRate, sheet->memory_clock_khz);
}

const cuda::Api kApi{
    .error_name = [](int status) { return cudaGetErrorName(static_cast<cudaError_t>(status)); },
    .error_text = [](int status) { return cudaGetErrorString(static_cast<cudaError_t>(status)); },
    .take_last_error = []() -> int { return cudaGetLastError(); },
    .driver_version = [](int* version) -> int { return cudaDriverGetVersion(version); },
    .runtime_version = [](int* version) -> int { return cudaRuntimeGetVersion(version); },
    .device_count = [](int* count) -> int { return cudaGetDeviceCount(count); },
    .set_device = [](int device) -> int { return cudaSetDevice(device); },
    .describe = describe,
    .memory_info = [](std::size_t* free_bytes, std::size_t* total_bytes) -> int {
      return cudaMemGetInfo(free_bytes, total_bytes);
    },
    .allocate = [](void** memory, std::size_t bytes) -> int { return cudaMalloc(memory, bytes); },
    .release = [](void* memory) -> int { return cudaFree(memory); },
    .allocate_host = [](void** memory, std::size_t bytes) -> int { return cudaMallocHost(memory, bytes); },
    .release_host = [](void* memory) -> int { return cudaFreeHost(memory); },
    .copy_to_device = [](void* to, const void* from, std::size_t bytes, void* stream) -> int {
      return cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_of(stream));
    },
    .copy_to_host = [](void* to, const void* from, std::size_t bytes, void* stream) -> int {
      return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_of(stream));
    },
    .copy_within = [](void* to, const void* from, std::size_t bytes, void* stream) -> int {
      return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream_of(stream));
    },
    .fill = [](void* to, int value, std::size_t bytes, void* stream) -> int {
      return cudaMemsetAsync(to, value, bytes, stream_of(stream));
    },
    .create_stream = [](void** stream) -> int {
      return cudaStreamCreateWithFlags(reinterpret_cast<cudaStream_t*>(stream), cudaStreamNonBlocking);
    },
    .destroy_stream = [](void* stream) -> int { return cudaStreamDestroy(stream_of(stream)); },
    .wait_stream = [](void* stream) -> int { return cudaStreamSynchronize(stream_of(stream)); },
    .stream_waits = [](void* stream, void* event) -> int {
      return cudaStreamWaitEvent(stream_of(stream), event_of(event), 0);
    },
    .create_event = [](void** event) -> int {
      return cudaEventCreateWithFlags(reinterpret_cast<cudaEvent_t*>(event), cudaEventDisableTiming);
    },
    .destroy_event = [](void* event) -> int { return cudaEventDestroy(event_of(event)); },
    .record_event = [](void* event, void* stream) -> int {
      return cudaEventRecord(event_of(event), stream_of(stream));
    },
    .wait_event = [](void* event) -> int { return cudaEventSynchronize(event_of(event)); },
    .create_stamp = [](void** event) -> int { return cudaEventCreate(reinterpret_cast<cudaEvent_t*>(event)); },
    .elapsed = [](float* milliseconds, void* first, void* later) -> int {
      return cudaEventElapsedTime(milliseconds, event_of(first), event_of(later));
    },
    .begin_capture = [](void* stream) -> int {
      return cudaStreamBeginCapture(stream_of(stream), cudaStreamCaptureModeThreadLocal);
    },
    .end_capture = [](void* stream, void** graph) -> int {
      return cudaStreamEndCapture(stream_of(stream), reinterpret_cast<cudaGraph_t*>(graph));
    },
    .instantiate = [](void** executable, void* graph) -> int {
      return cudaGraphInstantiate(reinterpret_cast<cudaGraphExec_t*>(executable), graph_of(graph), 0);
    },
    .destroy_graph = [](void* graph) -> int { return cudaGraphDestroy(graph_of(graph)); },
    .destroy_executable = [](void* executable) -> int { return cudaGraphExecDestroy(executable_of(executable)); },
    .launch_graph = [](void* executable, void* stream) -> int {
      return cudaGraphLaunch(executable_of(executable), stream_of(stream));
    },
};

const cudnn::Library& require_cudnn() {
  if (const cudnn::Library* library = cudnn::Library::open()) return *library;
  throw Error({.code = "G907",
               .where = "cuDNN",
               .what = "cuDNN 9 is not found; it computes the convolutions on a GPU",
               .fix = "pip install nvidia-cudnn-cu13   # or SNUG_CUDNN=FOLDER with libcudnn_graph.so.9"});
}

}  // namespace

bool has_cuda() { return true; }

OpenGpu open_gpu(int number) {
  ::setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID", 0);  // numbers as nvidia-smi and `snug devices` have them
  const char* checks = std::getenv("SNUG_DEVICE_CHECKS");
  const DeviceSheet sheet = cuda::describe_device(kApi, number);
  const cudnn::Library& library = require_cudnn();
  const std::shared_ptr<Device> device =
      cuda::open_device(kApi, number, {.check_every_step = checks != nullptr && std::string(checks) != "0"});
  try {
    const auto products = cudnn::make_products(library, sheet, [device] { return device->memory(); });
    return {.device = device,
            .sheet = sheet,
            .make_backend = [products](std::shared_ptr<EngineSource> source, const CudaPlannerOptions& options) {
              return make_cuda_backend(std::move(source), products, options);
            }};
  } catch (const DeviceFailure& failure) {
    throw Error({.code = failure.of_memory ? "M304" : "G907",
                 .where = fmt::format("--device cuda:{}", number),
                 .what = fmt::format("cuDNN {} does not start on {}: {}", library.version(), sheet.name, failure.what())
                             .substr(0, 160),
                 .fix = failure.of_memory ? "snug devices   # who holds the memory of the device"
                                          : "snug version   # which libraries are taken; one cuDNN at a time"});
  }
}

}  // namespace snug
