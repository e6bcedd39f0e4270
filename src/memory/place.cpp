// Fast packings first; where they miss the lower bound, an exact search, part by part, with more and more work a round.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "base/ensure.h"
#include "memory/greedy.h"
#include "memory/placement.h"
#include "memory/problem.h"
#include "memory/search.h"

namespace snug {
namespace {

using Clock = std::chrono::steady_clock;

/// What ends the search.
struct Limits {
  std::optional<Clock::time_point> deadline;
  std::int64_t work = std::numeric_limits<std::int64_t>::max();  ///< of the search
  double visits = 1e12;                                          ///< of the greedy orders
};

/// The best packing of one part so far, and what is proven about it.
class PartSolver {
 public:
  PartSolver(const Part& part, std::int64_t goal, const Limits& limits)
      : part_(&part),
        best_(pack_greedily(part, {.goal = goal, .visits = limits.visits, .deadline = limits.deadline})),
        bound_(part.lower_bound) {
    // A first dive must not end for want of work: it costs about a third of buffers × their sections.
    double sections = 0;
    double size = 0;
    for (const Item& item : part.items) {
      sections += item.last - item.first;
      size += static_cast<double>(item.size);
    }
    const double dive =
        static_cast<double>(part.items.size()) * (static_cast<double>(part.items.size()) + sections) / 2;
    first_work_ = std::clamp(dive, kLeastWork, kMostWork);
    searchable_ = part.items.size() <= kMostItems && size <= kMostSize;
  }

  [[nodiscard]] const Packing& best() const { return best_; }
  [[nodiscard]] std::int64_t bound() const { return bound_; }  ///< no packing is lower
  [[nodiscard]] bool searchable() const { return searchable_; }

  /// One round of search for a packing of height `goal`, or sometimes for one between that and the best so far: every
  /// other time, and where only the goal is of use one time in four after a while. Returns its work.
  std::int64_t step(std::int64_t goal, bool only_goal, const Limits& limits) {
    const std::int64_t lowest = std::max(goal, bound_);
    // The more rounds between were fruitless, the nearer the aim comes to what is known to be possible.
    const std::int64_t range = best_.height - lowest;
    const std::int64_t between = best_.height - std::max<std::int64_t>(1, range >> (1 + std::min(fruitless_ / 4, 40)));
    const bool goal_is_due =
        only_goal ? low_.rounds < kWays || low_.rounds <= 3 * high_.rounds : low_.rounds <= high_.rounds;
    const bool at_goal = goal_is_due || between == lowest;
    const std::int64_t target = at_goal ? lowest : between;
    Aim& aim = at_goal ? low_ : high_;
    if (!aim.search) aim.search = std::make_unique<Search>(*part_);
    const std::int64_t before = aim.search->work();
    const Outcome outcome = aim.search->run(next_round(aim, target, limits));
    if (outcome == Outcome::found) best_ = aim.search->packing();
    if (outcome == Outcome::impossible) bound_ = target + 1;
    if (!at_goal) fruitless_ = outcome == Outcome::gave_up ? fruitless_ + 1 : 0;
    return aim.search->work() - before;
  }

 private:
  static constexpr int kWays = 16;
  static constexpr double kLeastWork = 1e6;  // some milliseconds
  static constexpr double kMostWork = 1e12;
  static constexpr std::size_t kMostItems = 8'000;  // a search may hold as many lists as it is deep: some 100 MiB

  static constexpr double kMostSize = 0x1p61;  // keeps sums of two offsets in 64 bits

  /// Rounds with one aim: a search remembers what failed at its capacity.
  struct Aim {
    std::unique_ptr<Search> search;
    int rounds = 0;
  };

  SearchRound next_round(Aim& aim, std::int64_t target, const Limits& limits) const {
    // No way is best for all: together they solve in milliseconds what each alone may not in minutes.
    constexpr std::array kFocus{Focus::least_slack, Focus::most_failures, Focus::fewest_choices, Focus::lowest_floor};
    constexpr std::array kPriority{Priority::mixed, Priority::size, Priority::area, Priority::lifetime};
    constexpr double kNoise = 0.7;
    constexpr double kGrowth = 1.5;
    const int way = aim.rounds % kWays;
    const int turn = aim.rounds / kWays;
    ++aim.rounds;
    const double work = std::min(first_work_ * std::pow(kGrowth, turn), kMostWork);
    return {.capacity = target,
            .focus = kFocus[static_cast<std::size_t>(way % 4)],
            .priority = kPriority[static_cast<std::size_t>(way / 4)],
            .noise = turn == 0 ? 0 : kNoise,
            .work = std::min(static_cast<std::int64_t>(work), limits.work),
            .deadline = limits.deadline};
  }

