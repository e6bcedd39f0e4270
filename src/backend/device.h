// Memory and queues of a device that is not the processor: what the runtime needs of it to execute a plan there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace snug {

/// A call of the device that did not work. The runtime adds which step it was of, and makes it an Error.
struct DeviceFailure : std::runtime_error {
  explicit DeviceFailure(const std::string& what, bool memory = false) : std::runtime_error(what), of_memory(memory) {}
  bool of_memory = false;  ///< the device ran out of it, whatever the call was
};

/// What steps were recorded once, to be enqueued again as a whole.
class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;
  /// Enqueues on the main queue.
  virtual void launch() = 0;
};

/// A GPU's driver gives memory in pieces of so many bytes.
inline constexpr std::int64_t kDeviceGranularityBytes = 2 << 20;

struct DeviceMemoryState {
  std::int64_t free_bytes = 0, total_bytes = 0;
};

/// One device, used by one thread. Whatever is enqueued on the main queue runs in order; functions return at once
/// unless they say that they wait. Those that fail throw DeviceFailure.
class Device {
 public:
  virtual ~Device() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;

  /// An allocation takes a multiple of it.
  [[nodiscard]] virtual std::int64_t granularity() const { return kDeviceGranularityBytes; }
  /// Memory of the device, zeroed, aligned to 256 bytes. Waits.
  [[nodiscard]] virtual std::byte* allocate(std::int64_t bytes) = 0;
  virtual void release(std::byte* memory) noexcept = 0;
  /// Host memory that is copied without a detour, as it comes. What it lacks is memory of this process.
  [[nodiscard]] virtual std::byte* allocate_host(std::int64_t bytes) = 0;
  virtual void release_host(std::byte* memory) noexcept = 0;
  [[nodiscard]] virtual DeviceMemoryState memory() const = 0;

  // On the main queue. Host memory must stay as it is until a `wait` behind the call.
  virtual void copy_to_device(std::byte* to, const std::byte* from, std::int64_t bytes) = 0;
  virtual void copy_to_host(std::byte* to, const std::byte* from, std::int64_t bytes) = 0;
  virtual void copy_within(std::byte* to, const std::byte* from, std::int64_t bytes) = 0;
  virtual void fill(std::byte* to, std::uint8_t value, std::int64_t bytes) = 0;

  /// To the device beside the main queue; behind what that had when `release_ahead` was called last.
  virtual void copy_ahead(std::byte* to, const std::byte* from, std::int64_t bytes) = 0;
  /// What is enqueued on the main queue from now on runs after the copies that were made ahead by now.
  virtual void take_ahead() = 0;
  /// What is copied ahead from now on begins once the main queue has done what it has by now.
  virtual void release_ahead() = 0;

  /// Marks 0 to kMarks − 1: places in the main queue that can be waited for.
  static constexpr int kMarks = 4;
  virtual void set_mark(int mark) = 0;
  virtual void wait_for(int mark) = 0;
  /// Stamps: moments in the main queue, numbered from 0, for the seconds between two once they have been waited for.
  virtual void stamp(std::size_t index) = 0;
  [[nodiscard]] virtual double seconds_between(std::size_t first, std::size_t later) = 0;
  /// For everything enqueued, on every queue; reports what failed on the way.
  virtual void wait() = 0;

  /// The stream of a program's queue, for StepArguments.
  [[nodiscard]] virtual void* stream(std::uint8_t queue) = 0;
  /// What is enqueued on `queue` from now on runs after everything that the main queue has by now.
  virtual void fork(std::uint8_t queue) = 0;
  /// What is enqueued on the main queue from now on runs after everything that the others have by now.
  virtual void join() = 0;

  /// What went wrong with the launches since the last call, if anything; a kernel's own faults may show later, in
  /// `wait`. Forgets it.
  [[nodiscard]] virtual std::optional<DeviceFailure> take_failure() = 0;

  /// Runs `enqueue`, whose steps are recorded and not run. Null where a device does not record.
  [[nodiscard]] virtual std::unique_ptr<DeviceGraph> record(const std::function<void()>& enqueue) = 0;
};

}  // namespace snug
