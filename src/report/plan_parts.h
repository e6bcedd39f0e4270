// How a plan's parts are called and explained, in text and on the page.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "snug/plan.h"

namespace snug {

struct PlanPart {
  std::string_view name, meaning;
  std::int64_t bytes = 0;
};
/// The whole breakdown, in the order in which an arena would be filled.
[[nodiscard]] std::vector<PlanPart> plan_parts(const PlanReport& plan);

/// "in the backward pass" for "backward".
[[nodiscard]] std::string_view phase_words(std::string_view phase);

}  // namespace snug
