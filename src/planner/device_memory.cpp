#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>

#include "base/text.h"
#include "planner/planner.h"

namespace snug {
namespace {

// Upper bounds of what was measured (docs/decisions.md): program and libraries with their tables, heap and stacks; what
// a thread adds; code and descriptors of one oneDNN kernel with its steps.
constexpr std::int64_t kProcessBytes = 46 << 20;
constexpr std::int64_t kThreadBytes = 128 << 10;
constexpr std::int64_t kKernelBytes = 80 << 10;

constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max();

/// A limit and how much of it is used.
struct Bound {
  std::int64_t total = kUnlimited;
  std::int64_t used = 0;
};

/// The first word of a file as a number; "max" and absent files have none.
std::optional<std::int64_t> read_number(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  if (!(file >> word)) return std::nullopt;
  return parse_integer(word);
}

/// A line "Name:  123 kB" of a file in /proc, in bytes.
std::int64_t read_kib(const std::string& path, std::string_view name) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    if (!line.starts_with(name)) continue;
    std::istringstream fields(line.substr(name.size()));
    std::int64_t kib = 0;
    fields >> kib;
    return kib * 1024;
  }
  return 0;
}

/// Bytes of page cache in a memory.stat that the kernel gives up when asked.
std::int64_t reclaimable(const std::string& path) {
  std::ifstream file(path);
  std::string key;
  std::int64_t value = 0;
  std::int64_t total = -1;
  std::int64_t own = 0;
  while (file >> key >> value) {
    if (key == "total_inactive_file") total = value;
    if (key == "inactive_file") own = value;
  }
  return total >= 0 ? total : own;
}

/// The control groups above this process, innermost first: their limits all hold.
std::vector<Bound> group_bounds() {
  struct Hierarchy {
    std::string root, limit, usage;
  };
  std::vector<Bound> bounds;
  std::ifstream groups("/proc/self/cgroup");
  std::string line;
  while (std::getline(groups, line)) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    Hierarchy hierarchy;
    if (controllers.empty()) {
      hierarchy = {"/sys/fs/cgroup", "memory.max", "memory.current"};
    } else if (("," + controllers + ",").find(",memory,") != std::string::npos) {
      hierarchy = {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"};
    } else {
      continue;
    }
    std::string path = line.substr(second + 1);
    // Inside a container the path may be one of the host; the root of the mount is then the container's own group.
    for (;;) {
      const std::string folder = hierarchy.root + (path == "/" ? "" : path) + "/";
      const auto limit = read_number(folder + hierarchy.limit);
      const auto usage = read_number(folder + hierarchy.usage);
      if (limit && usage)
        bounds.push_back({*limit, std::max<std::int64_t>(0, *usage - reclaimable(folder + "memory.stat"))});
      if (path.empty() || path == "/") break;
      path.resize(path.rfind('/'));
    }
  }
  return bounds;
}

}  // namespace

DeviceMemory cpu_memory() {
  const std::int64_t page = sysconf(_SC_PAGESIZE);
  DeviceMemory memory{.name = "cpu", .driver_in_use = true};
  memory.total_bytes = sysconf(_SC_PHYS_PAGES) * page;
  memory.free_bytes = std::min(memory.total_bytes, read_kib("/proc/meminfo", "MemAvailable:"));
  memory.driver_bytes = read_kib("/proc/self/status", "VmRSS:");
  const auto hold = [&](const Bound& bound) {
    if (bound.total >= memory.total_bytes && bound.total - bound.used >= memory.free_bytes) return;
    memory.total_bytes = std::min(memory.total_bytes, bound.total);
    memory.free_bytes = std::clamp<std::int64_t>(bound.total - bound.used, 0, memory.free_bytes);
  };
  for (const Bound& bound : group_bounds()) hold(bound);
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur < static_cast<rlim_t>(kUnlimited)) {
    hold({static_cast<std::int64_t>(limit.rlim_cur), read_kib("/proc/self/status", "VmSize:")});
  }
  return memory;
}

DeviceMemory steady(DeviceMemory device, std::int64_t process_bytes) {
  if (!device.driver_in_use) return device;
  // Steps of a 64th to a 128th of the device: neighbours' small changes rarely show.
  const auto step = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(device.total_bytes / 64))));
  const std::int64_t ours = (device.free_bytes + process_bytes) / step * step;
  device.driver_bytes = kProcessBytes + kThreadBytes * std::max(1L, sysconf(_SC_NPROCESSORS_ONLN));
  device.library_bytes = 0;
  device.kernel_bytes = kKernelBytes;
  device.free_bytes = std::clamp<std::int64_t>(ours - device.driver_bytes, 0, device.total_bytes);
  return device;
}

}  // namespace snug
