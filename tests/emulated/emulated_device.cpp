#include "emulated/emulated_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/ensure.h"
#include "base/round.h"
#include "emulator/emulator.h"

namespace snug::test {

namespace {

constexpr std::int64_t kAlignmentBytes = 256;

std::byte* aligned_bytes(std::int64_t bytes) {
  const auto size = static_cast<std::size_t>(round_up(bytes, kAlignmentBytes));
  return static_cast<std::byte*>(std::aligned_alloc(kAlignmentBytes, size));
}

void do_or_record(const std::function<void()>& work) {
  if (!emulator::record(work)) work();
}

class EmulatedGraph final : public DeviceGraph {
 public:
  EmulatedGraph(emulator::Recording recording, int& launches) : recording_(std::move(recording)), launches_(launches) {}
  void launch() override {
    ++launches_;
    for (const auto& work : recording_) work();
  }

 private:
  emulator::Recording recording_;
  int& launches_;
};

}  // namespace

EmulatedDevice::~EmulatedDevice() { ensure(allocations_.empty(), "what was allocated is given back"); }

std::byte* EmulatedDevice::allocate(std::int64_t bytes) {
  if (bytes > memory().free_bytes) throw DeviceFailure("out of memory", true);
  std::byte* const memory = aligned_bytes(bytes);
  std::memset(memory, 0, static_cast<std::size_t>(bytes));
  allocations_[memory] = bytes;
  allocated_ += bytes;
  most_allocated_ = std::max(most_allocated_, allocated_);
  ++allocation_count_;
  return memory;
}

void EmulatedDevice::release(std::byte* memory) noexcept {
  const auto found = allocations_.find(memory);
  if (found == allocations_.end()) std::abort();
  allocated_ -= found->second;
  allocations_.erase(found);
  std::free(memory);
}

/// As the system gives it: with whatever was there.
std::byte* EmulatedDevice::allocate_host(std::int64_t bytes) {
  if (const auto failure = std::exchange(host_failure, {})) throw *failure;
  std::byte* const memory = aligned_bytes(bytes);
  std::memset(memory, 0xA5, static_cast<std::size_t>(bytes));
  return memory;
}
void EmulatedDevice::release_host(std::byte* memory) noexcept { std::free(memory); }

void EmulatedDevice::require_present() const {
  if (waits_ >= gone_after_waits) throw DeviceFailure("the device has fallen off the bus");
}

DeviceMemoryState EmulatedDevice::memory() const {
  require_present();
  return {.free_bytes = std::max<std::int64_t>(0, total_bytes - allocated_), .total_bytes = total_bytes};
}

void EmulatedDevice::require_memory(const std::byte* at, std::int64_t bytes) const {
  const bool inside = std::ranges::any_of(allocations_, [&](const auto& allocation) {
    return at >= allocation.first && at + bytes <= allocation.first + allocation.second;
  });
  ensure(inside, "a copy keeps to memory of the device");
}

void EmulatedDevice::copy_to_device(std::byte* to, const std::byte* from, std::int64_t bytes) {
  require_memory(to, bytes);
  do_or_record([=] { std::memcpy(to, from, static_cast<std::size_t>(bytes)); });
}

void EmulatedDevice::copy_to_host(std::byte* to, const std::byte* from, std::int64_t bytes) {
  require_memory(from, bytes);
  do_or_record([=] { std::memcpy(to, from, static_cast<std::size_t>(bytes)); });
}

void EmulatedDevice::copy_within(std::byte* to, const std::byte* from, std::int64_t bytes) {
  require_memory(from, bytes);
  copy_to_device(to, from, bytes);
}

void EmulatedDevice::copy_ahead(std::byte* to, const std::byte* from, std::int64_t bytes) {
  require_memory(to, bytes);
  bytes_copied_ahead_ += bytes;
  ahead_.push_back({to, from, bytes});
  if (!options_.late_copies) take_ahead();
}

void EmulatedDevice::take_ahead() {
  for (const Copy& copy : std::exchange(ahead_, {}))
    std::memcpy(copy.to, copy.from, static_cast<std::size_t>(copy.bytes));
}

void EmulatedDevice::release_ahead() { ensure(ahead_.empty(), "what is waited for has been asked for"); }

void EmulatedDevice::fill(std::byte* to, std::uint8_t value, std::int64_t bytes) {
  require_memory(to, bytes);
  do_or_record([=] { std::memset(to, value, static_cast<std::size_t>(bytes)); });
}

void EmulatedDevice::set_mark(int mark) { ensure(mark >= 0 && mark < kMarks, "a mark that there is"); }
void EmulatedDevice::wait_for(int mark) { set_mark(mark); }

void EmulatedDevice::stamp(std::size_t index) {
  stamps_.resize(std::max(stamps_.size(), index + 1));
  stamps_[index] = std::chrono::steady_clock::now();
}
double EmulatedDevice::seconds_between(std::size_t first, std::size_t later) {
  return std::chrono::duration<double>(stamps_.at(later) - stamps_.at(first)).count();
}

void EmulatedDevice::wait() {
  require_present();
  ++waits_;
  if (const auto failure = std::exchange(wait_failure, {})) throw *failure;
}

std::optional<DeviceFailure> EmulatedDevice::take_failure() { return std::exchange(launch_failure, {}); }

std::unique_ptr<DeviceGraph> EmulatedDevice::record(const std::function<void()>& enqueue) {
  if (!options_.records) return nullptr;
  emulator::Recording recording;
  {
    const emulator::Recorder recorder(recording);
    enqueue();
  }
  return std::make_unique<EmulatedGraph>(std::move(recording), graph_launches_);
}

}  // namespace snug::test
