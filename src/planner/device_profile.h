// What is known of a GPU that need not be in this machine: configs/devices/*.toml, or a user's own file of that kind.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backend/cuda/device_sheet.h"
#include "planner/planner.h"
#include "snug/config.h"

namespace snug {

/// Where a number comes from.
enum class Source : std::uint8_t {
  measured,    ///< on such a device
  data_sheet,  ///< published by its maker
  estimated,   ///< from other devices, on the safe side
};
[[nodiscard]] std::string_view to_string(Source source);

template <class Number>
struct Sourced {
  Number value = 0;
  Source source = Source::estimated;
};

struct DeviceProfile {
  std::string name;    ///< of the file: "h200"
  std::string device;  ///< as the driver calls it: "NVIDIA H200"
  std::string file;    ///< where it was read
  int capability = 0;  ///< 10 · major + minor
  // Bytes: all the memory that the CUDA runtime reports; what one process can have of it on an idle card, its context
  // included; the context; kernels of libraries.
  Sourced<std::int64_t> total_bytes, usable_bytes, context_bytes, library_bytes;
  Sourced<std::int64_t> multiprocessors, clock_khz, memory_clock_khz, l2_bytes;
  Sourced<double> bandwidth, copy;      ///< bytes a second: the data sheet's; of a copy, reads and writes counted
  std::optional<Sourced<double>> host;  ///< bytes a second, each way, of the bus to host memory
  /// FLOP a second, dense, summed in fp32; absent where the device cannot compute in it. fp32: without tensor cores.
  std::optional<Sourced<double>> fp32, tf32, fp16, bf16;
};

/// Reads a profile by name, as the driver calls the device, or by the path of a file ("…/mine.toml"); case, spaces and
/// hyphens do not matter. Throws Error C…: unknown (with the nearest name), or what is wrong in the file.
[[nodiscard]] DeviceProfile load_profile(std::string_view name);

/// Every installed profile, by name. Files that are none are left out.
[[nodiscard]] std::vector<DeviceProfile> installed_profiles();

/// A profile from TOML text; throws Error C… with everything that is wrong. `file` stands in the findings.
[[nodiscard]] DeviceProfile parse_profile(std::string_view text, const std::string& file);

/// "9.0"
[[nodiscard]] std::string capability_text(int capability);

[[nodiscard]] DeviceSheet sheet_of(const DeviceProfile& profile);

/// The memory to plan for. `free_bytes` is what is usable.
[[nodiscard]] DeviceMemory memory_of(const DeviceProfile& profile, Precision precision);

/// What steps of a plan can be expected to reach of a device, in one precision.
[[nodiscard]] DeviceRates rates_of(const DeviceProfile& profile, Precision precision);

}  // namespace snug
