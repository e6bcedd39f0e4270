#include <algorithm>
#include <utility>
#include <vector>

#include "memory/placement.h"

namespace snug {

Peak live_peak(std::span<const Buffer> buffers) {
  std::vector<std::pair<std::int64_t, std::int64_t>> changes;  // step, bytes that come alive (negative: die)
  changes.reserve(2 * buffers.size());
  for (const Buffer& buffer : buffers) {
    if (buffer.size_bytes <= 0 || buffer.life.first >= buffer.life.last) continue;
    changes.emplace_back(buffer.life.first, buffer.size_bytes);
    changes.emplace_back(buffer.life.last, -buffer.size_bytes);
  }
  // Lifetimes are half-open: at one step the deaths come before the births, and negative sorts first.
  std::ranges::sort(changes);
  Peak peak;
  std::int64_t live = 0;
  for (const auto& [step, bytes] : changes) {
    live += bytes;
    if (live > peak.bytes) peak = {live, step};
  }
  return peak;
}

}  // namespace snug
