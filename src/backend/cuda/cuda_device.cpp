#include "backend/cuda/cuda_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>
#include <utility>

#include "base/ensure.h"
#include "program/program.h"
#include "snug/diagnostic.h"

namespace snug::cuda {

namespace {

constexpr int kQueues = 4;  // of a program

DeviceFailure failure_of(const Api& api, int status, std::string_view call) {
  const bool memory = status == kErrorMemoryAllocation;
  const std::string_view remark = status == kErrorNoKernelImage ? ": this build has no kernels for this GPU" : "";
  return DeviceFailure(fmt::format("{}: {} ({}){}", call, api.error_text(status), api.error_name(status), remark),
                       memory);
}

/// An event or a stream, owned.
class Handle {
 public:
  Handle(int (*create)(void**), int (*destroy)(void*), const Api& api, std::string_view what) : destroy_(destroy) {
    if (const int status = create(&handle_); status != kSuccess) throw failure_of(api, status, what);
  }
  Handle(Handle&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)), destroy_(other.destroy_) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  Handle& operator=(Handle&&) = delete;
  ~Handle() {
    if (handle_ != nullptr) destroy_(handle_);
  }
  [[nodiscard]] void* get() const { return handle_; }

 private:
  void* handle_ = nullptr;
  int (*destroy_)(void*);
};

class CudaGraph final : public DeviceGraph {
 public:
  CudaGraph(const Api& api, void* executable, void* stream) : api_(api), executable_(executable), stream_(stream) {}
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;
  ~CudaGraph() override { api_.destroy_executable(executable_); }
  void launch() override {
    if (const int status = api_.launch_graph(executable_, stream_); status != kSuccess)
      throw failure_of(api_, status, "the launch of a step's graph");
  }

 private:
  const Api& api_;
  void* executable_;
  void* stream_;
};

class CudaDevice final : public Device {
 public:
  CudaDevice(const Api& api, std::string name, const CudaDeviceOptions& options)
      : api_(api), name_(std::move(name)), options_(options) {
    for (int queue = 0; queue < kQueues + 1; ++queue)  // the last is for copies ahead
      streams_.emplace_back(api.create_stream, api.destroy_stream, api, "cudaStreamCreate");
    for (int mark = 0; mark < kMarks + 1; ++mark)
      events_.emplace_back(api.create_event, api.destroy_event, api, "cudaEventCreate");
  }

  [[nodiscard]] std::string_view name() const override { return name_; }

  [[nodiscard]] std::byte* allocate(std::int64_t bytes) override {
    void* memory = nullptr;
    check(api_.allocate(&memory, static_cast<std::size_t>(bytes)), "cudaMalloc");
    fill(static_cast<std::byte*>(memory), 0, bytes);
    wait();
    return static_cast<std::byte*>(memory);
  }
  void release(std::byte* memory) noexcept override { api_.release(memory); }
  [[nodiscard]] std::byte* allocate_host(std::int64_t bytes) override {
    void* memory = nullptr;
    check(api_.allocate_host(&memory, static_cast<std::size_t>(bytes)), "cudaMallocHost");
    return static_cast<std::byte*>(memory);
  }
  void release_host(std::byte* memory) noexcept override { api_.release_host(memory); }

  [[nodiscard]] DeviceMemoryState memory() const override {
    std::size_t free_bytes = 0, total_bytes = 0;
    check(api_.memory_info(&free_bytes, &total_bytes), "cudaMemGetInfo");
    return {static_cast<std::int64_t>(free_bytes), static_cast<std::int64_t>(total_bytes)};
  }

