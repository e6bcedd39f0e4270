// This processor's rates: measured once, kept in the user's cache folder, and from then on the same for every plan.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "planner/planner.h"

namespace snug {

struct CpuRates {
  DeviceRates fp32, bf16;   ///< bf16: zero where it cannot be computed
  double waited_share = 0;  ///< of the time of measuring, in which other processes had the cores
  int times = 1;            ///< that it was measured
  friend bool operator==(const CpuRates&, const CpuRates&) = default;
};
/// Of each rate the best of the two: what others do on a machine makes everything slower and nothing faster.
[[nodiscard]] CpuRates best_of(const CpuRates& one, const CpuRates& other);
/// Whether other processes disturbed so much that it is worth measuring again, and that was not tried often.
[[nodiscard]] bool is_disturbed(const CpuRates& rates);

/// "AMD EPYC 9454" with family, model and stepping, so that processors that call themselves alike differ.
[[nodiscard]] std::string processor_name();

/// The file of this processor with so many threads (0: all cores) and this version of the program; what the environment
/// variable SNUG_CPU_RATES names goes before it. Empty where there is no cache folder.
[[nodiscard]] std::filesystem::path cpu_rates_file(int threads);

/// What /proc/cpuinfo says under the first key that begins so: "model name", "cpu MHz"; empty where it says nothing.
[[nodiscard]] std::string processor_fact(std::string_view key);

/// What the file says; nothing where it is absent, or not whole.
[[nodiscard]] std::optional<CpuRates> load_cpu_rates(const std::filesystem::path& file);
/// False where it cannot be written. Numbers are kept to three digits.
bool save_cpu_rates(const std::filesystem::path& file, const CpuRates& rates);

}  // namespace snug
