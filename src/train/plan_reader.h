// The plan of a run folder (plan.json), read back.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "planner/plan_steps.h"
#include "snug/plan.h"

namespace snug {

struct StoredPlan {
  PlanReport plan;  ///< what `plan_json` writes of a plan that fits
  std::vector<PlacedBuffer> buffers;
};
/// Throws Error (D) for what is no such file; `where` names it.
[[nodiscard]] StoredPlan read_plan(std::string_view text, const std::string& where);

}  // namespace snug
