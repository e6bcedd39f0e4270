#include "planner/assemble.h"
#include "planner/plan_report.h"
#include "planner/planner.h"

namespace snug {

Plan plan_programs(std::vector<Program> programs, Backend& backend) {
  Plan plan = assemble(std::move(programs), backend);
  describe(plan, {.name = std::string(backend.name())});
  plan.report.fits = true;
  return plan;
}

}  // namespace snug
