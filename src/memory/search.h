// Exact search for a packing within a capacity: depth-first, along the skyline.
//
// The skyline is the floor of every section: no buffer that is not placed yet can begin below it there. It is that of
// the buffers placed, raised to the lowest offset that any buffer left can have in the section. In a valley, a stretch
// of sections with one floor between higher ones, nothing can ever come below a buffer that begins on the floor. So
// for one section of a valley there are as many choices as buffers that fit its floor, and one more: that nothing
// begins there, which raises the floor of that section to the next offset anything can have. The section with the
// fewest choices is taken first. A section whose floor and sizes left exceed the capacity ends a branch, and so does
// a state (floors, buffers left) that has failed before. Stretches of time that nothing left crosses are searched one
// by one.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "memory/problem.h"

namespace snug {

/// Which section of all valleys is branched on.
enum class Focus : std::uint8_t { fewest_choices, most_failures, lowest_floor, least_slack };
/// Which buffer is tried first.
enum class Priority : std::uint8_t { area, lifetime, size, mixed };

struct SearchRound {
  std::int64_t capacity = 0;  ///< units
  Focus focus = Focus::fewest_choices;
  Priority priority = Priority::area;
  double noise = 0;                                              ///< how far priorities are blurred, in powers of e
  std::int64_t work = std::numeric_limits<std::int64_t>::max();  ///< ends the round; one unit is about a nanosecond
  std::optional<std::chrono::steady_clock::time_point> deadline;
};

enum class Outcome : std::uint8_t { found, impossible, gave_up };

/// Rounds over one part share what they learned: states that fail, sections that often do.
class Search {
 public:
  explicit Search(const Part& part);  ///< the part must outlive the search
  /// Deterministic, but for the deadline.
  [[nodiscard]] Outcome run(const SearchRound& round);
  /// After `found`.
  [[nodiscard]] const Packing& packing() const { return packing_; }
  /// Of all rounds together.
  [[nodiscard]] std::int64_t work() const { return work_; }

 private:
  /// Sections, and the items left in them: a stretch of left_.
  struct Span {
    std::int32_t first = 0, last = 0;
    std::size_t begin = 0, end = 0;
  };
  struct Undo {
    std::int64_t* where;
    std::int64_t value;
  };
  struct Choice {
    std::int32_t section = -1;
    std::int64_t next_floor = 0;  // where the section's floor goes when nothing begins on it
    bool may_stay_empty = false;
    std::pair<double, double> score{std::numeric_limits<double>::max(), 0};
  };
  /// Nothing left can begin below `floor` over `where`.
  struct Raise {
    Item where;
    std::int64_t floor = 0;
    std::int32_t without = -1;  // the item that was placed
  };

  void set_priorities();
  bool out_of_work();
  void set(std::int64_t& value, std::int64_t to);
  void undo_to(std::size_t mark);
  bool solve(const Span& span);
  bool branch(const Span& span);
  bool try_item(const Span& span, std::int32_t item);
  bool try_empty(const Span& span, const Choice& choice);
  bool descend(const Span& span, const Raise& raise);
  bool refresh(const Span& span, const Item& dirty);
  Choice choose(const Span& span);
  [[nodiscard]] std::pair<double, double> score(std::int32_t section, double choices) const;
  void weigh_valley(const Span& span, const Item& valley, Choice& best);
  std::int64_t next_floor(const Span& span, const Item& valley, std::int32_t section);
  [[nodiscard]] std::vector<std::int32_t> candidates(const Span& span, std::int32_t section) const;
  [[nodiscard]] std::uint64_t state_key(const Span& span) const;

  const std::vector<Item>& items_;
  std::int32_t sections_;
  SearchRound round_;
  std::vector<std::int64_t> lowest_;             // by item: the lowest offset it can have
  std::vector<std::int64_t> floor_, top_;        // by section
  std::vector<std::int64_t> left_size_, ready_;  // by section: sizes left; how many can begin on the floor
  std::vector<std::int64_t> new_floor_, new_top_, new_ready_;  // scratch of refresh
  std::vector<std::int32_t> left_;                             // lists of items not placed, each ordered by lowest_
  std::vector<std::int32_t> raised_, reach_;                   // scratch of descend and solve
  std::vector<Undo> undo_;
  std::vector<double> priority_, failures_;  // by item, by section
  std::vector<std::uint64_t> item_key_, section_key_, failed_;
  std::int64_t failed_capacity_ = -1;
  std::int64_t work_ = 0, work_end_ = 0, next_clock_ = 0;
  std::uint64_t rounds_ = 0;
  bool gave_up_ = false;
  Packing packing_;
};

}  // namespace snug
