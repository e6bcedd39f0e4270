// This processor's rates: measured once, kept in the user's cache folder, and from then on the same for every plan.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "planner/planner.h"

namespace snug {

struct CpuRates {
  DeviceRates fp32, bf16;  ///< bf16: zero where it cannot be computed
};

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
