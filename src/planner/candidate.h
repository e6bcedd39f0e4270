// One candidate of the search: a batch done in some parts, with every program that the run then needs.
#pragma once

#include <cstdint>
#include <map>
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

/// Plans candidates. Every answer is exact: programs are lowered, prepared and placed.
class Candidates {
 public:
  Candidates(const Graph& graph, const PlanRequest& request, const DeviceMemory& device, Backend& backend);

  /// Lowered, prepared, placed and described; the report's totals, breakdown, peak and layers are filled in.
  [[nodiscard]] Plan plan(const Candidate& candidate);
  [[nodiscard]] bool fits(const Candidate& candidate);
  [[nodiscard]] std::int64_t host_bytes(const Candidate& candidate) const;
  [[nodiscard]] Limits limits(const Candidate& candidate) const;

 private:
  [[nodiscard]] Plan assemble_all(const Candidate& candidate, Backend& backend) const;
  /// By how much a plan misses its limits; 0 when it fits.
  [[nodiscard]] std::int64_t short_by(const Plan& plan, const Limits& limits) const;
  [[nodiscard]] bool surely_too_large(const Candidate& candidate) const;

  const Graph& graph_;
  const PlanRequest& request_;
  const DeviceMemory& device_;
  Backend& backend_;
  std::map<Candidate, bool> answers_;
};

}  // namespace snug
