#include "memory/search.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/rng.h"

namespace snug {
namespace {

constexpr std::int64_t kNothingLeft = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t kFailedStates = std::size_t{1} << 18;  // 2 MiB; a new one overwrites an old one
constexpr std::int64_t kWorkPerClock = 200'000;              // about a fifth of a millisecond

std::size_t at(std::int32_t index) { return static_cast<std::size_t>(index); }

std::uint64_t mix(std::uint64_t value) {  // Stafford's variant 13 of the Murmur3 finaliser
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
  return value ^ (value >> 31);
}

std::vector<std::uint64_t> random_keys(std::size_t count, std::uint64_t seed) {
  std::vector<std::uint64_t> keys(count);
  for (std::size_t i = 0; i < count; ++i) keys[i] = mix(seed + i * 0x9E3779B97F4A7C15);
  return keys;
}

}  // namespace

Search::Search(const Part& part)
    : items_(part.items),
      sections_(part.sections),
      lowest_(part.items.size()),
      floor_(at(part.sections)),
      left_size_(at(part.sections)),
      ready_(at(part.sections)),
      new_floor_(at(part.sections)),
      new_top_(at(part.sections)),
      new_ready_(at(part.sections)),
      reach_(at(part.sections)),
      priority_(part.items.size()),
      failures_(at(part.sections)),
      item_key_(random_keys(part.items.size(), 1)),
      section_key_(random_keys(at(part.sections), 2)) {
  packing_.offsets.resize(part.items.size());
}

Outcome Search::run(const SearchRound& round) {
  round_ = round;
  if (failed_capacity_ != round.capacity) failed_.clear();  // what failed may do with more room
  failed_capacity_ = round.capacity;
  set_priorities();
  work_end_ = round.work > std::numeric_limits<std::int64_t>::max() - work_ ? round.work : work_ + round.work;
  gave_up_ = false;
  undo_.clear();
  std::ranges::fill(lowest_, 0);
  std::ranges::fill(left_size_, 0);
  for (const Item& item : items_) {
    for (std::int32_t s = item.first; s < item.last; ++s) left_size_[at(s)] += item.size;
  }
  left_.resize(items_.size());
  std::iota(left_.begin(), left_.end(), 0);
  const Span all{.first = 0, .last = sections_, .begin = 0, .end = left_.size()};
  nodes_.clear();
  items_left_to_try_.clear();
  agenda_.clear();
  const bool found = refresh(all, {.first = 0, .last = sections_}) && explore(split(all, -1, kDone));
  if (!found) return gave_up_ ? Outcome::gave_up : Outcome::impossible;
  packing_.height = 0;
  for (std::size_t i = 0; i < items_.size(); ++i) {
    packing_.height = std::max(packing_.height, packing_.offsets[i] + items_[i].size);
  }
  return Outcome::found;
}

void Search::set_priorities() {
  Random random(random_key(++rounds_, RandomStream::initialization));
  for (std::size_t i = 0; i < items_.size(); ++i) {
    const double size = std::log(static_cast<double>(items_[i].size));
    const double lifetime = std::log(static_cast<double>(items_[i].last - items_[i].first));
    constexpr double kTie = 1e-3;  // the other one counts only where the first is nearly equal
    double value = 0;
    switch (round_.priority) {
      case Priority::area: value = lifetime + size; break;
      case Priority::lifetime: value = lifetime + kTie * size; break;
      case Priority::size: value = size + kTie * lifetime; break;
      case Priority::mixed: value = lifetime + 2 * size; break;
    }
    priority_[i] = value + round_.noise * static_cast<double>(random.uniform());
  }
}

bool Search::out_of_work() {
  if (gave_up_) return true;
  gave_up_ = work_ >= work_end_;
  if (round_.deadline && work_ >= next_clock_) {
    next_clock_ = work_ + kWorkPerClock;
    gave_up_ = gave_up_ || std::chrono::steady_clock::now() >= *round_.deadline;
  }
  return gave_up_;
}

void Search::set(std::int64_t& value, std::int64_t to) {
  if (value == to) return;
  undo_.push_back({&value, value});
  value = to;
}

/// The stretches of `span` that nothing left crosses go before `rest` on the agenda, small ones first. Returns its
/// begin.
std::int32_t Search::split(const Span& span, std::int32_t parent, std::int32_t rest) {
  std::fill(reach_.begin() + span.first, reach_.begin() + span.last, 0);
  for (std::size_t i = span.begin; i < span.end; ++i) {
    const Item& item = items_[at(left_[i])];
    reach_[at(item.first)] = std::max(reach_[at(item.first)], item.last);
  }
  stretches_.clear();
  for (std::int32_t s = span.first; s < span.last; ++s) {
    if (reach_[at(s)] == 0) continue;
    if (stretches_.empty() || s >= stretches_.back().last) stretches_.push_back({.first = s, .last = s});
    stretches_.back().last = std::max(stretches_.back().last, reach_[at(s)]);
  }
  if (stretches_.size() == 1) {
    stretches_[0].begin = span.begin;
    stretches_[0].end = span.end;
  } else {
    for (Span& stretch : stretches_) {
      stretch.begin = left_.size();
      for (std::size_t i = span.begin; i < span.end; ++i) {
        const std::int32_t item = left_[i];
        if (items_[at(item)].first >= stretch.first && items_[at(item)].first < stretch.last) left_.push_back(item);
      }
      stretch.end = left_.size();
    }
    std::ranges::stable_sort(stretches_, std::ranges::greater(), [](const Span& s) { return s.end - s.begin; });
  }
  for (const Span& stretch : stretches_) {
    agenda_.push_back({.span = stretch, .parent = parent, .rest = rest});
    rest = static_cast<std::int32_t>(agenda_.size()) - 1;
  }
  return rest;
}

/// Works through the agenda from `entry` on; false when it cannot be done or work has run out.
bool Search::explore(std::int32_t entry) {
  while (entry != kDone) {
    const Entry now = agenda_[at(entry)];
    if (now.span.end - now.span.begin == 1) {
      const std::size_t item = at(left_[now.span.begin]);
      packing_.offsets[item] = lowest_[item];
      entry = now.rest;
      continue;
    }
    if (out_of_work()) return false;
    if (!open(now)) close_to(now.parent);
    entry = advance();
    if (entry == kExhausted) return false;
  }
  return true;
}

/// A node for the span; false when its state is known to fail.
bool Search::open(const Entry& entry) {
  const std::uint64_t key = state_key(entry.span);
  if (!failed_.empty() && failed_[key % kFailedStates] == key) return false;
  Node node{.span = entry.span,
            .parent = entry.parent,
            .rest = entry.rest,
            .key = key,
            .choice = choose(entry.span),
            .next_item = items_left_to_try_.size(),
            .items_begin = items_left_to_try_.size(),
            .items_end = 0,
            .undo_mark = undo_.size(),
            .left_mark = left_.size(),
            .agenda_mark = agenda_.size()};
  list_candidates(entry.span, node.choice.section);
  node.items_end = items_left_to_try_.size();
  nodes_.push_back(node);
  return true;
}

/// Drops the nodes above `node`: what is beside it in time was done and need not be done otherwise.
void Search::close_to(std::int32_t node) {
  const std::int32_t count = node + 1;
  nodes_.resize(at(count));
  items_left_to_try_.resize(nodes_.empty() ? 0 : nodes_.back().items_end);
}

/// Takes the next choice of the last node that has one. Returns what is on the agenda then.
std::int32_t Search::advance() {
  while (!nodes_.empty()) {
    Node& node = nodes_.back();
    for (; undo_.size() > node.undo_mark; undo_.pop_back()) *undo_.back().where = undo_.back().value;
    left_.resize(node.left_mark);
    agenda_.resize(node.agenda_mark);
    const std::int32_t here = static_cast<std::int32_t>(nodes_.size()) - 1;
    Span child;
    if (node.next_item < node.items_end) {
      if (!is_twin(node) && try_item(node.span, items_left_to_try_[node.next_item], child)) {
        ++node.next_item;
        return split(child, here, node.rest);
      }
      ++node.next_item;
    } else if (node.choice.may_stay_empty) {
      node.choice.may_stay_empty = false;
      const Item section{.first = node.choice.section, .last = node.choice.section + 1};
      if (raise(node.span, {.where = section, .floor = node.choice.next_floor}, child)) {
        return split(child, here, node.rest);
      }
    } else {
      if (failed_.empty()) failed_.resize(kFailedStates);
      failed_[node.key % kFailedStates] = node.key;
      close_to(node.parent);
    }
  }
  return kExhausted;
}

/// Whether an equal item was tried before the next one.
bool Search::is_twin(const Node& node) const {
  const Item& item = items_[at(items_left_to_try_[node.next_item])];
  for (std::size_t i = node.items_begin; i < node.next_item; ++i) {
    if (items_[at(items_left_to_try_[i])] == item) return true;
  }
  return false;
}

/// Places `item` on the floor; false when the rest then does not fit.
bool Search::try_item(const Span& span, std::int32_t item, Span& child) {
  const Item& placed = items_[at(item)];
  packing_.offsets[at(item)] = lowest_[at(item)];
  for (std::int32_t s = placed.first; s < placed.last; ++s) set(left_size_[at(s)], left_size_[at(s)] - placed.size);
  return raise(span, {.where = placed, .floor = lowest_[at(item)] + placed.size, .without = item}, child);
}

/// Raises what is left over `by.where`; `child` is what is left then. False when it does not fit.
bool Search::raise(const Span& span, const Raise& by, Span& child) {
  Item dirty = by.where;
  child = {.first = span.first, .last = span.last, .begin = left_.size(), .end = 0};
  raised_.clear();
  std::size_t i = span.begin;
  for (; i < span.end && lowest_[at(left_[i])] < by.floor; ++i) {
    const std::int32_t item = left_[i];
    if (item == by.without) continue;
    const Item& other = items_[at(item)];
    if (!other.overlaps(by.where)) {
      left_.push_back(item);
      continue;
    }
    set(lowest_[at(item)], by.floor);
    raised_.push_back(item);
    dirty.first = std::min(dirty.first, other.first);
    dirty.last = std::max(dirty.last, other.last);
  }
  left_.insert(left_.end(), raised_.begin(), raised_.end());
  for (; i < span.end; ++i) left_.push_back(left_[i]);
  child.end = left_.size();
  work_ += static_cast<std::int64_t>(span.end - span.begin);
  return refresh(child, dirty);
}

/// Derives floors and tops of the dirty sections anew; false when one ends above the capacity.
bool Search::refresh(const Span& span, const Item& dirty) {
  const auto sections = [&](std::vector<std::int64_t>& of) { return of.data() + dirty.first; };
  const std::size_t count = at(dirty.last - dirty.first);
  std::fill_n(sections(new_floor_), count, kNothingLeft);
  std::fill_n(sections(new_top_), count, 0);
  std::fill_n(sections(new_ready_), count, 0);
  for (std::size_t i = span.begin; i < span.end; ++i) {
    const Item& item = items_[at(left_[i])];
    const std::int64_t lowest = lowest_[at(left_[i])];
    const std::int32_t last = std::min(item.last, dirty.last);
    for (std::int32_t s = std::max(item.first, dirty.first); s < last; ++s) {
      // Items come by ascending lowest offset, so this is also how one machine would finish them earliest.
      new_floor_[at(s)] = std::min(new_floor_[at(s)], lowest);
      new_ready_[at(s)] += new_floor_[at(s)] == lowest ? 1 : 0;
      new_top_[at(s)] = std::max(new_top_[at(s)], lowest) + item.size;
    }
    work_ += std::max(0, last - std::max(item.first, dirty.first));
  }
  bool fits = true;
  for (std::int32_t s = dirty.first; s < dirty.last; ++s) {
    if (new_top_[at(s)] <= round_.capacity) continue;
    failures_[at(s)] += 1;
    fits = false;
  }
  if (!fits) return false;
  for (std::int32_t s = dirty.first; s < dirty.last; ++s) {
    set(floor_[at(s)], new_floor_[at(s)]);
    set(ready_[at(s)], new_ready_[at(s)]);
  }
  return true;
}

Search::Choice Search::choose(const Span& span) {
  Choice best;
  for (std::int32_t s = span.first; s < span.last;) {
    std::int32_t end = s + 1;
    while (end < span.last && floor_[at(end)] == floor_[at(s)]) ++end;
    const bool is_valley =
        (s == span.first || floor_[at(s - 1)] > floor_[at(s)]) && (end == span.last || floor_[at(end)] > floor_[at(s)]);
    if (is_valley) weigh_valley(span, {.first = s, .last = end}, best);
    s = end;
  }
  return best;
}

std::pair<double, double> Search::score(std::int32_t section, double choices) const {
  const auto floor = static_cast<double>(floor_[at(section)]);
  const auto slack = static_cast<double>(round_.capacity - left_size_[at(section)]) - floor;
  switch (round_.focus) {
    case Focus::fewest_choices: return {choices, floor};
    case Focus::most_failures: return {choices / (1 + failures_[at(section)]), 0};
    case Focus::lowest_floor: return {floor, choices};
    case Focus::least_slack: break;
  }
  return {slack, choices};
}

void Search::weigh_valley(const Span& span, const Item& valley, Choice& best) {
  for (std::int32_t s = valley.first; s < valley.last; ++s) {
    const auto fitting = static_cast<double>(ready_[at(s)]);
    if (score(s, fitting) >= best.score) continue;
    const std::int64_t floor = floor_[at(s)];
    const std::int64_t slack = round_.capacity - left_size_[at(s)] - floor;
    const std::int64_t next = slack > 0 ? next_floor(span, valley, s) : kNothingLeft;
    const bool may_stay_empty = next != kNothingLeft && next - floor <= slack;
    const auto exact = score(s, fitting + (may_stay_empty ? 1 : 0));
    if (exact < best.score) best = {s, next, may_stay_empty, exact};
  }
}

/// The lowest offset above the floor that anything over `section` can have, when nothing begins on the floor there:
/// that of a buffer which does not fit the floor, or the end of one beside the section that others can rest on.
std::int64_t Search::next_floor(const Span& span, const Item& valley, std::int32_t section) {
  const std::int64_t floor = floor_[at(section)];
  std::int64_t next = kNothingLeft;
  for (std::size_t i = span.begin; i < span.end; ++i) {
    const std::int64_t lowest = lowest_[at(left_[i])];
    if (lowest >= next) break;
    const Item& item = items_[at(left_[i])];
    if (!item.overlaps(valley)) continue;
    if (item.first > section || section >= item.last) {
      next = std::min(next, lowest + item.size);
    } else if (lowest > floor) {
      next = std::min(next, lowest);
    }
  }
  work_ += static_cast<std::int64_t>(span.end - span.begin) / 4;
  return next;
}

/// What can begin on the floor of `section`, by descending priority.
void Search::list_candidates(const Span& span, std::int32_t section) {
  const std::size_t begin = items_left_to_try_.size();
  for (std::size_t i = span.begin; i < span.end && lowest_[at(left_[i])] <= floor_[at(section)]; ++i) {
    const Item& item = items_[at(left_[i])];
    const bool begins_here = lowest_[at(left_[i])] == floor_[at(section)];
    if (begins_here && item.first <= section && section < item.last) items_left_to_try_.push_back(left_[i]);
  }
  std::sort(items_left_to_try_.begin() + static_cast<std::ptrdiff_t>(begin), items_left_to_try_.end(),
            [&](std::int32_t a, std::int32_t b) {
              return std::pair(-priority_[at(a)], a) < std::pair(-priority_[at(b)], b);
            });
}

/// Of the floors and of what is left; never 0.
std::uint64_t Search::state_key(const Span& span) const {
  std::uint64_t key = 0;
  for (std::size_t i = span.begin; i < span.end; ++i) key ^= item_key_[at(left_[i])];
  for (std::int32_t s = span.first; s < span.last; ++s) {
    key += mix(section_key_[at(s)] ^ static_cast<std::uint64_t>(floor_[at(s)]));
  }
  return key | 1;
}

}  // namespace snug
