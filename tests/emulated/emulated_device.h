// A GPU that is none: its memory is this process's, its kernels run on the emulator, its queue is done at once.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backend/device.h"

namespace snug::test {

struct EmulatedOptions {
  std::int64_t total_bytes = std::int64_t{1} << 30;
  bool records = true;      ///< false: a device without graphs
  bool late_copies = true;  ///< copies ahead are made at the last moment; false: at once
};

class EmulatedDevice final : public Device {
 public:
  explicit EmulatedDevice(const EmulatedOptions& options = {}) : options_(options), total_bytes(options.total_bytes) {}
  ~EmulatedDevice() override;
  EmulatedDevice(const EmulatedDevice&) = delete;
  EmulatedDevice& operator=(const EmulatedDevice&) = delete;

  [[nodiscard]] std::string_view name() const override { return "emulated GPU"; }
  [[nodiscard]] std::int64_t granularity() const override { return 4096; }
  [[nodiscard]] std::byte* allocate(std::int64_t bytes) override;
  void release(std::byte* memory) noexcept override;
  [[nodiscard]] std::byte* allocate_host(std::int64_t bytes) override;
  void release_host(std::byte* memory) noexcept override;
  [[nodiscard]] DeviceMemoryState memory() const override;
  void copy_to_device(std::byte* to, const std::byte* from, std::int64_t bytes) override;
  void copy_to_host(std::byte* to, const std::byte* from, std::int64_t bytes) override;
  void copy_within(std::byte* to, const std::byte* from, std::int64_t bytes) override;
  void copy_ahead(std::byte* to, const std::byte* from, std::int64_t bytes) override;
  void take_ahead() override;
  void release_ahead() override;
  void fill(std::byte* to, std::uint8_t value, std::int64_t bytes) override;
  void set_mark(int mark) override;
  void wait_for(int mark) override;
  void stamp(std::size_t index) override;
  [[nodiscard]] double seconds_between(std::size_t first, std::size_t later) override;
  void wait() override;
  [[nodiscard]] void* stream(std::uint8_t /*queue*/) override { return nullptr; }
  void fork(std::uint8_t /*queue*/) override {}
  void join() override {}
  [[nodiscard]] std::optional<DeviceFailure> take_failure() override;
  [[nodiscard]] std::unique_ptr<DeviceGraph> record(const std::function<void()>& enqueue) override;

  /// What is allocated now, and the most that ever was.
  [[nodiscard]] std::map<std::byte*, std::int64_t>& allocations() { return allocations_; }
  [[nodiscard]] std::int64_t most_allocated() const { return most_allocated_; }
  [[nodiscard]] int allocation_count() const { return allocation_count_; }
  [[nodiscard]] int graph_launches() const { return graph_launches_; }
  [[nodiscard]] std::int64_t bytes_copied_ahead() const { return bytes_copied_ahead_; }
  /// How often the host waited for everything.
  [[nodiscard]] int waits() const { return waits_; }

 private:
  void require_present() const;
  void require_memory(const std::byte* at, std::int64_t bytes) const;

  EmulatedOptions options_;
  std::map<std::byte*, std::int64_t> allocations_;
  std::int64_t allocated_ = 0, most_allocated_ = 0;
  struct Copy {
    std::byte* to;
    const std::byte* from;
    std::int64_t bytes;
  };
  std::vector<Copy> ahead_;  ///< not made yet
  std::vector<std::chrono::steady_clock::time_point> stamps_;
  std::int64_t bytes_copied_ahead_ = 0;
  int allocation_count_ = 0, graph_launches_ = 0, waits_ = 0;

 public:
  std::int64_t total_bytes;                                ///< another process may take some of it
  std::optional<DeviceFailure> host_failure;               ///< of the next allocation of host memory
  std::optional<DeviceFailure> launch_failure;             ///< of the next step
  std::optional<DeviceFailure> wait_failure;               ///< of the next wait
  int gone_after_waits = std::numeric_limits<int>::max();  ///< then it has vanished: everything fails
};

}  // namespace snug::test
