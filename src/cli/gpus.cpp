#include "cli/gpus.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <utility>

#include "base/text.h"

namespace snug {

namespace {

// The few declarations of NVML that are needed; the library is looked for at run time, so that nothing of NVIDIA's has
// to be there when the program is built. Layouts as in nvml.h of CUDA 12 and 13.
using Handle = void*;
struct Memory {
  unsigned long long total, free, used;
};
struct Process {
  unsigned int pid;
  unsigned long long used_bytes;
  unsigned int gpu_instance, compute_instance;
};
constexpr int kSuccess = 0;
constexpr int kMultiprocessorClock = 1;  // NVML_CLOCK_SM
constexpr std::size_t kMostProcesses = 256;
constexpr unsigned long long kNotAvailable = ~0ULL;  // bytes of a process that may not be seen

struct CloseLibrary {
  void operator()(void* library) const { ::dlclose(library); }
};

/// Null where the symbol is missing.
template <class Function>
Function* symbol(void* library, const char* name) {
  return reinterpret_cast<Function*>(::dlsym(library, name));
}

/// NVML's functions, opened and initialised.
class Nvml {
 public:
  Nvml() : library_(::dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL)) {
    if (library_ == nullptr) return;
    void* library = library_.get();
    const auto init = symbol<int()>(library, "nvmlInit_v2");
    shutdown_ = symbol<int()>(library, "nvmlShutdown");
    count_ = symbol<int(unsigned int*)>(library, "nvmlDeviceGetCount_v2");
    handle_ = symbol<int(unsigned int, Handle*)>(library, "nvmlDeviceGetHandleByIndex_v2");
    name_ = symbol<int(Handle, char*, unsigned int)>(library, "nvmlDeviceGetName");
    memory_ = symbol<int(Handle, Memory*)>(library, "nvmlDeviceGetMemoryInfo");
    processes_ = symbol<int(Handle, unsigned int*, Process*)>(library, "nvmlDeviceGetComputeRunningProcesses_v3");
    process_name_ = symbol<int(unsigned int, char*, unsigned int)>(library, "nvmlSystemGetProcessName");
    uuid_ = symbol<int(Handle, char*, unsigned int)>(library, "nvmlDeviceGetUUID");
    energy_ = symbol<int(Handle, unsigned long long*)>(library, "nvmlDeviceGetTotalEnergyConsumption");
    clock_ = symbol<int(Handle, int, unsigned int*)>(library, "nvmlDeviceGetClockInfo");
    driver_ = symbol<int(char*, unsigned int)>(library, "nvmlSystemGetDriverVersion");
    const bool complete = init != nullptr && shutdown_ != nullptr && count_ != nullptr && handle_ != nullptr &&
                          name_ != nullptr && memory_ != nullptr;
    ready_ = complete && init() == kSuccess;
  }
  ~Nvml() {
    if (ready_) shutdown_();
  }
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  [[nodiscard]] unsigned int count() const {
    unsigned int devices = 0;
    return ready_ && count_(&devices) == kSuccess ? devices : 0;
  }

  [[nodiscard]] std::string uuid(unsigned int index) const {
    Handle handle = nullptr;
    std::array<char, 96> text{};
    if (uuid_ == nullptr || handle_(index, &handle) != kSuccess || uuid_(handle, text.data(), text.size()) != kSuccess)
      return {};
    return text.data();
  }

  [[nodiscard]] GpuState state(unsigned int index) const {
    GpuState state;
    std::array<char, 96> text{};
    if (driver_ != nullptr && driver_(text.data(), text.size()) == kSuccess) state.driver = text.data();
    Handle handle = nullptr;
    if (handle_(index, &handle) != kSuccess) return state;
    unsigned long long millijoules = 0;
    if (energy_ != nullptr && energy_(handle, &millijoules) == kSuccess)
      state.joules = static_cast<double>(millijoules) * 1e-3;
    unsigned int megahertz = 0;
    if (clock_ != nullptr && clock_(handle, kMultiprocessorClock, &megahertz) == kSuccess) state.clock_mhz = megahertz;
    return state;
  }

  [[nodiscard]] DeviceEntry device(unsigned int index, std::string id) const {
    DeviceEntry entry{.id = std::move(id), .name = {}, .total_bytes = 0, .free_bytes = 0, .processes = {}};
    Handle handle = nullptr;
    if (handle_(index, &handle) != kSuccess) return entry;
    std::array<char, 128> name{};
    if (name_(handle, name.data(), name.size()) == kSuccess) entry.name = name.data();
    Memory memory{};
    if (memory_(handle, &memory) == kSuccess) {
      entry.total_bytes = static_cast<std::int64_t>(memory.total);
      entry.free_bytes = static_cast<std::int64_t>(memory.free);
    }
    add_processes(handle, entry);
    return entry;
  }

