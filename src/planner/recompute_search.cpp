#include "planner/recompute_search.h"

#include <algorithm>
#include <queue>

#include "base/round.h"
#include "planner/cost_model.h"

namespace snug {

namespace {

/// Where nothing is known of the device: the balance of a usual processor, 10 FLOP a byte.
DeviceRates known(const DeviceRates& rates) {
  return rates.flops_per_second > 0 && rates.bytes_per_second > 0 ? rates : DeviceRates{1e12, 1e11};
}

}  // namespace

DropEvaluator::DropEvaluator(const Program& program, const std::vector<std::int64_t>& workspace_bytes,
                             const DeviceRates& rates, bool in_place)
    : model_(program),
      storages_(std::ssize(program.storages)),
      once_(program.steps.size()),
      again_(program.steps.size()),
      in_place_(program.steps.size()),
      in_place_again_(program.steps.size()) {
  for (const Storage& storage : program.storages) {
    names_.push_back(storage.name);
    bytes_.push_back(storage.arena == Arena::transient ? round_up(storage.size_bytes, kArenaAlignmentBytes) : 0);
  }
  set_workspaces(workspace_bytes);
  const std::vector<double> spared = spared_by_again(program, known(rates));
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    const Step& step = program.steps[i];
    const auto index = static_cast<std::int32_t>(i);
    add_touched(model_.reads(index), model_.writes(index), once_[i]);
    add_touched(model_.reads_once_more(index), model_.writes_once_more(index), again_[i]);
    const bool possible = again_[i].begin < again_[i].end;
    again_seconds_.push_back(possible ? step_seconds(program, step_again(step), known(rates)) - spared[i] : 0);
    if (!in_place) continue;
    in_place_[i] = pairs_of(program, step);
    if (possible) in_place_again_[i] = pairs_of(program, step_again(step));
  }
}

void DropEvaluator::set_workspaces(const std::vector<std::int64_t>& bytes) {
  workspace_ = bytes;
  for (std::int64_t& one : workspace_) one = round_up(one, kArenaAlignmentBytes);
}

/// The storages that the step may merge, if the input's dies there.
std::vector<DropEvaluator::InPlacePair> DropEvaluator::pairs_of(const Program& program, const Step& step) {
  std::vector<InPlacePair> pairs;
  for (const InPlace& pair : in_place_operands(step)) {
    if (!can_share_storage(program, step, pair)) continue;
    pairs.push_back({program[step.operands[pair.output].tensor].view.storage.value,
                     program[step.operands[pair.input].tensor].view.storage.value});
  }
  return pairs;
}

void DropEvaluator::add_touched(std::span<const std::int32_t> reads, std::span<const std::int32_t> writes, Span& span) {
  span.begin = static_cast<std::int32_t>(touched_.size());
  for (const std::span<const std::int32_t> list : {reads, writes}) {
    for (const std::int32_t storage : list) {
      const bool known_already = std::find(touched_.begin() + span.begin, touched_.end(), storage) != touched_.end();
      if (bytes_[static_cast<std::size_t>(storage)] > 0 && !known_already) touched_.push_back(storage);
    }
  }
  span.end = static_cast<std::int32_t>(touched_.size());
}

template <class Visit>
void DropEvaluator::touch(const ScheduledStep& item, const std::vector<char>& dropped, const Visit& visit) const {
  const auto step = static_cast<std::size_t>(item.step);
  const Span span = item.again ? again_[step] : once_[step];
  const bool second = model_.reads_again(item);
  for (std::int32_t i = span.begin; i < span.end; ++i) {
    const std::int32_t storage = touched_[static_cast<std::size_t>(i)];
    const bool in_second_life = second && dropped[static_cast<std::size_t>(storage)] != 0;
    visit(in_second_life ? storage + static_cast<std::int32_t>(storages_) : storage);
  }
}

DropCost DropEvaluator::cost(const std::vector<char>& dropped) {
  double ignored = 0;
  return cost(dropped, std::numeric_limits<std::int64_t>::max(), ignored);
}