  void copy_to_device(std::byte* to, const std::byte* from, std::int64_t bytes) override {
    check(api_.copy_to_device(to, from, static_cast<std::size_t>(bytes), main()), "a copy to the device");
  }
  void copy_to_host(std::byte* to, const std::byte* from, std::int64_t bytes) override {
    check(api_.copy_to_host(to, from, static_cast<std::size_t>(bytes), main()), "a copy from the device");
  }
  void copy_within(std::byte* to, const std::byte* from, std::int64_t bytes) override {
    check(api_.copy_within(to, from, static_cast<std::size_t>(bytes), main()), "a copy on the device");
  }
  void copy_ahead(std::byte* to, const std::byte* from, std::int64_t bytes) override {
    check(api_.copy_to_device(to, from, static_cast<std::size_t>(bytes), ahead()), "a copy to the device");
  }
  void take_ahead() override { follow(main(), ahead()); }
  void release_ahead() override { follow(ahead(), main()); }
  void fill(std::byte* to, std::uint8_t value, std::int64_t bytes) override {
    check(api_.fill(to, value, static_cast<std::size_t>(bytes), main()), "cudaMemset");
  }

  void set_mark(int mark) override { check(api_.record_event(event(mark), main()), "cudaEventRecord"); }
  void wait_for(int mark) override { check(api_.wait_event(event(mark)), "cudaEventSynchronize"); }
  void stamp(std::size_t index) override {
    while (stamps_.size() <= index)
      stamps_.emplace_back(api_.create_stamp, api_.destroy_event, api_, "cudaEventCreate");
    check(api_.record_event(stamps_[index].get(), main()), "cudaEventRecord");
  }
  [[nodiscard]] double seconds_between(std::size_t first, std::size_t later) override {
    float milliseconds = 0;
    check(api_.elapsed(&milliseconds, stamps_.at(first).get(), stamps_.at(later).get()), "cudaEventElapsedTime");
    return 1e-3 * static_cast<double>(milliseconds);
  }
  void wait() override {
    join();
    check(api_.wait_stream(main()), "cudaStreamSynchronize");
  }

  [[nodiscard]] void* stream(std::uint8_t queue) override {
    ensure(queue < kQueues, "a program has a few queues");
    return streams_[queue].get();
  }
  void fork(std::uint8_t queue) override {
    forked_[queue] = true;
    follow(stream(queue), main());
  }
  void join() override {
    for (std::uint8_t queue = 1; queue < kQueues; ++queue) {
      if (std::exchange(forked_[queue], false)) follow(main(), stream(queue));
    }
  }

  [[nodiscard]] std::optional<DeviceFailure> take_failure() override {
    int status = api_.take_last_error();
    if (status == kSuccess && options_.check_every_step) {
      join();
      status = api_.wait_stream(main());
    }
    if (status == kSuccess) return std::nullopt;
    return failure_of(api_, status, "the launch");
  }

  [[nodiscard]] std::unique_ptr<DeviceGraph> record(const std::function<void()>& enqueue) override {
    if (options_.check_every_step) return nullptr;
    check(api_.begin_capture(main()), "cudaStreamBeginCapture");
    void* graph = nullptr;
    try {
      enqueue();
      join();
    } catch (...) {
      if (api_.end_capture(main(), &graph) == kSuccess && graph != nullptr) api_.destroy_graph(graph);
      api_.take_last_error();
      throw;
    }
    check(api_.end_capture(main(), &graph), "cudaStreamEndCapture");
    void* executable = nullptr;
    const int status = api_.instantiate(&executable, graph);
    api_.destroy_graph(graph);
    check(status, "cudaGraphInstantiate");
    return std::make_unique<CudaGraph>(api_, executable, main());
  }

 private:
  [[nodiscard]] void* main() const { return streams_[kMainQueue].get(); }
  [[nodiscard]] void* ahead() const { return streams_[kQueues].get(); }
  [[nodiscard]] void* event(int mark) const { return events_.at(static_cast<std::size_t>(mark)).get(); }
  /// `later` goes on once `earlier` has done what it has by now.
  void follow(void* later, void* earlier) {
    check(api_.record_event(event(kMarks), earlier), "cudaEventRecord");
    check(api_.stream_waits(later, event(kMarks)), "cudaStreamWaitEvent");
  }
  /// What failed is forgotten by the runtime too, so that it is told once.
  void check(int status, std::string_view call) const {
    if (status == kSuccess) return;
    api_.take_last_error();
    throw failure_of(api_, status, call);
  }

