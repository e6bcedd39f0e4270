#include "runtime/arena_memory.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "base/round.h"
#include "base/text.h"
#include "planner/planner.h"
#include "runtime/device_findings.h"
#include "snug/diagnostic.h"

namespace snug {

namespace {

Error refused(std::string where, const std::string& what, const char* fix) {
  return Error({.code = "M303", .where = std::move(where), .what = what.substr(0, kMostWhat), .fix = fix});
}

}  // namespace

Error ArenaMemory::refused_by_device(std::string_view purpose, std::int64_t bytes, const DeviceFailure& failure) const {
  return refused(std::string(device_->name()),
                 fmt::format("the {} needs {}{}: {}", purpose, format_bytes(bytes), free_now(*device_), failure.what()),
                 "snug devices   # who holds the memory; or memory.budget = \"90%\", of what is free then");
}

/// What the device could not lock is memory of this machine.
Error ArenaMemory::refused_by_host(std::string_view purpose, std::int64_t bytes, const DeviceFailure& failure) {
  return refused(std::string(purpose),
                 fmt::format("the {} needs {} of locked host memory, the system has {} free: {}", purpose,
                             format_bytes(bytes), format_bytes(cpu_memory().free_bytes), failure.what()),
                 "ulimit -l unlimited   # or a smaller train.batch, or memory.strategy without \"offload\"");
}

ArenaMemory::ArenaMemory(std::int64_t bytes, std::string_view purpose, const std::shared_ptr<Device>& device, Kind kind)
    : kind_(kind), bytes_(bytes) {
  if (device == nullptr) {
    host_ = Mapping(bytes, purpose);
    return;
  }
  device_ = device;
  if (bytes <= 0) return;
  taken_ = kind == Kind::host ? bytes : round_up(bytes, device_->granularity());
  try {
    memory_ = kind == Kind::host ? device_->allocate_host(taken_) : device_->allocate(taken_);
  } catch (const DeviceFailure& failure) {
    throw kind == Kind::host ? refused_by_host(purpose, bytes, failure) : refused_by_device(purpose, bytes, failure);
  }
  if (kind == Kind::host) std::memset(memory_, 0, static_cast<std::size_t>(bytes));
}

ArenaMemory::ArenaMemory(ArenaMemory&& other) noexcept
    : device_(std::move(other.device_)),
      kind_(other.kind_),
      memory_(std::exchange(other.memory_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      taken_(std::exchange(other.taken_, 0)),
      host_(std::move(other.host_)) {}

ArenaMemory& ArenaMemory::operator=(ArenaMemory&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(kind_, other.kind_);
  std::swap(memory_, other.memory_);
  std::swap(bytes_, other.bytes_);
  std::swap(taken_, other.taken_);
  std::swap(host_, other.host_);
  return *this;
}

ArenaMemory::~ArenaMemory() {
  if (memory_ == nullptr) return;
  if (kind_ == Kind::host) {
    device_->release_host(memory_);
  } else {
    device_->release(memory_);
  }
}

void ArenaMemory::fill(std::byte* at, std::uint8_t value, std::int64_t bytes) const {
  if (device_ != nullptr) {
    device_->fill(at, value, bytes);
  } else {
    std::memset(at, value, static_cast<std::size_t>(bytes));
  }
}

}  // namespace snug
