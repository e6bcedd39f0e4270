#include "runtime/staging.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/ensure.h"

namespace snug {

namespace {

constexpr std::int64_t kWindowBytes = 1 << 20;  // a copy of it takes 40 µs, ten times what its start does
constexpr std::int64_t kMostResultBytes = 64;
constexpr int kResultMark = 2;  // the first

}  // namespace

std::int64_t staging_bytes(std::int64_t input_bytes) { return 2 * input_bytes + kWindowBytes + 2 * kMostResultBytes; }

Staging::Staging(std::shared_ptr<Device> device, std::int64_t input_bytes)
    : device_(std::move(device)),
      half_bytes_(input_bytes),
      pinned_(staging_bytes(input_bytes), "staging of inputs", device_, ArenaMemory::Kind::host),
      memory_(pinned_.data()),
      window_(memory_ + kHalves * half_bytes_),
      results_(window_ + kWindowBytes) {
  constexpr std::size_t kInputs = 8;  // more than a program has
  for (auto& written : written_) written.reserve(kInputs);
}

void Staging::write_input(std::byte* to, std::int64_t offset, std::span<const std::byte> from, std::byte* ahead) {
  const auto bytes = static_cast<std::int64_t>(from.size());
  ensure(offset >= 0 && offset + bytes <= half_bytes_, "an input lies in the input arena");
  if (from.empty()) return;
  const auto half = static_cast<std::size_t>(half_);
  if (!std::exchange(open_, true)) {
    if (in_use_[half]) device_->wait_for(half_);
    written_[half].clear();
  }
  written_[half].push_back({to, ahead, offset, bytes});
  std::byte* const staged = memory_ + half_ * half_bytes_ + offset;
  std::memcpy(staged, from.data(), from.size());
  if (ahead != nullptr) return device_->copy_ahead(ahead, staged, bytes);
  device_->copy_to_device(to, staged, bytes);
}

void Staging::next_run() {
  if (!open_) return;  // nothing was written
  const std::vector<Write>& writes = written_[static_cast<std::size_t>(half_)];
  if (std::ranges::any_of(writes, [](const Write& write) { return write.ahead != nullptr; })) {
    device_->take_ahead();
    for (const Write& write : writes)
      if (write.ahead != nullptr) device_->copy_within(write.to, write.ahead, write.bytes);
    device_->release_ahead();
  }
  device_->set_mark(half_);
  in_use_[static_cast<std::size_t>(half_)] = true;
  half_ = (half_ + 1) % kHalves;
  open_ = false;
}

void Staging::rewrite_previous() {
  const bool several = in_use_[0] && in_use_[1];
  const int previous = several ? half_ : (half_ + 1) % kHalves;  // the next to be opened is the oldest
  for (const Write& write : written_[static_cast<std::size_t>(previous)])
    device_->copy_to_device(write.to, memory_ + previous * half_bytes_ + write.offset, write.bytes);
}

void Staging::post_result(const std::byte* from, std::int64_t bytes) {
  ensure(bytes <= kMostResultBytes && posted_ - taken_ < 2, "results are small, and at most two are on their way");
  const int slot = static_cast<int>(posted_++ % 2);
  result_bytes_[static_cast<std::size_t>(slot)] = bytes;
  device_->copy_to_host(results_ + slot * kMostResultBytes, from, bytes);
  device_->set_mark(kResultMark + slot);
}

std::span<const std::byte> Staging::take_result() {
  ensure(taken_ < posted_, "a result that was posted");
  const int slot = static_cast<int>(taken_++ % 2);
  device_->wait_for(kResultMark + slot);
  return {results_ + slot * kMostResultBytes, static_cast<std::size_t>(result_bytes_[static_cast<std::size_t>(slot)])};
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