 private:
  void add_processes(Handle handle, DeviceEntry& entry) const {
    std::array<Process, kMostProcesses> processes{};
    unsigned int found = kMostProcesses;
    if (processes_ == nullptr || processes_(handle, &found, processes.data()) != kSuccess) return;
    for (unsigned int i = 0; i < found; ++i) {
      const Process& process = processes[i];
      std::array<char, 256> name{};
      if (process_name_ != nullptr) process_name_(process.pid, name.data(), name.size());
      const bool known = process.used_bytes != kNotAvailable;
      entry.processes.push_back({.pid = process.pid,
                                 .name = name.data(),
                                 .bytes = known ? static_cast<std::int64_t>(process.used_bytes) : 0});
    }
  }

  std::unique_ptr<void, CloseLibrary> library_;
  bool ready_ = false;
  int (*shutdown_)() = nullptr;
  int (*count_)(unsigned int*) = nullptr;
  int (*handle_)(unsigned int, Handle*) = nullptr;
  int (*name_)(Handle, char*, unsigned int) = nullptr;
  int (*memory_)(Handle, Memory*) = nullptr;
  int (*processes_)(Handle, unsigned int*, Process*) = nullptr;
  int (*process_name_)(unsigned int, char*, unsigned int) = nullptr;
  int (*uuid_)(Handle, char*, unsigned int) = nullptr;
  int (*energy_)(Handle, unsigned long long*) = nullptr;
  int (*clock_)(Handle, int, unsigned int*) = nullptr;
  int (*driver_)(char*, unsigned int) = nullptr;
};

const Nvml& management() {
  static const Nvml the_library;
  return the_library;
}

/// NVML knows the machine's devices; a program sees those that the environment lets it see.
std::vector<std::size_t> visible_here(const Nvml& nvml) {
  std::vector<std::string> uuids;
  for (unsigned int index = 0; index < nvml.count(); ++index) uuids.push_back(nvml.uuid(index));
  const char* const value = std::getenv("CUDA_VISIBLE_DEVICES");
  if (value != nullptr) return visible_devices(value, uuids);
  std::vector<std::size_t> all(uuids.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  return all;
}

}  // namespace

std::vector<std::size_t> visible_devices(std::string_view value, std::span<const std::string> uuids) {
  std::vector<std::size_t> seen;
  while (!value.empty()) {
    const std::size_t comma = std::min(value.find(','), value.size());
    std::string_view word = value.substr(0, comma);
    while (word.starts_with(' ')) word.remove_prefix(1);
    while (word.ends_with(' ')) word.remove_suffix(1);
    value.remove_prefix(std::min(comma + 1, value.size()));
    const auto named = [&](const std::string& uuid) { return word.starts_with("GPU-") && uuid.starts_with(word); };
    const auto number = parse_integer(word);
    std::size_t device = uuids.size();
    if (number && *number >= 0 && std::cmp_less(*number, uuids.size())) device = static_cast<std::size_t>(*number);
    if (std::ranges::count_if(uuids, named) == 1)
      device = static_cast<std::size_t>(std::ranges::find_if(uuids, named) - uuids.begin());
    if (device == uuids.size()) break;
    if (std::ranges::find(seen, device) != seen.end()) return {};  // named twice: the runtime then shows none
    seen.push_back(device);
  }
  return seen;
}

std::vector<DeviceEntry> list_gpus() {
  const Nvml& nvml = management();
  const std::vector<std::size_t> seen = visible_here(nvml);
  std::vector<DeviceEntry> devices;
  for (std::size_t i = 0; i < seen.size(); ++i)
    devices.push_back(nvml.device(static_cast<unsigned int>(seen[i]), fmt::format("cuda:{}", i)));
  for (unsigned int index = 0; index < nvml.count(); ++index) {
    if (std::ranges::find(seen, std::size_t{index}) == seen.end())
      devices.push_back(nvml.device(index, fmt::format("hidden:{}", index)));
  }
  return devices;
}

GpuState gpu_state(std::size_t number) {
  const Nvml& nvml = management();
  const std::vector<std::size_t> seen = visible_here(nvml);
  return number < seen.size() ? nvml.state(static_cast<unsigned int>(seen[number])) : GpuState{};
}

}  // namespace snug
