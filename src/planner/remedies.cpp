#include "planner/remedies.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "planner/batch_search.h"

namespace snug {
namespace {

// How much a remedy changes: orders those that cost the same time. Of alternatives it is theirs.
enum Weight : int { kScratch = 0, kMoreMemory = 2, kParts = 3, kSmallerBatch = 4 };

constexpr std::size_t kMostRemedies = 8;
constexpr double kWorthMore = 1.25;  // a larger batch at the price of another change

/// Micro-batches change what batch statistics see; everything else is as for the whole batch.
bool may_split(const Graph& graph, const TrainConfig& train) {
  const bool has_norm = std::ranges::any_of(graph.nodes, [](const Node& node) { return node.op == NodeOp::batchnorm; });
  return !has_norm || train.freeze_stats;
}

class RemedySearch {
 public:
  RemedySearch(Candidates& candidates, const Graph& graph, const PlanRequest& request, const DeviceMemory& device,
               Backend& backend, const Candidate& refused)
      : candidates_(candidates),
        graph_(graph),
        request_(request),
        device_(device),
        backend_(backend),
        refused_(refused),
        plain_(candidates.plain_throughput(refused)) {}

  void add_own(const PlanReport& report) {
    add_scratch(report);
    add_budget();
    if (may_split(graph_, request_.lowering.train)) {
      const std::int64_t parts = fewest_parts(candidates_, refused_);
      if (parts > 0) {
        add(candidates_, {refused_.batch, parts}, fmt::format("train.accumulate = {}", parts),
            "the same batch in parts", kParts);
      }
    }
    batch_ = smaller_batch(candidates_);
    if (batch_ > 0) add(candidates_, with_parts(batch_), batch_line(batch_), "a smaller batch", kSmallerBatch);
  }

  void add_changed(const std::vector<ChangedRun>& runs) {
    for (const ChangedRun& changed : runs) {
      if (changed.last_resort && !found_.empty()) continue;
      if (!holds_known(changed)) try_run(changed);
    }
  }

  std::vector<PlanRemedy> sorted() && {
    std::ranges::stable_sort(found_, [](const Found& a, const Found& b) {
      return std::pair(a.remedy.estimated_slowdown, a.weight) < std::pair(b.remedy.estimated_slowdown, b.weight);
    });
    std::vector<PlanRemedy> remedies;
    for (Found& one : found_) {
      if (remedies.size() < kMostRemedies) remedies.push_back(std::move(one.remedy));
    }
    return remedies;
  }

 private:
  struct Found {
    PlanRemedy remedy;
    int weight = 0;
  };

  /// A batch has no more parts than samples.
  [[nodiscard]] std::string batch_line(std::int64_t batch) const {
    std::string line = fmt::format("train.batch = {}", batch);
    if (request_.lowering.train.accumulate > batch) line += fmt::format("\ntrain.accumulate = {}", batch);
    return line;
  }
  [[nodiscard]] Candidate with_parts(std::int64_t batch) const { return {batch, std::min(refused_.parts, batch)}; }
  [[nodiscard]] std::int64_t smaller_batch(Candidates& candidates) const {
    if (request_.batch.kind != BatchChoice::Kind::number) return 0;  // all were tried
    return largest(refused_.batch - 1, [&](std::int64_t smaller) { return candidates.fits(with_parts(smaller)); });
  }

  /// `candidate` fits among `candidates`.
  void add(Candidates& candidates, const Candidate& candidate, std::string change, std::string effect, int weight) {
    const PlanReport report = candidates.plan(candidate).report;
    if (!report.fits) return;
    PlanRemedy remedy{.change = std::move(change), .total_bytes = report.total_bytes, .effect = std::move(effect)};
    const double reached = candidates.throughput(candidate);
    if (reached > 0 && plain_ > 0) remedy.estimated_slowdown = std::max(1.0, std::round(100 * plain_ / reached) / 100);
    found_.push_back({std::move(remedy), weight});
  }