DropCost DropEvaluator::cost(const std::vector<char>& dropped, std::int64_t limit, double& excess) {
  DropCost result;
  excess = 0;
  model_.schedule(dropped, order_);
  last_use_.assign(2 * dropped.size(), -1);
  alive_.assign(2 * dropped.size(), 0);
  const auto at = [](std::int32_t version) { return static_cast<std::size_t>(version); };
  for (std::size_t i = 0; i < order_.steps.size(); ++i) {
    touch(order_.steps[i], dropped,
          [&](std::int32_t version) { last_use_[at(version)] = static_cast<std::int32_t>(i); });
  }
  const auto bytes_of = [&](std::int32_t version) {
    return bytes_[at(version) < dropped.size() ? at(version) : at(version) - dropped.size()];
  };
  std::int64_t live = 0;
  for (std::size_t i = 0; i < order_.steps.size(); ++i) {
    const ScheduledStep& item = order_.steps[i];
    const auto now = static_cast<std::int32_t>(i);
    if (result.turn_bytes == 0 && model_.reads_again(item)) result.turn_bytes = live;
    if (item.again) result.extra_seconds += again_seconds_[at(item.step)];
    const bool second = model_.reads_again(item);
    const auto version_of = [&](std::int32_t storage) {
      return second && dropped[at(storage)] != 0 ? storage + static_cast<std::int32_t>(storages_) : storage;
    };
    for (const InPlacePair& pair : (item.again ? in_place_again_ : in_place_)[at(item.step)]) {
      const std::int32_t x = version_of(pair.input);
      if (alive_[at(version_of(pair.output))] != 0 || last_use_[at(x)] != now || alive_[at(x)] == 0) continue;
      live -= bytes_of(x);
      alive_[at(x)] = 0;
      last_use_[at(x)] = -1;  // gone: its bytes are the output's now
      break;
    }
    touch(item, dropped, [&](std::int32_t version) {
      if (alive_[at(version)] != 0 || last_use_[at(version)] < 0) return;
      alive_[at(version)] = 1;
      live += bytes_of(version);
    });
    const std::int64_t here = live + workspace_[at(item.step)];
    result.peak_bytes = std::max(result.peak_bytes, here);
    if (here > limit) excess += static_cast<double>(here - limit);
    touch(item, dropped, [&](std::int32_t version) {
      if (last_use_[at(version)] != now || alive_[at(version)] == 0) return;
      alive_[at(version)] = 0;
      live -= bytes_of(version);
    });
  }
  return result;
}

std::vector<char> DropEvaluator::quicker_again() {
  std::vector<char> all = model_.nothing(), one = all;
  for (const std::int32_t candidate : model_.candidates()) {
    const auto index = static_cast<std::size_t>(candidate);
    one[index] = 1;
    if (cost(one).extra_seconds < 0) all[index] = 1;
    one[index] = 0;
  }
  return all;
}

Dropped DropEvaluator::names(const std::vector<char>& dropped) const {
  Dropped names;
  for (const std::int32_t candidate : model_.candidates()) {
    if (dropped[static_cast<std::size_t>(candidate)] != 0) names.insert(names_[static_cast<std::size_t>(candidate)]);
  }
  return names;
}

std::vector<char> DropEvaluator::choice(const Dropped& names) const {
  std::vector<char> dropped = model_.nothing();
  for (const std::int32_t candidate : model_.candidates()) {
    const auto index = static_cast<std::size_t>(candidate);
    dropped[index] = names.contains(names_[index]) ? 1 : 0;
  }
  return dropped;
}

namespace {

/// Walks down the ladder, each rung from the one above, and up again, each from the one below: what a walk has missed
/// on its way, the other often finds.
class Ladder {
 public:
  explicit Ladder(DropEvaluator& evaluator) : evaluator_(evaluator), dropped_(evaluator.model().nothing()) {}

  std::vector<std::vector<char>> build() {
    rungs_.push_back(rung(dropped_));
    limits_.push_back(rungs_.back().cost.peak_bytes);
    while (std::ssize(rungs_) < kMostRungs) {
      const auto limit = static_cast<std::int64_t>(static_cast<double>(limits_.back()) * kStep);
      if (!reach(limit)) break;
      restore(limit);
      rungs_.push_back(rung(dropped_));
      limits_.push_back(limit);
    }
    for (int walk = 0; walk < kWalks; ++walk) {
      for (std::size_t i = rungs_.size(); i-- > 1;) {
        if (i + 1 < rungs_.size()) dropped_ = rungs_[i + 1].dropped;
        restore(limits_[i]);
        keep_better(i);
      }
      for (std::size_t i = 1; i < rungs_.size(); ++i) {
        dropped_ = rungs_[i - 1].dropped;
        if (!reach(limits_[i])) continue;
        restore(limits_[i]);
        keep_better(i);
      }
    }
    std::vector<std::vector<char>> choices;
    choices.reserve(rungs_.size());
    for (Rung& one : rungs_) choices.push_back(std::move(one.dropped));
    return choices;
  }

 private:
  static constexpr std::int64_t kMostRungs = 160;
  static constexpr double kStep = 0.98;  // of the peak, from rung to rung
  static constexpr int kWalks = 1;       // up and down again

