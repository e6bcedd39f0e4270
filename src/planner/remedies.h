// What would fit instead of a plan that does not: smaller batches, more memory, and what the request offers.
#pragma once

#include <vector>

#include "planner/candidate.h"

namespace snug {

/// Changes of the config with each of which the run fits, because each was planned as it will be once it is made. By
/// slowdown, then by how much they change; empty where there are none. `candidates`: of the request.
[[nodiscard]] std::vector<PlanRemedy> find_remedies(Candidates& candidates, const Graph& graph,
                                                    const PlanRequest& request, const DeviceMemory& device,
                                                    Backend& backend, const Candidate& refused,
                                                    const PlanReport& report);

}  // namespace snug
