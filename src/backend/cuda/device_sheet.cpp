#include "backend/cuda/device_sheet.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/ensure.h"

namespace snug {

namespace {

constexpr std::array kArchitectures{
    Architecture{75, 65'536, 0, 16, 1024},       // Turing
    Architecture{80, 166'912, 1024, 32, 2048},   // Ampere, data centre
    Architecture{86, 101'376, 1024, 16, 1536},   // Ampere
    Architecture{89, 101'376, 1024, 24, 1536},   // Ada
    Architecture{90, 232'448, 1024, 32, 2048},   // Hopper
    Architecture{100, 232'448, 1024, 32, 2048},  // Blackwell, data centre
    Architecture{120, 101'376, 1024, 24, 1536},  // Blackwell
};

}  // namespace

std::span<const Architecture> architectures() { return kArchitectures; }

const Architecture* find_architecture(int capability) {
  const auto found = std::ranges::find(kArchitectures, capability, &Architecture::capability);
  return found == kArchitectures.end() ? nullptr : &*found;
}

std::string sheet_json(const DeviceSheet& sheet) {
  const Architecture* architecture = find_architecture(sheet.capability);
  ensure(architecture != nullptr, "the compute capability is known");
  return fmt::format(
      "{{\"maxGridSize\":[2147483647,65535,65535],\"maxBlockSize\":[1024,1024,64],\"regsPerBlock\":65536,"
      "\"multiProcessorCount\":{},\"smClockRateKHz\":{},\"memClockRateKHz\":{},\"l2CacheSize\":{},\"warpSize\":32,"
      "\"maxSharedMemoryPerBlock\":49152,\"maxSharedMemoryPerBlockOptin\":{},\"reservedSharedMemoryPerBlock\":{},"
      "\"maxRegistersPerSM\":65536,\"pciDeviceId\":0,\"maxCtasPerSM\":{},\"maxThreadsPerBlock\":1024,"
      "\"maxThreadsPerSM\":{},\"isTccDriver\":0,\"supportCoopLaunch\":1,\"deviceVer\":{},\"driverVer\":13000,"
      "\"cudaDeviceId\":0,\"totalGlobalMem\":{},\"deviceName\":\"{}\"}}",
      sheet.multiprocessors, sheet.clock_khz, sheet.memory_clock_khz, sheet.l2_bytes,
      architecture->shared_per_block_optin, architecture->shared_reserved_per_block,
      architecture->blocks_per_multiprocessor, architecture->threads_per_multiprocessor, sheet.capability * 10,
      sheet.total_bytes, sheet.name);
}

}  // namespace snug
