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
#include <optional>
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
  /// Nothing lower is searched for, and nothing at all where this cannot be reached.
  std::optional<std::int64_t> enough_bytes{};
};

struct Placement {
  std::vector<std::int64_t> offsets;    ///< of each buffer, in the order given
  std::int64_t height_bytes = 0;        ///< end of the highest buffer
  std::int64_t lower_bound_bytes = 0;   ///< largest live sum of the sizes as given
  std::int64_t proven_bound_bytes = 0;  ///< with sizes rounded up to the alignment no placement is lower
  bool optimal = false;                 ///< the height, rounded likewise, is that
};

/// Places all buffers; never fails. Buffers of size 0 get offset 0. The same every time: work is bounded, not time.
/// All sizes together must not exceed 63 bits.
[[nodiscard]] Placement place(std::span<const Buffer> buffers, const PlacementOptions& options = {});

struct SolveOptions {
  std::optional<std::int64_t> capacity_bytes;  ///< ends at the first placement within it, or when there is none
  double time_limit_seconds = 10;              ///< of the clock on the wall
  std::int64_t alignment_bytes = 1;
};

/// Searches for the lowest placement until it is proven or time is up. Gives the best one found, which may exceed the
/// capacity; at once where the lower bound does.
[[nodiscard]] Placement solve(std::span<const Buffer> buffers, const SolveOptions& options);

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
