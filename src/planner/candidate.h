// One candidate of the search: a batch done in some parts, with every program that the run then needs.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "planner/ladders.h"
#include "planner/planner.h"

namespace snug {

/// What a plan may take.
struct Limits {
  std::int64_t total_bytes = 0;      ///< everything counted
  std::int64_t arena_bytes = 0;      ///< persistent + transient + input
  std::int64_t workspace_bytes = 0;  ///< scratch of one step
};
[[nodiscard]] Limits limits_of(const PlanRequest& request, const DeviceMemory& device, std::int64_t host_bytes);

/// Plans candidates. Every answer is exact: programs are lowered, prepared and placed.
class Candidates {
 public:
  Candidates(const Graph& graph, const PlanRequest& request, const DeviceMemory& device, Backend& backend);

  /// Lowered, prepared, placed and described; the report's totals, breakdown, peak and layers are filled in.
  [[nodiscard]] Plan plan(const Candidate& candidate);
  [[nodiscard]] bool fits(const Candidate& candidate);
  /// Whether a plan has shown that scratch is larger than its bound: what was said before it is void, and from then on
  /// every step is asked for.
  [[nodiscard]] bool was_wrong() const { return exact_; }
  /// Whether a candidate that fits does with every step asked for. If not, what was said before is void.
  [[nodiscard]] bool confirm(const Candidate& candidate);
  /// Images a second as the cost model has it, of a candidate that fits; 0 where the device's rates are not known.
  [[nodiscard]] double throughput(const Candidate& candidate);
  /// The same with unlimited memory, fitting or not.
  [[nodiscard]] double plain_throughput(const Candidate& candidate);
  [[nodiscard]] std::int64_t host_bytes(const Candidate& candidate) const;
  [[nodiscard]] Limits limits(const Candidate& candidate) const;

 private:
  struct Answer {
    bool fits = false;
    Rewrites rewrites;
    double seconds = 0;  ///< of a step, as the cost model has it
  };
  /// How the candidate fits best, or that it does not.
  const Answer& answer(const Candidate& candidate);
  /// One that is not rewritten; nothing where it does not fit so.
  [[nodiscard]] std::optional<Answer> find_plain(const Candidate& candidate, Backend& backend);
  struct Option {
    Answer answer;
    std::int64_t room_bytes = 0;  ///< left by the peak, before scratch and what only a whole plan shows
  };
  [[nodiscard]] std::vector<Option> recomputed(const Candidate& candidate);
  [[nodiscard]] std::vector<Option> offloaded(const Candidate& candidate);
  [[nodiscard]] std::optional<Option> option_of(const Candidate& candidate, const Rewrites& rewrites) const;
  [[nodiscard]] bool may_rewrite() const;
  /// What is made again even where all fits, because that is quicker: on a processor, whose caches hold what was made
  /// just before. Of the batch alone, so that it is the same for every budget.
  const Dropped& quicker_again(const Candidate& candidate);
  /// Rewritten by that alone, before storages are merged.
  [[nodiscard]] Program lower_plain(const Candidate& candidate);
  /// Of all that makes it fit what takes the least time.
  [[nodiscard]] Answer find_fastest(const Candidate& candidate, Backend& backend);
  /// Whether the option that needs the least fits; found without asking for every step.
  [[nodiscard]] bool fits_somehow(const Candidate& candidate, Backend& backend);
  [[nodiscard]] const Option* roomiest(const std::vector<Option>& options) const;
  /// Every step prepared and placed.
  [[nodiscard]] Plan assemble_all(const Candidate& candidate, const Rewrites& rewrites, Backend& backend) const;
  /// By how much the candidate misses its limits, at least. Steps are asked for where their scratch matters; what only
  /// bounds of scratch make too large is worked out in full.
  [[nodiscard]] std::int64_t trial_short_by(const Candidate& candidate, const Rewrites& rewrites, Backend& backend);
  const Ladders& ladders();
  void ask_for_everything();
  [[nodiscard]] std::unique_ptr<Backend> trial_backend() const {
    return request_.trial_backend ? request_.trial_backend() : nullptr;
  }
  /// Fills in the cost model's figures.
  void estimate(const Candidate& candidate, Plan& plan);
  /// By how much a plan misses its limits; 0 when it fits.
  [[nodiscard]] std::int64_t short_by(const Plan& plan, const Limits& limits) const;
  /// Whether the library can address every tensor that it is given.
  [[nodiscard]] bool indexable(const Program& program) const;
  /// What the transient arena may have beside everything else that these programs take.
  [[nodiscard]] std::int64_t transient_limit(std::span<const Program* const> programs, const Limits& limits) const;

  const Graph& graph_;
  const PlanRequest& request_;
  const DeviceMemory& device_;
  Backend& backend_;
  std::map<Candidate, Answer> answers_;
  std::map<Candidate, Dropped> quicker_again_;
  std::map<Candidate, bool> fits_;          ///< where no answer was asked for
  std::int64_t most_eval_samples_ = 0;      ///< of an evaluation program, which is never split
  std::shared_ptr<const Ladders> ladders_;  ///< made when first needed
  bool used_bounds_ = false;                ///< some answer rests on bounds of scratch
  bool exact_ = false;                      ///< they are not trusted
};

}  // namespace snug
