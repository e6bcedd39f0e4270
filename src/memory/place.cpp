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
  std::int64_t work = std::numeric_limits<std::int64_t>::max();
};

/// The best packing of one part so far, and what is proven about it.
class PartSolver {
 public:
  PartSolver(const Part& part, std::int64_t goal, const Limits& limits)
      : part_(&part),
        best_(pack_greedily(part, {.goal = goal, .deadline = limits.deadline})),
        bound_(part.lower_bound) {
    // A first dive must not end for want of work: it costs about a third of buffers × their sections.
    double sections = 0;
    for (const Item& item : part.items) sections += item.last - item.first;
    const double dive =
        static_cast<double>(part.items.size()) * (static_cast<double>(part.items.size()) + sections) / 2;
    first_work_ = std::clamp(dive, kLeastWork, kMostWork);
    searchable_ = part.items.size() <= kMostItems;
  }

  [[nodiscard]] const Packing& best() const { return best_; }
  [[nodiscard]] std::int64_t bound() const { return bound_; }  ///< no packing is lower
  [[nodiscard]] bool searchable() const { return searchable_; }

  /// One round of search for a packing of height `goal`, or, unless `only_goal`, every other time for one between that
  /// and the best so far. Returns its work.
  std::int64_t step(std::int64_t goal, bool only_goal, const Limits& limits) {
    const std::int64_t lowest = std::max(goal, bound_);
    // The more rounds between were fruitless, the nearer the aim comes to what is known to be possible.
    const std::int64_t range = best_.height - lowest;
    const std::int64_t between = best_.height - std::max<std::int64_t>(1, range >> (1 + std::min(fruitless_ / 4, 40)));
    const bool at_goal = only_goal || low_.rounds <= high_.rounds || between == lowest;
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
  static constexpr double kLeastWork = 1e6;  // some milliseconds
  static constexpr double kMostWork = 1e12;
  static constexpr std::size_t kMostItems = 20'000;  // the search goes one stack frame a buffer deep

  /// Rounds with one aim: a search remembers what failed at its capacity.
  struct Aim {
    std::unique_ptr<Search> search;
    int rounds = 0;
  };

  SearchRound next_round(Aim& aim, std::int64_t target, const Limits& limits) const {
    // No way is best for all: together they solve in milliseconds what each alone may not in minutes.
    constexpr std::array kFocus{Focus::least_slack, Focus::most_failures, Focus::fewest_choices, Focus::lowest_floor};
    constexpr std::array kPriority{Priority::mixed, Priority::size, Priority::area, Priority::lifetime};
    constexpr int kWays = 16;
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

/// Works on the part that makes the height until no packing can be lower, or `goal` is reached where there is one.
/// Returns whether the height is proven to be the least.
bool lower(std::vector<PartSolver>& solvers, const Problem& problem, std::optional<std::int64_t> goal, Limits limits) {
  const auto bound = [&] { return std::ranges::max_element(solvers, {}, &PartSolver::bound)->bound(); };
  while (true) {
    PartSolver& solver = highest(solvers);
    const std::int64_t least = std::max(bound(), problem.lower_bound);
    if (solver.best().height <= least) return true;
    if (goal && (solver.best().height <= *goal || least > *goal)) return false;
    if (is_over(limits) || !solver.searchable()) return false;
    limits.work -= solver.step(goal ? *goal : least, goal.has_value(), limits);
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
  result.optimal = lower(solvers, problem, goal, limits);
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
  constexpr std::int64_t kWork = 40'000'000;  // at most 0.1 s, and rarely any: a batch search places dozens of programs
  return run(buffers, options.alignment_bytes, std::nullopt, {.deadline = std::nullopt, .work = kWork});
}

Placement solve(std::span<const Buffer> buffers, const SolveOptions& options) {
  const auto limit = std::chrono::duration<double>(std::clamp(options.time_limit_seconds, 0.0, 1e9));
  const auto deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(limit);
  return run(buffers, options.alignment_bytes, options.capacity_bytes, {.deadline = deadline});
}

}  // namespace snug
