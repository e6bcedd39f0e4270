#include "memory/greedy.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

namespace snug {
namespace {

struct Placed {
  std::int32_t first = 0, last = 0;  // sections
  std::int64_t offset = 0, end = 0;
};

enum class Fit : std::uint8_t { lowest, tightest };
using Order = std::vector<std::uint32_t>;  // indices of items

/// The offset for `item` among `placed`, which is sorted by offset.
std::int64_t find_gap(std::span<const Placed> placed, const Item& item, Fit fit) {
  std::int64_t top = 0;
  std::int64_t best = -1;
  std::int64_t best_gap = std::numeric_limits<std::int64_t>::max();
  for (const Placed& other : placed) {
    if (other.last <= item.first || item.last <= other.first) continue;
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

/// Gives up, with the height as it is, once that of `best` is reached, where there is one.
Packing place_in_order(std::span<const Item> items, const Order& order, Fit fit, const Packing* best) {
  std::vector<Placed> placed;
  placed.reserve(items.size());
  Packing packing{.offsets = std::vector<std::int64_t>(items.size()), .height = 0};
  for (const std::uint32_t index : order) {
    const Item& item = items[index];
    const std::int64_t offset = find_gap(placed, item, fit);
    packing.offsets[index] = offset;
    packing.height = std::max(packing.height, offset + item.size);
    if (best != nullptr && packing.height >= best->height) break;
    const auto where = std::ranges::upper_bound(placed, offset, {}, &Placed::offset);
    placed.insert(where, {item.first, item.last, offset, offset + item.size});
  }
  return packing;
}

/// Items by descending `key`; equal ones keep their order.
template <class Key>
Order order_by(std::span<const Item> items, Key key) {
  Order order(items.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::stable_sort(order, [&](std::uint32_t a, std::uint32_t b) { return key(items[a]) > key(items[b]); });
  return order;
}

constexpr int kOrders = 5;

Order make_order(std::span<const Item> items, int number) {
  const auto length = [](const Item& item) { return item.last - item.first; };
  switch (number) {
    case 0: return order_by(items, [](const Item& item) { return item.size; });
    case 1:
      return order_by(
          items, [&](const Item& item) { return static_cast<double>(item.size) * static_cast<double>(length(item)); });
    case 2: return order_by(items, [&](const Item& item) { return std::pair(length(item), item.size); });
    case 3: return order_by(items, [](const Item& item) { return std::pair(-item.first, item.size); });
    default: return order_by(items, [](const Item& item) { return std::pair(item.last, item.size); });
  }
}

}  // namespace

Packing pack_greedily(const Part& part, const GreedyOptions& options) {
  std::optional<Packing> best;
  double visits = 0;
  for (int number = 0; number < kOrders; ++number) {
    const Order order = make_order(part.items, number);
    for (const Fit fit : {Fit::lowest, Fit::tightest}) {
      const bool late = options.deadline && std::chrono::steady_clock::now() >= *options.deadline;
      if (best && (best->height <= options.goal || late || visits >= options.visits)) return *std::move(best);
      Packing packing = place_in_order(part.items, order, fit, best ? &*best : nullptr);
      if (!best || packing.height < best->height) best = std::move(packing);
      visits += static_cast<double>(part.items.size()) * static_cast<double>(part.items.size()) / 2;
    }
  }
  return *std::move(best);
}

}  // namespace snug
