// `plan --report` and `plan --timeline`: a plan as one page for a browser, and its steps as a table.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "planner/plan_steps.h"
#include "snug/diagnostic.h"
#include "snug/plan.h"

namespace snug {

/// What a batch size needs; planned like any other.
struct BatchPoint {
  std::int64_t batch = 0, total_bytes = 0;
  bool fits = false;
};

struct PlanPage {
  PlanReport plan;
  std::string name, config, command;  ///< of the config, its file, the line that made the page
  std::vector<PlacedBuffer> buffers;  ///< of the training program
  std::vector<BatchPoint> batches;    ///< by size; with the one that is planned
  std::vector<Diagnostic> findings;
};

/// One self-contained page that loads nothing, well-formed as HTML and as XML; the same plan gives the same bytes.
[[nodiscard]] std::string plan_page(const PlanPage& page);

/// Of that page: where the bytes go, floor plan, memory over the step, batches, layers; and what makes them answer.
[[nodiscard]] std::string plan_sections(const PlanPage& page);
[[nodiscard]] std::string plan_scripts(const PlanReport& plan);

/// A line of titles, then a line a step of the training program (RFC 4180, '\n' at the ends).
[[nodiscard]] std::string timeline_csv(std::span<const PlanStep> steps);

// ---- the pictures of the page (plan_pictures.cpp) ------------------------------------------------------------------

[[nodiscard]] std::string floor_plan(const PlanPage& page);
[[nodiscard]] std::string memory_curve(const PlanPage& page);
[[nodiscard]] std::string batch_curve(const PlanPage& page);

// ---- what the page looks like and does (plan_page_assets.cpp) ------------------------------------------------------

[[nodiscard]] std::string_view page_style();
[[nodiscard]] std::string_view page_script();

}  // namespace snug
