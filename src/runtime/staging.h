// Copies between this process and a device's memory, through host memory that the device reads and writes directly.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "backend/device.h"

namespace snug {

/// Host memory of a `Staging` for an input arena of so many bytes.
[[nodiscard]] std::int64_t staging_bytes(std::int64_t input_bytes);

/// Inputs go through one of two halves as large as the input arena, in turn from run to run, so that the host fills one
/// while the other may still be on its way. Everything else goes through a window, piece by piece, and is waited for.
class Staging {
 public:
  Staging(std::shared_ptr<Device> device, std::int64_t input_bytes);
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  ~Staging();

  /// Enqueues the copy of `from` to `to`, which lies `offset` bytes into the input arena.
  void write_input(std::byte* to, std::int64_t offset, std::span<const std::byte> from);
  /// What was written goes to the run that is enqueued now; what is written next, to the next one.
  void next_run();

  void write(std::byte* to, std::span<const std::byte> from);
  void read(std::span<std::byte> to, const std::byte* from);

 private:
  static constexpr int kHalves = 2;

  std::shared_ptr<Device> device_;
  std::int64_t half_bytes_ = 0;
  std::byte* memory_ = nullptr;
  std::byte* window_ = nullptr;
  int half_ = 0;
  bool open_ = false;                   ///< the half may be written to
  std::array<bool, kHalves> in_use_{};  ///< by copies before the mark of its number
};

}  // namespace snug