  struct Rung {
    std::vector<char> dropped;
    DropCost cost;
  };
  Rung rung(const std::vector<char>& dropped) { return {dropped, evaluator_.cost(dropped)}; }
  void keep_better(std::size_t i) {
    Rung found = rung(dropped_);
    if (found.cost.extra_seconds < rungs_[i].cost.extra_seconds) rungs_[i] = std::move(found);
  }

  struct Offer {
    double value = 0;
    std::int32_t storage = 0;
    std::int64_t round = 0;
    bool operator<(const Offer& other) const {
      return value != other.value ? value < other.value : storage > other.storage;
    }
  };

  char& is_dropped(std::int32_t storage) { return dropped_[static_cast<std::size_t>(storage)]; }

  /// Takes the best offer again and again. An offer seldom gets better by what else is taken, so one that was poor,
  /// also when it was last asked for, is not looked at again before the others have become as poor. `make(storage)`:
  /// what taking it is worth now, at most 0 for nothing; `take(storage)` takes it; `enough()` ends the walk.
  template <class Make, class Take, class Enough>
  bool take_best(bool of_dropped, std::vector<double>& worth, const Make& make, const Take& take,
                 const Enough& enough) {
    worth.resize(dropped_.size(), std::numeric_limits<double>::max());  // never asked for: looked at first
    std::int64_t round = 0;
    bool fresh = false;
    std::priority_queue<Offer> offers;
    while (!enough()) {
      if (offers.empty()) {
        if (fresh) return false;
        fresh = true;
        for (const std::int32_t candidate : evaluator_.model().candidates()) {
          if ((is_dropped(candidate) != 0) != of_dropped) continue;
          offers.push({worth[static_cast<std::size_t>(candidate)], candidate, -1});
        }
        if (offers.empty()) return false;
        continue;
      }
      Offer best = offers.top();
      offers.pop();
      if (best.round != round) {
        best = {make(best.storage), best.storage, round};
        if (best.value <= 0) continue;
        worth[static_cast<std::size_t>(best.storage)] = best.value;
        if (!offers.empty() && best < offers.top()) {
          offers.push(best);
          continue;
        }
      }
      take(best.storage);
      ++round;
      fresh = false;
    }
    return true;
  }

  static constexpr double kLeastSeconds = 1e-9;  // what costs nothing comes first

  /// Drops until `limit` holds: the most bytes · steps of excess, as a share of all of it, for a second more.
  bool reach(std::int64_t limit) {
    double excess = 0;
    DropCost cost = evaluator_.cost(dropped_, limit, excess);
    const auto make = [&](std::int32_t storage) {
      is_dropped(storage) = 1;
      double left = 0;
      const DropCost with = evaluator_.cost(dropped_, limit, left);
      is_dropped(storage) = 0;
      return (excess - left) / excess / std::max(with.extra_seconds - cost.extra_seconds, kLeastSeconds);
    };
    const auto take = [&](std::int32_t storage) {
      is_dropped(storage) = 1;
      cost = evaluator_.cost(dropped_, limit, excess);
    };
    return take_best(false, drop_worth_, make, take, [&] { return excess <= 0; });
  }

  /// Keeps again what `limit` has room for: the most seconds less for a byte of it.
  void restore(std::int64_t limit) {
    double excess = 0;
    DropCost cost = evaluator_.cost(dropped_, limit, excess);
    const auto make = [&](std::int32_t storage) {
      if (cost.turn_bytes + evaluator_.bytes(storage) > limit) return 0.0;
      is_dropped(storage) = 0;
      const DropCost with = evaluator_.cost(dropped_, limit, excess);
      is_dropped(storage) = 1;
      if (excess > 0) return 0.0;
      const double bytes = static_cast<double>(evaluator_.bytes(storage));
      return std::max(cost.extra_seconds - with.extra_seconds, kLeastSeconds) / bytes;
    };
    const auto take = [&](std::int32_t storage) {
      is_dropped(storage) = 0;
      cost = evaluator_.cost(dropped_, limit, excess);
    };
    (void)take_best(true, keep_worth_, make, take, [] { return false; });
  }

  DropEvaluator& evaluator_;
  std::vector<char> dropped_;
  std::vector<Rung> rungs_;
  std::vector<std::int64_t> limits_;             // by rung
  std::vector<double> drop_worth_, keep_worth_;  // by storage: what an offer was when last asked for
};

}  // namespace

std::vector<std::vector<char>> recompute_ladder(DropEvaluator& evaluator) { return Ladder(evaluator).build(); }

}  // namespace snug
