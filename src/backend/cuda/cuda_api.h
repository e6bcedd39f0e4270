// The functions of the CUDA runtime that a device needs, as a table: the real one is linked where CUDA is built in
// (gpu/with_cuda.cpp), tests bring their own. Statuses are the runtime's numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "backend/cuda/device_sheet.h"

namespace snug::cuda {

/// cudaError_t
enum Status : int {
  kSuccess = 0,
  kErrorMemoryAllocation = 2,
  kErrorStubLibrary = 34,
  kErrorInsufficientDriver = 35,
  kErrorDevicesUnavailable = 46,
  kErrorNoDevice = 100,
  kErrorNoKernelImage = 209,
  kErrorSystemDriverMismatch = 803,
};

struct Api {
  const char* (*error_name)(int status);
  const char* (*error_text)(int status);
  int (*take_last_error)();

  int (*driver_version)(int* version);  ///< of CUDA that the driver supports, 13000; 0: no driver
  int (*runtime_version)(int* version);
  int (*device_count)(int* count);
  int (*set_device)(int device);
  int (*describe)(int device, DeviceSheet* sheet);

  int (*memory_info)(std::size_t* free_bytes, std::size_t* total_bytes);
  int (*allocate)(void** memory, std::size_t bytes);
  int (*release)(void* memory);
  int (*allocate_host)(void** memory, std::size_t bytes);
  int (*release_host)(void* memory);
  int (*copy_to_device)(void* to, const void* from, std::size_t bytes, void* stream);
  int (*copy_to_host)(void* to, const void* from, std::size_t bytes, void* stream);
  int (*copy_within)(void* to, const void* from, std::size_t bytes, void* stream);
  int (*fill)(void* to, int value, std::size_t bytes, void* stream);

  int (*create_stream)(void** stream);
  int (*destroy_stream)(void* stream);
  int (*wait_stream)(void* stream);
  int (*stream_waits)(void* stream, void* event);
  int (*create_event)(void** event);
  int (*destroy_event)(void* event);
  int (*record_event)(void* event, void* stream);
  int (*wait_event)(void* event);
  int (*create_stamp)(void** event);  ///< an event that keeps its time; destroyed as any
  int (*elapsed)(float* milliseconds, void* first, void* later);

  int (*begin_capture)(void* stream);
  int (*end_capture)(void* stream, void** graph);
  int (*instantiate)(void** executable, void* graph);
  int (*destroy_graph)(void* graph);
  int (*destroy_executable)(void* executable);
  int (*launch_graph)(void* executable, void* stream);
};

}  // namespace snug::cuda