  const Part* part_;
  Packing best_;
  std::int64_t bound_;
  Aim low_, high_;
  double first_work_ = 0;
  int fruitless_ = 0;
  bool searchable_ = true;
};

bool is_over(const Limits& limits) { return limits.work <= 0 || (limits.deadline && Clock::now() >= *limits.deadline); }

PartSolver& highest(std::vector<PartSolver>& solvers) {
  return *std::ranges::max_element(solvers, {}, [](const PartSolver& solver) { return solver.best().height; });
}

struct Proof {
  std::int64_t bound = 0;  // units: nothing is lower
  bool optimal = false;    // and that is the height
};

/// Works on the part that makes the height until no packing can be lower, or `goal` is reached where there is one.
Proof lower(std::vector<PartSolver>& solvers, std::optional<std::int64_t> goal, Limits limits) {
  while (true) {
    PartSolver& solver = highest(solvers);
    const std::int64_t bound = std::ranges::max_element(solvers, {}, &PartSolver::bound)->bound();
    const std::int64_t height = solver.best().height;
    if (height <= bound) return {.bound = bound, .optimal = true};
    const bool decided = goal && (height <= *goal || bound > *goal);
    if (decided || is_over(limits) || !solver.searchable()) return {.bound = bound, .optimal = false};
    limits.work -= solver.step(goal.value_or(bound), goal.has_value(), limits);
  }
}

Placement run(std::span<const Buffer> buffers, std::int64_t alignment, std::optional<std::int64_t> capacity,
              Limits limits) {
  alignment = std::max<std::int64_t>(1, alignment);
  const Problem problem = make_problem(buffers, alignment);
  Placement result{.offsets = std::vector<std::int64_t>(buffers.size(), 0),
                   .height_bytes = 0,
                   .lower_bound_bytes = live_peak(buffers).bytes,
                   .optimal = true};
  if (problem.parts.empty()) return result;
  std::optional<std::int64_t> goal;
  if (capacity) goal = *capacity / problem.unit;
  if (goal && *goal < problem.lower_bound) limits.deadline = Clock::now();  // hopeless: the first packing will do
  std::vector<PartSolver> solvers;
  solvers.reserve(problem.parts.size());
  for (const Part& part : problem.parts) {
    solvers.emplace_back(part, std::max(problem.lower_bound, goal.value_or(0)), limits);
  }
  const Proof proof = lower(solvers, goal, limits);
  result.proven_bound_bytes = proof.bound * problem.unit;
  result.optimal = proof.optimal;
  for (std::size_t p = 0; p < solvers.size(); ++p) {
    const Part& part = problem.parts[p];
    for (std::size_t i = 0; i < part.items.size(); ++i) {
      const std::uint32_t buffer = part.buffers[i];
      result.offsets[buffer] = solvers[p].best().offsets[i] * problem.unit;
      result.height_bytes = std::max(result.height_bytes, result.offsets[buffer] + buffers[buffer].size_bytes);
    }
  }
  return result;
}

}  // namespace

Placement place(std::span<const Buffer> buffers, const PlacementOptions& options) {
  // At most some 0.1 s each, and mostly a few milliseconds in all: a batch search places dozens of programs.
  constexpr std::int64_t kWork = 40'000'000;
  constexpr double kVisits = 1e8;
  return run(buffers, options.alignment_bytes, options.enough_bytes,
             {.deadline = {}, .work = kWork, .visits = kVisits});
}

Placement solve(std::span<const Buffer> buffers, const SolveOptions& options) {
  const auto limit = std::chrono::duration<double>(std::clamp(options.time_limit_seconds, 0.0, 1e9));
  const auto deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(limit);
  return run(buffers, options.alignment_bytes, options.capacity_bytes, {.deadline = deadline});
}

}  // namespace snug
