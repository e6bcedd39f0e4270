// Which batch to run: as asked, the fastest, the largest; and in how many parts.
#pragma once

#include <cstdint>
#include <functional>

#include "planner/candidate.h"

namespace snug {

/// The largest number in [1, limit] that fits, or 0: in steps of four from 32, then by halves. What is asked depends on
/// the earlier answers alone, so a larger budget, under which everything fits that fitted before, never finds less.
[[nodiscard]] std::int64_t largest(std::int64_t limit, const std::function<bool(std::int64_t)>& fits);

/// The fewest parts, more than the candidate's own, with which its batch fits; 0 when none are found.
[[nodiscard]] std::int64_t fewest_parts(Candidates& candidates, const Candidate& candidate);

/// The batch to plan: as asked, or found; 1 when nothing fits. In parts where the request allows it and it must be.
[[nodiscard]] Candidate choose(Candidates& candidates, const PlanRequest& request);

/// What bounds the search for a batch.
[[nodiscard]] std::int64_t batch_limit(const PlanRequest& request);

}  // namespace snug
