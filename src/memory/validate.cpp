// A sweep over time that keeps the live buffers sorted by offset and looks at the neighbours of each one that begins.
// Written without regard to how `place` works.
#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <utility>

#include "memory/placement.h"

namespace snug {
namespace {

struct Event {
  std::int64_t step = 0;
  bool begins = false;
  std::size_t buffer = 0;
};

/// Begins and ends in time order, ends first: a buffer is gone at its `last` step.
std::vector<Event> timeline(std::span<const Buffer> buffers) {
  std::vector<Event> events;
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    const Lifetime& life = buffers[i].life;
    if (buffers[i].size_bytes <= 0 || life.first >= life.last) continue;
    events.push_back({life.first, true, i});
    events.push_back({life.last, false, i});
  }
  std::ranges::sort(
      events, [](const Event& a, const Event& b) { return std::pair(a.step, a.begins) < std::pair(b.step, b.begins); });
  return events;
}

std::string check_one(std::size_t i, const Buffer& buffer, std::int64_t offset, std::int64_t alignment,
                      std::int64_t capacity) {
  if (buffer.size_bytes < 0) return fmt::format("buffer {} has the negative size {}", i, buffer.size_bytes);
  if (buffer.life.first > buffer.life.last) {
    return fmt::format("buffer {} ends at step {} before it begins at step {}", i, buffer.life.last, buffer.life.first);
  }
  if (offset < 0) return fmt::format("buffer {} has the negative offset {}", i, offset);
  if (alignment > 0 && offset % alignment != 0) {
    return fmt::format("buffer {} at offset {} is not aligned to {}", i, offset, alignment);
  }
  const bool occupies = buffer.size_bytes > 0 && buffer.life.first < buffer.life.last;
  if (occupies && offset > capacity - buffer.size_bytes) {  // written so that it cannot overflow
    return fmt::format("buffer {} at offset {} with {} bytes ends above the capacity {}", i, offset, buffer.size_bytes,
                       capacity);
  }
  return {};
}

}  // namespace

std::vector<std::string> validate(std::span<const Buffer> buffers, std::span<const std::int64_t> offsets,
                                  std::int64_t alignment_bytes, std::int64_t capacity_bytes) {
  if (buffers.size() != offsets.size()) {
    return {fmt::format("{} buffers but {} offsets", buffers.size(), offsets.size())};
  }
  std::vector<std::string> faults;
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    std::string fault = check_one(i, buffers[i], offsets[i], alignment_bytes, capacity_bytes);
    if (!fault.empty()) faults.push_back(std::move(fault));
  }
  if (!faults.empty()) return faults;

  std::set<std::pair<std::int64_t, std::size_t>> live;  // offset, buffer
  const auto collide = [&](std::size_t below, std::size_t above) {
    if (offsets[below] + buffers[below].size_bytes <= offsets[above]) return;
    faults.push_back(
        fmt::format("buffers {} and {} overlap: bytes [{}, {}) at steps [{}, {}) and bytes [{}, {}) at "
                    "steps [{}, {})",
                    below, above, offsets[below], offsets[below] + buffers[below].size_bytes, buffers[below].life.first,
                    buffers[below].life.last, offsets[above], offsets[above] + buffers[above].size_bytes,
                    buffers[above].life.first, buffers[above].life.last));
  };
  // Without an earlier fault the live buffers are disjoint, so an intruder always meets a neighbour.
  for (const Event& event : timeline(buffers)) {
    const std::pair<std::int64_t, std::size_t> key{offsets[event.buffer], event.buffer};
    if (!event.begins) {
      live.erase(key);
      continue;
    }
    const auto here = live.insert(key).first;
    if (here != live.begin()) collide(std::prev(here)->second, event.buffer);
    if (std::next(here) != live.end()) collide(event.buffer, std::next(here)->second);
  }
  return faults;
}

}  // namespace snug