  const Api& api_;
  std::string name_;
  CudaDeviceOptions options_;
  std::vector<Handle> streams_, events_, stamps_;
  std::array<bool, kQueues> forked_{};
};

std::string version_text(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

[[noreturn]] void refuse(const char* code, int number, const std::string& what, const char* fix) {
  throw Error(
      {.code = code, .where = fmt::format("--device cuda:{}", number), .what = what.substr(0, 160), .fix = fix});
}

constexpr const char* kPlanInstead = "--device h100-80gb   # plans for a GPU that is not here; snug devices lists them";

/// " (CUDA_VISIBLE_DEVICES is \"1\")": what hides devices, where something does.
std::string hidden_by() {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  return visible == nullptr ? "" : fmt::format(" (CUDA_VISIBLE_DEVICES is \"{}\")", std::string(visible).substr(0, 40));
}

/// The number of devices that can be opened. Throws Error when the driver is what stands in the way.
int count_devices(const Api& api, int number) {
  int count = 0, driver = 0, runtime = 0;
  const int status = api.device_count(&count);
  if (status == kSuccess) return count;
  api.take_last_error();
  if (status == kErrorNoDevice) return 0;
  api.driver_version(&driver);
  api.runtime_version(&runtime);
  if (driver == 0 || status == kErrorStubLibrary)
    refuse("G901", number, "this machine has no NVIDIA driver", "nvidia-smi   # works where one is installed");
  if (status == kErrorInsufficientDriver || status == kErrorSystemDriverMismatch)
    refuse("G902", number,
           fmt::format("the driver supports CUDA {}, this program is built for CUDA {}", version_text(driver),
                       version_text(runtime)),
           "install a newer NVIDIA driver; nvidia-smi names the one that is loaded");
  refuse("G906", number, fmt::format("the driver does not answer: {}", api.error_text(status)), "nvidia-smi");
}

void require_device(const Api& api, int number) {
  const int count = count_devices(api, number);
  if (number < count) return;
  refuse("G901", number,
         fmt::format("{} GPUs can be seen here{}; there is no cuda:{}", count == 0 ? "no" : std::to_string(count),
                     hidden_by(), number),
         count > 0 ? "--device cuda:0" : kPlanInstead);
}

}  // namespace

DeviceSheet describe_device(const Api& api, int number) {
  require_device(api, number);
  DeviceSheet sheet;
  if (const int status = api.describe(number, &sheet); status != kSuccess)
    refuse("G906", number, fmt::format("the driver does not describe it: {}", api.error_text(status)), "nvidia-smi");
  const int oldest = architectures().front().capability;
  if (sheet.capability < oldest)
    refuse("G904", number,
           fmt::format("{} has compute capability {}.{}, the kernels need {}.{}", sheet.name, sheet.capability / 10,
                       sheet.capability % 10, oldest / 10, oldest % 10),
           "--device cpu");
  // One that is newer than this program is planned for as the newest that it knows.
  while (find_architecture(sheet.capability) == nullptr) --sheet.capability;
  return sheet;
}

std::shared_ptr<Device> open_device(const Api& api, int number, const CudaDeviceOptions& options) {
  const DeviceSheet sheet = describe_device(api, number);
  if (const int status = api.set_device(number); status != kSuccess) {
    const bool taken = status == kErrorDevicesUnavailable;
    refuse("G906", number, fmt::format("{} cannot be opened: {}", sheet.name, api.error_text(status)),
           taken ? "snug devices   # another process may hold it alone" : "nvidia-smi");
  }
  try {
    return std::make_shared<CudaDevice>(api, sheet.name, options);
  } catch (const DeviceFailure& failure) {
    refuse(failure.of_memory ? "M304" : "G906", number, fmt::format("{}: {}", sheet.name, failure.what()),
           "snug devices   # who holds the memory of the device");
  }
}

}  // namespace snug::cuda