  /// The budget that the batch needs, where the user's own is what stands in its way.
  void add_budget() {
    constexpr std::int64_t kMiB = 1 << 20;
    PlanRequest request = request_;
    request.budget = {};  // what is taken when nothing is said
    if (!request_.budget.bytes && request_.budget.fraction >= request.budget.fraction) return;
    std::int64_t total = 0;
    {
      Candidates most(graph_, request, device_, backend_);
      if (!most.fits(refused_)) return;
      total = most.plan(refused_).report.total_bytes;
    }
    for (const double more : {1.0, 1.01, 1.03, 1.1}) {  // under a tighter budget the search may take another way
      const auto mebibytes = static_cast<std::int64_t>(std::ceil(more * static_cast<double>(total) / kMiB));
      request.budget.bytes = mebibytes * kMiB;
      Candidates exact(graph_, request, device_, backend_);
      if (!exact.fits(refused_)) continue;
      add(exact, refused_, fmt::format("memory.budget = \"{}MiB\"", mebibytes), "more of the memory", kMoreMemory);
      return;
    }
  }

  /// The bound of scratch that the batch needs, where the user's own is what stands in its way.
  void add_scratch(const PlanReport& report) {
    constexpr std::int64_t kKiB = 1 << 10;
    if (!request_.workspace_limit_bytes || report.workspace_bytes <= *request_.workspace_limit_bytes) return;
    const std::int64_t kibibytes = (report.workspace_bytes + kKiB - 1) / kKiB;
    PlanRequest request = request_;
    request.workspace_limit_bytes = kibibytes * kKiB;
    Candidates candidates(graph_, request, device_, backend_);
    if (!candidates.fits(refused_)) return;
    add(candidates, refused_, fmt::format("memory.workspace = \"{}KiB\"", kibibytes), "more scratch", kScratch);
  }

  /// Whether less than what this one changes is enough.
  [[nodiscard]] bool holds_known(const ChangedRun& changed) const {
    return std::ranges::any_of(enough_, [&](unsigned changes) { return (changes & changed.changes) == changes; });
  }

  void try_run(const ChangedRun& changed) {
    const std::unique_ptr<Backend> backend = changed.make_backend();
    Candidates candidates(changed.graph ? *changed.graph : graph_, changed.request, changed.device, *backend);
    if (const Candidate same = choose(candidates, changed.request); candidates.fits(same)) {
      add(candidates, same, changed.change, changed.effect, changed.weight);
      enough_.push_back(changed.changes);
      return;
    }
    // With a smaller batch too: what changes no result where that allows a clearly larger one, the rest where nothing
    // else is left.
    if (!found_.empty() && !changed.keeps_results) return;
    const std::int64_t batch = smaller_batch(candidates);
    if (batch == 0 || static_cast<double>(batch) < kWorthMore * static_cast<double>(batch_)) return;
    batch_ = batch;
    add(candidates, with_parts(batch), changed.change + "\n" + batch_line(batch), changed.effect + ", a smaller batch",
        changed.weight + kSmallerBatch);
  }

  Candidates& candidates_;
  const Graph& graph_;
  const PlanRequest& request_;
  const DeviceMemory& device_;
  Backend& backend_;
  Candidate refused_;
  double plain_ = 0;        ///< images a second of the refused plan with unlimited memory; 0: not known
  std::int64_t batch_ = 0;  ///< the largest that was found
  std::vector<Found> found_;
  std::vector<unsigned> enough_;  ///< changes with which the batch fits as asked
};

}  // namespace

std::vector<PlanRemedy> find_remedies(Candidates& candidates, const Graph& graph, const PlanRequest& request,
                                      const DeviceMemory& device, Backend& backend, const Candidate& refused,
                                      const PlanReport& report) {
  RemedySearch search(candidates, graph, request, device, backend, refused);
  search.add_own(report);
  if (request.changed_runs) search.add_changed(request.changed_runs(report));
  return std::move(search).sorted();
}

}  // namespace snug
