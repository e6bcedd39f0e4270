// The part of runs.h that needs the emulator.
#include "backend/cuda/steps/cuda_backend.h"
#include "emulated/emulated_device.h"
#include "emulated/isolation.h"
#include "emulated/plain_products.h"
#include "emulated/runs.h"

namespace snug::test {

namespace {

/// One multiprocessor, so that the bound of a convolution's scratch stays small.
const DeviceSheet kSheet{.name = "emulated GPU",
                         .capability = 90,
                         .multiprocessors = 1,
                         .clock_khz = 1'000'000,
                         .memory_clock_khz = 1'000'000,
                         .l2_bytes = 1 << 20,
                         .total_bytes = std::int64_t{1} << 30};

}  // namespace

Computer emulated_computer(const std::shared_ptr<EmulatedDevice>& device, bool isolate) {
  const auto source = std::make_shared<EngineSource>(kSheet, EngineSourceOptions{.cache = {}, .use_cudnn = false});
  const auto library = make_plain_products();
  const auto planning = [=](const Config&) {
    const DeviceMemoryState memory = device->memory();
    return Planning{.memory = {.name = kSheet.name,
                               .total_bytes = memory.total_bytes,
                               .free_bytes = memory.free_bytes,
                               .driver_bytes = 1 << 20},
                    .make_backend = [=] { return make_cuda_planner(source, {}); }};
  };
  const auto make_backend = [=](const Config&) -> std::unique_ptr<Backend> {
    auto backend = make_cuda_backend(source, library, {});
    return isolate ? make_isolating_backend(std::move(backend), device) : std::move(backend);
  };
  return {.planning = planning,
          .make_backend = make_backend,
          .device = device,
          .processor = {.gpu = Gpu{.name = kSheet.name, .capability = kSheet.capability}}};
}

RunResult Runs::emulated(const NetText& net, const RunOptions& options) const {
  const auto device = options.device != nullptr
                          ? options.device
                          : std::make_shared<EmulatedDevice>(EmulatedOptions{.records = !options.isolate});
  return run(config(net, options), options, emulated_computer(device, options.isolate));
}

}  // namespace snug::test
