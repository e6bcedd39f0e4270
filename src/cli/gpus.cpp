#include "cli/gpus.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>

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

  [[nodiscard]] DeviceEntry device(unsigned int index) const {
    DeviceEntry entry{
        .id = fmt::format("cuda:{}", index), .name = {}, .total_bytes = 0, .free_bytes = 0, .processes = {}};
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
};

}  // namespace

std::vector<DeviceEntry> list_gpus() {
  const Nvml nvml;
  std::vector<DeviceEntry> devices;
  for (unsigned int index = 0; index < nvml.count(); ++index) devices.push_back(nvml.device(index));
  return devices;
}

}  // namespace snug
