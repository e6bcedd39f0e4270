// The GPUs of this machine, as the driver's management library tells them; asks no device for a context.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "report/reports.h"

namespace snug {

/// Those that programs see come first, numbered as they number them (cuda:N); behind them those that
/// CUDA_VISIBLE_DEVICES hides, by their number in the machine (hidden:N). Empty where there is no driver.
[[nodiscard]] std::vector<DeviceEntry> list_gpus();

/// Which of the machine's devices a value of CUDA_VISIBLE_DEVICES lets a program see, in the program's order: numbers
/// and (beginnings of) UUIDs, up to the first that is none. `uuids`: of the machine's devices.
[[nodiscard]] std::vector<std::size_t> visible_devices(std::string_view value, std::span<const std::string> uuids);

/// What a GPU is doing, as its driver tells; what it does not tell is absent.
struct GpuState {
  std::optional<double> joules;     ///< taken since the driver was loaded
  std::optional<double> clock_mhz;  ///< of its multiprocessors, now
  std::string driver;               ///< "580.159.03"
};
/// Of cuda:`number`.
[[nodiscard]] GpuState gpu_state(std::size_t number);

}  // namespace snug
