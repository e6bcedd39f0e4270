#include "runtime/staging.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/ensure.h"

namespace snug {

namespace {

constexpr std::int64_t kWindowBytes = 1 << 20;  // a copy of it takes 40 µs, ten times what its start does

}  // namespace

std::int64_t staging_bytes(std::int64_t input_bytes) { return 2 * input_bytes + kWindowBytes; }

Staging::Staging(std::shared_ptr<Device> device, std::int64_t input_bytes)
    : device_(std::move(device)),
      half_bytes_(input_bytes),
      memory_(device_->allocate_host(staging_bytes(input_bytes))),
      window_(memory_ + kHalves * half_bytes_) {}

Staging::~Staging() { device_->release_host(memory_); }

void Staging::write_input(std::byte* to, std::int64_t offset, std::span<const std::byte> from) {
  const auto bytes = static_cast<std::int64_t>(from.size());
  ensure(offset >= 0 && offset + bytes <= half_bytes_, "an input lies in the input arena");
  if (from.empty()) return;
  if (!open_ && in_use_[static_cast<std::size_t>(half_)]) device_->wait_for(half_);
  open_ = true;
  std::byte* const staged = memory_ + half_ * half_bytes_ + offset;
  std::memcpy(staged, from.data(), from.size());
  device_->copy_to_device(to, staged, bytes);
}

void Staging::next_run() {
  if (!open_) return;  // nothing was written
  device_->set_mark(half_);
  in_use_[static_cast<std::size_t>(half_)] = true;
  half_ = (half_ + 1) % kHalves;
  open_ = false;
}

void Staging::write(std::byte* to, std::span<const std::byte> from) {
  while (!from.empty()) {
    const std::size_t bytes = std::min(from.size(), static_cast<std::size_t>(kWindowBytes));
    std::memcpy(window_, from.data(), bytes);
    device_->copy_to_device(to, window_, static_cast<std::int64_t>(bytes));
    device_->wait();
    to += bytes;
    from = from.subspan(bytes);
  }
}

void Staging::read(std::span<std::byte> to, const std::byte* from) {
  while (!to.empty()) {
    const std::size_t bytes = std::min(to.size(), static_cast<std::size_t>(kWindowBytes));
    device_->copy_to_host(window_, from, static_cast<std::int64_t>(bytes));
    device_->wait();
    std::memcpy(to.data(), window_, bytes);
    to = to.subspan(bytes);
    from += bytes;
  }
}

}  // namespace snug
