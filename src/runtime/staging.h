// Copies between this process and a device's memory, through host memory that the device reads and writes directly.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "backend/device.h"
#include "runtime/arena_memory.h"

namespace snug {

/// Host memory of a `Staging` for an input arena of so many bytes.
[[nodiscard]] std::int64_t staging_bytes(std::int64_t input_bytes);

/// Inputs go through one of two halves as large as the input arena, in turn from run to run, so that the host fills one
/// while the other may still be on its way. Batches take another turn on the device: they are copied there while the
/// run before is computed, and into their place when that is done. Everything else goes through a window, piece by
/// piece, and is waited for.
class Staging {
 public:
  /// Throws Error M… when there is not so much host memory.
  Staging(std::shared_ptr<Device> device, std::int64_t input_bytes);
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  ~Staging() = default;

  /// Enqueues the copy of `from` to `to`, which lies `offset` bytes into the input arena. `ahead`: memory of the device
  /// where it may wait for the run before; null: there is none.
  void write_input(std::byte* to, std::int64_t offset, std::span<const std::byte> from, std::byte* ahead = nullptr);
  /// What was written goes to the run that is enqueued now; what is written next, to the next one.
  void next_run();

  /// Enqueues again what was written for the run before the last, or for the last where there was one only.
  void rewrite_previous();

  /// Enqueues the copy of a few bytes to where `result` finds them. Two may be on their way; they are taken in order.
  void post_result(const std::byte* from, std::int64_t bytes);
  /// The oldest that was posted and not taken, once it is there. Valid until two more are posted.
  [[nodiscard]] std::span<const std::byte> take_result();

  void write(std::byte* to, std::span<const std::byte> from);
  void read(std::span<std::byte> to, const std::byte* from);

 private:
  static constexpr int kHalves = 2;  // marks 0 and 1; results have 2 and 3
  struct Write {
    std::byte* to = nullptr;
    std::byte* ahead = nullptr;
    std::int64_t offset = 0, bytes = 0;
  };

  std::shared_ptr<Device> device_;
  std::int64_t half_bytes_ = 0;
  ArenaMemory pinned_;
  std::byte* memory_ = nullptr;
  std::byte* window_ = nullptr;
  std::byte* results_ = nullptr;
  std::array<std::vector<Write>, kHalves> written_;  ///< into each half, since it was opened
  std::array<std::int64_t, 2> result_bytes_{};
  std::int64_t posted_ = 0, taken_ = 0;  ///< results
  int half_ = 0;
  bool open_ = false;                   ///< the half may be written to
  std::array<bool, kHalves> in_use_{};  ///< by copies before the mark of its number
};

}  // namespace snug
