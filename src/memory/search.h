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
  static constexpr std::int32_t kDone = -1, kExhausted = -2;  // for the begin of an agenda
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

  /// A span that must still be searched, the node whose choice made it, and what is on the agenda behind it.
  struct Entry {
    Span span;
    std::int32_t parent = -1, rest = kDone;
  };
  /// A span that is being searched. When it fails, its parent's choice has.
  struct Node {
    Span span;
    std::int32_t parent = -1, rest = kDone;
    std::uint64_t key = 0;
    Choice choice;
    std::size_t next_item = 0, items_begin = 0, items_end = 0;  // of items_left_to_try_
    std::size_t undo_mark = 0, left_mark = 0, agenda_mark = 0;  // as they were before its choices
  };
  void set_priorities();
  bool out_of_work();
  void set(std::int64_t& value, std::int64_t to);
  std::int32_t split(const Span& span, std::int32_t parent, std::int32_t rest);
  bool explore(std::int32_t entry);
  bool open(const Entry& entry);
  void close_to(std::int32_t node);
  std::int32_t advance();
  [[nodiscard]] bool is_twin(const Node& node) const;
  bool try_item(const Span& span, std::int32_t item, Span& child);
  bool raise(const Span& span, const Raise& by, Span& child);
  bool refresh(const Span& span, const Item& dirty);
  Choice choose(const Span& span);
  [[nodiscard]] std::pair<double, double> score(std::int32_t section, double choices) const;
  void weigh_valley(const Span& span, const Item& valley, Choice& best);
  std::int64_t next_floor(const Span& span, const Item& valley, std::int32_t section);
  void list_candidates(const Span& span, std::int32_t section);
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
  std::vector<Entry> agenda_;
  std::vector<Node> nodes_;  // a stack, as those below: how deep it goes is no matter of the program's own
  std::vector<std::int32_t> items_left_to_try_;
  std::vector<Span> stretches_;  // scratch of split
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
