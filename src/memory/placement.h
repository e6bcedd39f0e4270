// Offset assignment: buffers with known lifetimes are packed into one arena. Pure: knows nothing of networks.
//
//   offset ▲  ┌───────────┐
//          │  │     C     │        Two buffers may share bytes only when their lifetimes
//          │  ├─────┬─────┴──┐     do not overlap. The height of the picture is the arena;
//          │  │  A  │   B    │     no arena is smaller than the largest sum of sizes that
//          │  └─────┴────────┘     are alive at one time (the lower bound).
//          └──────────────────────▶ step
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace snug {

/// Steps [first, last): half-open.
struct Lifetime {
  std::int64_t first = 0, last = 0;
  [[nodiscard]] bool overlaps(const Lifetime& other) const { return first < other.last && other.first < last; }
  friend bool operator==(const Lifetime&, const Lifetime&) = default;
};

struct Buffer {
  std::int64_t size_bytes = 0;
  Lifetime life;
};

struct PlacementOptions {
  std::int64_t alignment_bytes = 256;  ///< every offset is a multiple of it
};

struct Placement {
  std::vector<std::int64_t> offsets;   ///< of each buffer, in the order given
  std::int64_t height_bytes = 0;       ///< end of the highest buffer
  std::int64_t lower_bound_bytes = 0;  ///< largest live sum of the sizes as given
};

/// Places all buffers; never fails. Buffers of size 0 get offset 0.
[[nodiscard]] Placement place(std::span<const Buffer> buffers, const PlacementOptions& options = {});

/// The largest sum of sizes alive at one step, and the first step that has it.
struct Peak {
  std::int64_t bytes = 0;
  std::int64_t step = 0;
};
[[nodiscard]] Peak live_peak(std::span<const Buffer> buffers);

/// Independent check: what is wrong with `offsets` (overlap in time and space, misaligned, negative, above
/// `capacity_bytes`), one line each; empty when sound. Shares no code with `place`.
[[nodiscard]] std::vector<std::string> validate(std::span<const Buffer> buffers, std::span<const std::int64_t> offsets,
                                                std::int64_t alignment_bytes = 1,
                                                std::int64_t capacity_bytes = std::numeric_limits<std::int64_t>::max());

}  // namespace snug
