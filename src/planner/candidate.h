// One candidate of the search: a batch done in some parts, with every program that the run then needs.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "planner/planner.h"

namespace snug {

struct Candidate {
  std::int64_t batch = 1;
  std::int64_t parts = 1;
  friend auto operator<=>(const Candidate&, const Candidate&) = default;
};

/// Samples that are worked on at a time.
[[nodiscard]] std::int64_t micro_batch(const Candidate& candidate);

/// What a plan may take.
struct Limits {
  std::int64_t total_bytes = 0;      ///< everything counted
  std::int64_t arena_bytes = 0;      ///< persistent + transient + input
  std::int64_t workspace_bytes = 0;  ///< scratch of one step
};
[[nodiscard]] Limits limits_of(const PlanRequest& request, const DeviceMemory& device, std::int64_t host_bytes);

/// How a candidate's training programs differ from the plain ones.
struct Rewrites {
  Split split;
  Dropped recomputed;
  bool eager_update = false;
};

/// Plans candidates. Every answer is exact: programs are lowered, prepared and placed.
class Candidates {
 public:
  Candidates(const Graph& graph, const PlanRequest& request, const DeviceMemory& device, Backend& backend);

  /// Lowered, prepared, placed and described; the report's totals, breakdown, peak and layers are filled in.
  [[nodiscard]] Plan plan(const Candidate& candidate);
  [[nodiscard]] bool fits(const Candidate& candidate);
  /// Images a second as the cost model has it, of a candidate that fits; 0 where the device's rates are not known.
  [[nodiscard]] double throughput(const Candidate& candidate);
  /// The same with unlimited memory, fitting or not.
  [[nodiscard]] double plain_throughput(const Candidate& candidate) const;
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
  [[nodiscard]] Answer find_answer(const Candidate& candidate, Backend& backend);
  /// The candidate with what costs the least time of all that makes it fit.
  [[nodiscard]] Answer find_rewrites(const Candidate& candidate, Backend& backend);
  [[nodiscard]] Plan assemble_all(const Candidate& candidate, const Rewrites& rewrites, Backend& backend) const;
  /// Ways to need less memory: for each split, choices of drops, none first.
  struct Ladder {
    Split split;
    std::vector<Dropped> rungs;
  };
  const std::vector<Ladder>& ladders(Backend& backend);
  /// Fills in the cost model's figures.
  void estimate(const Candidate& candidate, Plan& plan) const;
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
  std::int64_t most_eval_samples_ = 0;  ///< of an evaluation program, which is never split
  std::vector<Ladder> ladders_;         ///< made when first needed
};

}  // namespace snug
