#include "planner/ladders.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "planner/cost_model.h"
#include "planner/ladder_cache.h"
#include "planner/recompute_search.h"

namespace snug {

std::int64_t micro_batch(const Candidate& candidate) {
  return (candidate.batch + candidate.parts - 1) / candidate.parts;
}

LoweringOptions train_options(const PlanRequest& request, const Candidate& candidate, const Rewrites& rewrites,
                              const DeviceRates& rates) {
  LoweringOptions options = request.lowering;
  options.training = true;
  options.with_loss = true;
  options.use_average = false;
  options.batch = candidate.batch;
  options.parts = std::min(candidate.parts, candidate.batch);
  options.split = rewrites.split;
  options.recomputed = rewrites.recomputed;
  options.offloaded = rewrites.offloaded;
  if (rates.bytes_per_second > 0) {
    options.step_seconds = [rates](const Program& program, const Step& step) {
      return step_seconds(program, step, rates);
    };
  }
  options.eager_update = rewrites.eager_update;
  return options;
}

Program lower_open(const Graph& graph, const PlanRequest& request, const Candidate& candidate, const Split& split,
                   bool eager_update) {
  LoweringOptions options = train_options(
      request, candidate, {.split = split, .recomputed = {}, .offloaded = {}, .eager_update = eager_update});
  options.in_place = false;
  return lower(graph, options);
}

std::vector<Split> splits_of(const Graph& graph, const PlanRequest& request) {
  constexpr std::int64_t kParts = 8;  // with less the slices are large, with more the search is slow
  constexpr std::size_t kMostSplits = 3;
  std::vector<Split> splits{{}};
  if (!request.strategies.split) return splits;
  const Program plain = lower_open(graph, request, kLadderCandidate);
  const std::vector<std::string> points = split_points(plain);
  std::int64_t largest = 0;
  for (const TensorInfo& tensor : plain.tensors) {  // in the order in which they are made
    const Storage& storage = plain[tensor.view.storage];
    if (tensor.role != Role::activation || splits.size() > kMostSplits) continue;
    if (2 * storage.size_bytes <= largest && std::ranges::find(points, storage.name) != points.end()) {
      splits.push_back({.until = storage.name, .parts = kParts});
      largest = storage.size_bytes;
    }
    largest = std::max(largest, storage.size_bytes);
  }
  return splits;
}

namespace {

/// Names of what can wait on the host, in the order of the forward pass: what is kept longest first. What is small is
/// not worth a copy.
std::vector<std::string> movable(const Program& open) {
  constexpr std::int64_t kShare = 512;  // of all that can be moved
  const std::vector<OffloadCandidate> candidates = offload_candidates(open);
  std::int64_t all = 0;
  for (const OffloadCandidate& one : candidates) all += one.bytes;
  std::vector<std::string> names;
  for (const OffloadCandidate& one : candidates) {
    if (one.bytes * kShare >= all) names.push_back(open[one.storage].name);
  }
  return names;
}

void add_offloaded(const Program& open, const std::vector<Dropped>& rungs, Ladders& made) {
  constexpr std::size_t kLevels = 8;
  const std::vector<std::string> names = movable(open);
  if (names.empty()) return;
  for (std::size_t level = 1; level <= kLevels; ++level) {
    const std::size_t count = (names.size() * level + kLevels - 1) / kLevels;
    Rewrites few;
    few.offloaded.insert(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(count));
    if (made.few_offloaded.empty() || made.few_offloaded.back().offloaded.size() < count) {
      made.few_offloaded.push_back(std::move(few));
    }
  }
  for (std::size_t level = 0; level <= kLevels; ++level) {
    const std::size_t rung = (rungs.size() - 1) * level / kLevels;
    if (level > 0 && rung == (rungs.size() - 1) * (level - 1) / kLevels) continue;
    Rewrites all;
    all.recomputed = rungs[rung];
    all.offloaded.insert(names.begin(), names.end());
    made.all_offloaded.push_back(std::move(all));
  }
}

Ladders build_ladders(const Graph& graph, const PlanRequest& request, const DeviceRates& rates) {
  Ladders made;
  for (const Split& split : splits_of(graph, request)) {
    Ladders::Ladder ladder{.split = split, .rungs = {}};
    const Program open = lower_open(graph, request, kLadderCandidate, split);
    DropEvaluator evaluator(open, std::vector<std::int64_t>(open.steps.size(), 0), rates, request.lowering.in_place);
    if (request.strategies.recompute) {
      const std::string subject = ladder_subject(open, rates, request.lowering.in_place);
      std::optional<Rungs> rungs = load_ladder(request.cache, subject, open.storages.size());
      if (!rungs) {
        rungs = recompute_ladder(evaluator);
        save_ladder(request.cache, subject, *rungs);
      }
      for (const std::vector<char>& rung : *rungs) ladder.rungs.push_back(evaluator.names(rung));
    } else {
      ladder.rungs.emplace_back();
    }
    const bool plain = made.ladders.empty();
    made.ladders.push_back(std::move(ladder));
    if (plain && request.strategies.offload) add_offloaded(open, made.ladders.front().rungs, made);
  }
  return made;
}

}  // namespace

std::shared_ptr<const Ladders> ladders_of(const Graph& graph, const PlanRequest& request, const DeviceRates& rates) {
  Strategies asked = request.strategies;
  asked.eager_update = asked.microbatch = false;  // no ladder knows of them
  const LadderShelf::Entry wanted{.graph = &graph,
                                  .dtype = request.lowering.dtype,
                                  .in_place = request.lowering.in_place,
                                  .strategies = asked,
                                  .rates = rates,
                                  .ladders = nullptr};
  if (request.shelf != nullptr) {
    for (const LadderShelf::Entry& entry : request.shelf->entries) {
      const bool same = entry.graph == wanted.graph && entry.dtype == wanted.dtype &&
                        entry.in_place == wanted.in_place && entry.strategies == wanted.strategies &&
                        entry.rates == wanted.rates;
      if (same) return entry.ladders;
    }
  }
  auto made = std::make_shared<const Ladders>(build_ladders(graph, request, rates));
  if (request.shelf != nullptr) {
    request.shelf->entries.push_back(wanted);
    request.shelf->entries.back().ladders = made;
  }
  return made;
}

}  // namespace snug
