// What plans for this GPU rest on, measured: its property sheet, and what a context, cuDNN and kernels take of its
// memory. scripts/gpu_check.sh reads the properties.
#include <string>

#include "backend/cuda/gpu/gpu.h"
#include "emulated/runs.h"
#include "gpu/gpu.h"

namespace snug::gpu_test {
namespace {

class GpuSheet : public Gpu {};

TEST_F(GpuSheet, is_told) {
  const OpenGpu gpu = open_gpu(0);
  RecordProperty("sheet", sheet_json(gpu.sheet));
  const DeviceMemoryState memory = gpu.device->memory();
  RecordProperty("total_bytes", std::to_string(memory.total_bytes));
  EXPECT_GT(memory.total_bytes, memory.free_bytes);
}

/// In this order: what the context takes with cuDNN's handle, and what it grows by while networks run.
TEST_F(GpuSheet, context_and_libraries_are_measured) {
  const Computer gpu = computer();
  const std::int64_t context = measured_bytes(gpu);
  RecordProperty("context_bytes", std::to_string(context));
  const test::Runs runs;
  for (const test::NetText& net : test::nets()) {
    const test::RunResult run = runs.with(net, gpu, {.precision = "fp32"});
    const std::int64_t libraries = run.done.measured_peak_bytes - run.done.arena_bytes - context;
    RecordProperty("library_bytes_" + std::string(net.name), std::to_string(libraries));
  }
  EXPECT_GT(context, 0);
}

}  // namespace
}  // namespace snug::gpu_test
