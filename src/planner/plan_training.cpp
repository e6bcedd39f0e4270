#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "base/ensure.h"
#include "planner/candidate.h"

namespace snug {
namespace {

constexpr std::int64_t kAutomaticBatch = 128;  // where no rates are known; beyond it a CPU gains nothing more
constexpr std::int64_t kMostParts = 64;        // of a batch, in remedies: more would be slow beyond use

/// The largest number in [1, limit] that fits, or 0: in steps of four from 32, then by halves. What is asked depends on
/// the earlier answers alone, so a larger budget, under which everything fits that fitted before, never finds less.
template <class Fits>
std::int64_t largest(std::int64_t limit, Fits fits) {
  std::int64_t good = 0;
  std::int64_t bad = limit + 1;
  for (std::int64_t next = std::min<std::int64_t>(32, limit); good < limit; next = std::min(next * 4, limit)) {
    if (!fits(next)) {
      bad = next;
      break;
    }
    good = next;
  }
  while (bad - good > 1) {
    const std::int64_t middle = good + (bad - good) / 2;
    (fits(middle) ? good : bad) = middle;
  }
  return good;
}

/// Micro-batches change what batch statistics see; everything else is as for the whole batch.
bool may_split(const Graph& graph, const TrainConfig& train) {
  const bool has_norm = std::ranges::any_of(graph.nodes, [](const Node& node) { return node.op == NodeOp::batchnorm; });
  return !has_norm || train.freeze_stats;
}

/// The fewest parts, more than the candidate's own, with which its batch fits; 0 when none are found.
std::int64_t fewest_parts(Candidates& candidates, const Candidate& candidate) {
  const std::int64_t most = std::min(candidate.batch, kMostParts);
  const auto fits = [&](std::int64_t parts) { return candidates.fits({candidate.batch, parts}); };
  std::int64_t bad = candidate.parts;
  std::int64_t good = std::min(2 * bad, most);
  while (good > bad && !fits(good)) {
    bad = good;
    good = std::min(2 * good, most);
  }
  if (good <= bad) return 0;
  while (good - bad > 1) {
    const std::int64_t middle = bad + (good - bad) / 2;
    (fits(middle) ? good : bad) = middle;
  }
  return good;
}

/// The budget that a batch needs, where the user's own number is what stands in its way.
std::optional<PlanRemedy> larger_budget(const Graph& graph, PlanRequest request, const DeviceMemory& device,
                                        Backend& backend, const Candidate& candidate) {
  constexpr std::int64_t kMiB = 1 << 20;
  if (!request.budget.bytes) return std::nullopt;
  request.budget = {};  // what is taken when nothing is said
  Candidates candidates(graph, request, device, backend);
  if (!candidates.fits(candidate)) return std::nullopt;
  const std::int64_t total = candidates.plan(candidate).report.total_bytes;
  const std::int64_t mebibytes = (total + kMiB - 1) / kMiB;
  return PlanRemedy{.change = fmt::format("memory.budget = \"{}MiB\"", mebibytes), .total_bytes = total};
}

/// The bound of scratch that a batch needs, where the user's own is what stands in its way.
std::optional<PlanRemedy> larger_workspace(const Graph& graph, PlanRequest request, const DeviceMemory& device,
                                           Backend& backend, const Candidate& candidate, const PlanReport& report) {
  constexpr std::int64_t kKiB = 1 << 10;
  if (!request.workspace_limit_bytes || report.workspace_bytes <= *request.workspace_limit_bytes) return std::nullopt;
  const std::int64_t kibibytes = (report.workspace_bytes + kKiB - 1) / kKiB;
  request.workspace_limit_bytes = kibibytes * kKiB;
  if (!Candidates(graph, request, device, backend).fits(candidate)) return std::nullopt;
  return PlanRemedy{.change = fmt::format("memory.workspace = \"{}KiB\"", kibibytes),
                    .total_bytes = report.total_bytes};
}

std::vector<PlanRemedy> find_remedies(Candidates& candidates, const Graph& graph, const PlanRequest& request,
                                      const Candidate& candidate) {
  std::vector<PlanRemedy> remedies;
  const auto add = [&](const Candidate& smaller, std::string change) {
    remedies.push_back({.change = std::move(change), .total_bytes = candidates.plan(smaller).report.total_bytes});
  };
  if (may_split(graph, request.lowering.train)) {
    const std::int64_t parts = fewest_parts(candidates, candidate);
    if (parts > 0) add({candidate.batch, parts}, fmt::format("train.accumulate = {}", parts));
  }
  const auto with_parts = [&](std::int64_t batch) { return Candidate{batch, std::min(candidate.parts, batch)}; };
  const std::int64_t batch =
      largest(candidate.batch - 1, [&](std::int64_t smaller) { return candidates.fits(with_parts(smaller)); });
  if (batch > 0) add(with_parts(batch), fmt::format("train.batch = {}", batch));
  return remedies;
}

/// The batch of the fastest plan that fits; of those within 3 % of it the smallest. Batches of 2^k and 3 · 2^k are
/// compared.
template <class WithParts>
std::int64_t fastest(Candidates& candidates, std::int64_t limit, const WithParts& with_parts) {
  struct Option {
    std::int64_t batch = 0;
    double images_per_second = 0;
  };
  std::vector<Option> options;
  double best = 0;
  const double bound = candidates.plain_throughput(with_parts(limit));
  for (std::int64_t batch = 1; batch <= limit; batch *= 2) {
    if (!candidates.fits(with_parts(batch))) break;
    const std::int64_t between = batch / 4 * 3;
    // What is smaller than a batch that fits whole fits whole too; its time needs no prepared step.
    if (between > 1) options.push_back({between, candidates.plain_throughput(with_parts(between))});
    options.push_back({batch, candidates.throughput(with_parts(batch))});
    best = std::max(best, options.back().images_per_second);
    constexpr double kNearBound = 0.995;  // larger ones gain nothing that counts
    if (best >= kNearBound * bound) break;
  }
  for (const Option& option : options) {
    if (option.images_per_second >= 0.97 * best) return option.batch;
  }
  return 1;
}

/// The batch to plan: as asked, or found. 1 when nothing fits.
Candidate choose(Candidates& candidates, const PlanRequest& request, std::int64_t limit) {
  const auto with_parts = [&](std::int64_t batch) {
    return Candidate{batch, std::clamp<std::int64_t>(request.lowering.train.accumulate, 1, batch)};
  };
  const auto fits = [&](std::int64_t batch) { return candidates.fits(with_parts(batch)); };
  switch (request.batch.kind) {
    case BatchChoice::Kind::number: return with_parts(request.batch.number);
    case BatchChoice::Kind::maximum: return with_parts(std::max<std::int64_t>(1, largest(limit, fits)));
    case BatchChoice::Kind::automatic:
      if (candidates.plain_throughput({1, 1}) > 0) return with_parts(fastest(candidates, limit, with_parts));
      return with_parts(std::max<std::int64_t>(1, largest(std::min(limit, kAutomaticBatch), fits)));
  }
  return {};
}

}  // namespace

Plan plan_training(const Graph& graph, const PlanRequest& request, const DeviceMemory& device, Backend& backend) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  ensure(request.batch.kind != BatchChoice::Kind::number || request.batch.number > 0, "a batch has samples");
  std::int64_t limit = request.batch_limit;
  if (limit <= 0) limit = request.train_samples > 0 ? request.train_samples : kBatchLimit;

  Candidates candidates(graph, request, device, backend);
  Candidate chosen = choose(candidates, request, limit);
  if (request.strategies.microbatch && request.batch.kind == BatchChoice::Kind::number && !candidates.fits(chosen)) {
    const std::int64_t parts = fewest_parts(candidates, chosen);
    if (parts > 0) chosen.parts = parts;
  }
  Plan plan = candidates.plan(chosen);
  if (!request.alone)
    plan.report.max_batch = largest(limit, [&](std::int64_t batch) { return candidates.fits({batch, 1}); });
  if (!plan.report.fits && !request.alone) {
    plan.report.remedies = find_remedies(candidates, graph, request, chosen);
    if (const auto budget = larger_budget(graph, request, device, backend, chosen)) {
      plan.report.remedies.push_back(*budget);
    }
    if (const auto workspace = larger_workspace(graph, request, device, backend, chosen, plan.report)) {
      plan.report.remedies.insert(plan.report.remedies.begin(), *workspace);
    }
  }
  if (!plan.report.fits) {
    plan.picture = std::exchange(plan.programs, {});
    plan.train = plan.train_last = plan.eval = plan.eval_last = -1;
  }
  plan.report.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  return plan;
}

}  // namespace snug
