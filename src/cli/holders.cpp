#include "cli/holders.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <system_error>

#include "base/text.h"
#include "cli/gpus.h"

namespace snug {

namespace {

/// Name and own pages of a process; 0 bytes when it is gone or may not be seen.
PlanProcess read_process(std::int64_t pid) {
  PlanProcess process{.pid = pid};
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    std::istringstream fields(line.substr(std::min(line.size(), line.find(':') + 1)));
    if (line.starts_with("Name:")) fields >> std::ws, std::getline(fields, process.name);
    std::int64_t kib = 0;
    if ((line.starts_with("RssAnon:") || line.starts_with("RssShmem:")) && fields >> kib) process.bytes += kib * 1024;
  }
  return process;
}

std::vector<PlanProcess> other_processes() {
  const std::int64_t least = sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) / 100;
  std::vector<PlanProcess> found;
  std::error_code ended;
  for (std::filesystem::directory_iterator folder("/proc", ended), end; !ended && folder != end;
       folder.increment(ended)) {
    const auto pid = parse_integer(folder->path().filename().string());
    if (!pid || *pid == ::getpid()) continue;
    PlanProcess process = read_process(*pid);
    if (process.bytes >= least) found.push_back(std::move(process));
  }
  return found;
}

std::vector<PlanProcess> gpu_processes(std::string_view device) {
  std::vector<PlanProcess> found;
  for (const DeviceEntry& gpu : list_gpus()) {
    if (gpu.id != device) continue;
    for (const DeviceProcess& process : gpu.processes) {
      if (process.pid != ::getpid()) found.push_back({process.pid, process.name, process.bytes});
    }
  }
  return found;
}

}  // namespace

std::vector<PlanProcess> memory_holders(std::string_view device) {
  std::vector<PlanProcess> found = device == "cpu" ? other_processes() : gpu_processes(device);
  std::ranges::stable_sort(found, std::greater{}, &PlanProcess::bytes);
  return found;
}

}  // namespace snug
