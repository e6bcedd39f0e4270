#include "runtime/arena_memory.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "base/round.h"
#include "base/text.h"
#include "snug/diagnostic.h"

namespace snug {

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
    const DeviceMemoryState now = device_->memory();
    throw Error({.code = "M303",
                 .where = std::string(device_->name()),
                 .what = fmt::format("the {} needs {}, {} of {} are free now: {}", purpose, format_bytes(bytes),
                                     format_bytes(now.free_bytes), format_bytes(now.total_bytes), failure.what())
                             .substr(0, 160),
                 .fix = "snug devices   # who holds the memory; or memory.budget = \"90%\", of what is free then"});
  }
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
