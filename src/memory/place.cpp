// Greedy placement: buffers are taken in some order, each goes into the lowest gap (or the tightest one) that is free
// during its whole life. Several orders are tried and the best one is improved by moving the buffers that make the
// height to the front. Everything is deterministic.
#include <algorithm>
#include <array>
#include <numeric>

#include "base/rng.h"
#include "memory/placement.h"

namespace snug {
namespace {

/// A buffer that occupies bytes, its size rounded up to the alignment.
struct Item {
  Lifetime life;
  std::int64_t size = 0;
  std::size_t buffer = 0;
};

struct Placed {
  Lifetime life;
  std::int64_t offset = 0, end = 0;
};

enum class Fit : std::uint8_t { lowest, tightest };
using Order = std::vector<std::uint32_t>;  // indices of items

struct Attempt {
  Order order;
  Fit fit = Fit::lowest;
  std::vector<std::int64_t> offsets;  // by item
  std::int64_t height = std::numeric_limits<std::int64_t>::max();
};

/// The offset for `item` among `placed`, which is sorted by offset.
std::int64_t find_gap(std::span<const Placed> placed, const Item& item, Fit fit) {
  std::int64_t top = 0;
  std::int64_t best = -1;
  std::int64_t best_gap = std::numeric_limits<std::int64_t>::max();
  for (const Placed& other : placed) {
    if (!item.life.overlaps(other.life)) continue;
    const std::int64_t gap = other.offset - top;
    if (gap >= item.size && gap < best_gap) {
      if (fit == Fit::lowest) return top;
      best = top;
      best_gap = gap;
    }
    top = std::max(top, other.end);
  }
  return best >= 0 ? best : top;
}

/// Fills in offsets and height of `attempt`; gives up, with the height as it is, once `limit` is reached.
void place_in_order(std::span<const Item> items, Attempt& attempt, std::int64_t limit) {
  std::vector<Placed> placed;
  placed.reserve(items.size());
  attempt.offsets.assign(items.size(), 0);
  attempt.height = 0;
  for (const std::uint32_t index : attempt.order) {
    const Item& item = items[index];
    const std::int64_t offset = find_gap(placed, item, attempt.fit);
    attempt.offsets[index] = offset;
    attempt.height = std::max(attempt.height, offset + item.size);
    if (attempt.height >= limit) return;
    const auto where = std::ranges::upper_bound(placed, offset, {}, &Placed::offset);
    placed.insert(where, {item.life, offset, offset + item.size});
  }
}

/// Items by descending `key`; equal ones keep their order.
template <class Key>
Order order_by(std::span<const Item> items, Key key) {
  Order order(items.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::stable_sort(order, [&](std::uint32_t a, std::uint32_t b) { return key(items[a]) > key(items[b]); });
  return order;
}

std::vector<Order> initial_orders(std::span<const Item> items) {
  const auto length = [](const Item& item) { return item.life.last - item.life.first; };
  const auto area = [&](const Item& item) {
    return static_cast<double>(item.size) * static_cast<double>(length(item));
  };
  std::vector<Order> orders;
  orders.push_back(order_by(items, [](const Item& item) { return item.size; }));
  orders.push_back(order_by(items, area));
  orders.push_back(order_by(items, [&](const Item& item) { return std::pair(length(item), item.size); }));
  orders.push_back(order_by(items, [](const Item& item) { return std::pair(-item.life.first, item.size); }));
  orders.push_back(order_by(items, [](const Item& item) { return std::pair(item.life.last, item.size); }));
  return orders;
}

/// A copy of the order in which one item, often one that reaches the top, comes earlier.
Order mutate(const Attempt& from, std::span<const Item> items, Random& random) {
  Order order = from.order;
  const auto pick = [&](std::size_t bound) { return std::size_t{random.below(static_cast<std::uint32_t>(bound))}; };
  std::size_t moved = pick(order.size());
  if (random.below(4) != 0) {  // three of four moves take the culprit; the others keep the search from circling
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (from.offsets[order[i]] + items[order[i]].size == from.height) moved = i;
    }
  }
  const std::size_t to = pick(moved + 1);
  const auto begin = order.begin();
  std::rotate(begin + static_cast<std::ptrdiff_t>(to), begin + static_cast<std::ptrdiff_t>(moved),
              begin + static_cast<std::ptrdiff_t>(moved) + 1);
  return order;
}

/// Keeps a move when it is not worse. Bounded by work, not by time, so that two plans of one thing are equal.
void improve(std::span<const Item> items, Attempt& best, std::int64_t lower_bound) {
  constexpr double kPairVisits = 2e7;  // about 20 ms: a batch search places dozens of programs
  const double cost = static_cast<double>(items.size()) * static_cast<double>(items.size()) / 2 + 1;
  const int rounds = static_cast<int>(std::min(2000.0, kPairVisits / cost));
  Random random(random_key(0, RandomStream::initialization));
  for (int round = 0; round < rounds && best.height > lower_bound; ++round) {
    Attempt next{.order = mutate(best, items, random), .fit = best.fit};
    place_in_order(items, next, best.height + 1);
    if (next.height <= best.height) best = std::move(next);
  }
}

}  // namespace

Placement place(std::span<const Buffer> buffers, const PlacementOptions& options) {
  const std::int64_t alignment = std::max<std::int64_t>(1, options.alignment_bytes);
  std::vector<Item> items;
  std::vector<Buffer> rounded;
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    const Buffer& buffer = buffers[i];
    if (buffer.size_bytes <= 0 || buffer.life.first >= buffer.life.last) continue;
    const std::int64_t size = (buffer.size_bytes + alignment - 1) / alignment * alignment;
    items.push_back({buffer.life, size, i});
    rounded.push_back({size, buffer.life});
  }
  Placement result{.offsets = std::vector<std::int64_t>(buffers.size(), 0),
                   .lower_bound_bytes = live_peak(buffers).bytes};
  if (items.empty()) return result;

  const std::int64_t lower_bound = live_peak(rounded).bytes;
  Attempt best;
  for (Order& order : initial_orders(items)) {
    for (const Fit fit : {Fit::lowest, Fit::tightest}) {
      if (best.height <= lower_bound) break;
      Attempt attempt{.order = order, .fit = fit};
      place_in_order(items, attempt, best.height);
      if (attempt.height < best.height) best = std::move(attempt);
    }
  }
  improve(items, best, lower_bound);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::size_t buffer = items[i].buffer;
    result.offsets[buffer] = best.offsets[i];
    result.height_bytes = std::max(result.height_bytes, best.offsets[i] + buffers[buffer].size_bytes);
  }
  return result;
}

}  // namespace snug
