#include "cli/conditions.h"

#include <sys/utsname.h>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/text.h"
#include "cli/gpus.h"
#include "cli/plan_files.h"
#include "cli/target.h"
#include "planner/cpu_rates.h"
#include "snug_commit.h"

namespace snug {

namespace {

std::string system_text() {
  utsname name{};
  if (::uname(&name) != 0) return "unknown";
  return fmt::format("{} {} {}", name.sysname, name.release, name.machine);
}

}  // namespace

Conditions conditions_here(std::string_view command, const Arguments& arguments, int threads) {
  const VersionReport version = version_report();
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  std::array<double, 1> load{};
  if (::getloadavg(load.data(), 1) != 1) load[0] = 0;
  const std::string name = processor_fact("model name");
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  Conditions conditions{.device = "cpu",
                        .processor = name.empty() ? "processor" : name,
                        .cores = cores,
                        .threads = threads > 0 ? threads : cores,
                        .clock_mhz = parse_number(processor_fact("cpu MHz")).value_or(0),
                        .load = load[0],
                        .system = system_text(),
                        .version = version.version,
                        .commit = kCommit,
                        .compiler = version.compiler,
                        .date = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now)),
                        .command = command_line(command, arguments),
                        .libraries = version.libraries};
  if (const auto gpu = gpu_number_of(arguments)) {
    const GpuState state = gpu_state(*gpu);
    conditions.device = gpu_name(*gpu);
    conditions.gpu_clock_mhz = state.clock_mhz.value_or(0);
    if (!state.driver.empty()) conditions.libraries.push_back({"NVIDIA driver", state.driver});
  }
  return conditions;
}

std::optional<double> energy_joules(std::optional<std::size_t> gpu) {
  if (gpu) return gpu_state(*gpu).joules;
  double sum = 0;
  bool any = false;
  for (int package = 0; package < 16; ++package) {
    std::ifstream file(fmt::format("/sys/class/powercap/intel-rapl:{}/energy_uj", package));
    double microjoules = 0;
    if (!(file >> microjoules)) break;
    sum += microjoules * 1e-6;
    any = true;
  }
  return any ? std::optional(sum) : std::nullopt;
}

}  // namespace snug
