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
      top_(at(part.sections)),
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
  const bool found = refresh(all, {.first = 0, .last = sections_}) && solve(all);
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

void Search::undo_to(std::size_t mark) {
  for (; undo_.size() > mark; undo_.pop_back()) *undo_.back().where = undo_.back().value;
}

/// Searches the stretches of `span` that nothing left crosses one by one, small ones first.
bool Search::solve(const Span& span) {
  if (span.begin == span.end) return true;
  std::fill(reach_.begin() + span.first, reach_.begin() + span.last, 0);
  for (std::size_t i = span.begin; i < span.end; ++i) {
    const Item& item = items_[at(left_[i])];
    reach_[at(item.first)] = std::max(reach_[at(item.first)], item.last);
  }
  std::vector<Span> stretches;
  for (std::int32_t s = span.first; s < span.last; ++s) {
    if (reach_[at(s)] == 0) continue;
    if (stretches.empty() || s >= stretches.back().last) stretches.push_back({.first = s, .last = s});
    stretches.back().last = std::max(stretches.back().last, reach_[at(s)]);
  }
  if (stretches.size() == 1) {
    return branch({stretches[0].first, stretches[0].last, span.begin, span.end});
  }
  for (Span& stretch : stretches) {
    stretch.begin = left_.size();
    for (std::size_t i = span.begin; i < span.end; ++i) {
      const std::int32_t item = left_[i];
      if (items_[at(item)].first >= stretch.first && items_[at(item)].first < stretch.last) left_.push_back(item);
    }
    stretch.end = left_.size();
  }
  std::ranges::stable_sort(stretches, {}, [](const Span& stretch) { return stretch.end - stretch.begin; });
  return std::ranges::all_of(stretches, [&](const Span& stretch) { return branch(stretch); });
}

bool Search::branch(const Span& span) {
  if (span.end - span.begin == 1) {
    const std::size_t item = at(left_[span.begin]);
    packing_.offsets[item] = lowest_[item];
    return true;
  }
  if (out_of_work()) return false;
  const std::uint64_t key = state_key(span);
  if (!failed_.empty() && failed_[key % kFailedStates] == key) return false;
  const Choice choice = choose(span);
  std::vector<std::int32_t> items = candidates(span, choice.section);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const auto is_twin = [&](std::int32_t other) { return items_[at(other)] == items_[at(items[i])]; };
    if (std::any_of(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(i), is_twin)) continue;
    if (try_item(span, items[i])) return true;
  }
  if (choice.may_stay_empty && try_empty(span, choice)) return true;
  if (gave_up_) return false;
  if (failed_.empty()) failed_.resize(kFailedStates);
  failed_[key % kFailedStates] = key;
  return false;
}

/// Places `item` on the floor.
bool Search::try_item(const Span& span, std::int32_t item) {
  const Item& placed = items_[at(item)];
  const std::size_t undo_mark = undo_.size();
  const std::size_t left_mark = left_.size();
  packing_.offsets[at(item)] = lowest_[at(item)];
  for (std::int32_t s = placed.first; s < placed.last; ++s) set(left_size_[at(s)], left_size_[at(s)] - placed.size);
  const Raise raise{.where = placed, .floor = lowest_[at(item)] + placed.size, .without = item};
  if (descend(span, raise)) return true;
  left_.resize(left_mark);
  undo_to(undo_mark);
  return false;
}

/// Lets nothing begin on the floor of the chosen section.
bool Search::try_empty(const Span& span, const Choice& choice) {
  const std::size_t undo_mark = undo_.size();
  const std::size_t left_mark = left_.size();
  const Raise raise{.where = {.first = choice.section, .last = choice.section + 1}, .floor = choice.next_floor};
  if (descend(span, raise)) return true;
  left_.resize(left_mark);
  undo_to(undo_mark);
  return false;
}

/// Raises what is left over `raise.where` and goes on below.
bool Search::descend(const Span& span, const Raise& raise) {
  Item dirty = raise.where;
  const std::size_t begin = left_.size();
  raised_.clear();
  std::size_t i = span.begin;
  for (; i < span.end && lowest_[at(left_[i])] < raise.floor; ++i) {
    const std::int32_t item = left_[i];
    if (item == raise.without) continue;
    const Item& other = items_[at(item)];
    if (!other.overlaps(raise.where)) {
      left_.push_back(item);
      continue;
    }
    set(lowest_[at(item)], raise.floor);
    raised_.push_back(item);
    dirty.first = std::min(dirty.first, other.first);
    dirty.last = std::max(dirty.last, other.last);
  }
  left_.insert(left_.end(), raised_.begin(), raised_.end());
  for (; i < span.end; ++i) left_.push_back(left_[i]);
  work_ += static_cast<std::int64_t>(span.end - span.begin);
  const Span child{.first = span.first, .last = span.last, .begin = begin, .end = left_.size()};
  return refresh(child, dirty) && solve(child);
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
std::vector<std::int32_t> Search::candidates(const Span& span, std::int32_t section) const {
  std::vector<std::int32_t> items;
  for (std::size_t i = span.begin; i < span.end && lowest_[at(left_[i])] <= floor_[at(section)]; ++i) {
    const Item& item = items_[at(left_[i])];
    const bool begins_here = lowest_[at(left_[i])] == floor_[at(section)];
    if (begins_here && item.first <= section && section < item.last) items.push_back(left_[i]);
  }
  std::ranges::sort(items, [&](std::int32_t a, std::int32_t b) {
    return std::pair(-priority_[at(a)], a) < std::pair(-priority_[at(b)], b);
  });
  return items;
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
