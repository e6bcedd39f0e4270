#include <chrono>
#include <utility>

#include "base/ensure.h"
#include "planner/batch_search.h"
#include "planner/candidate.h"
#include "planner/remedies.h"

namespace snug {

Plan plan_training(const Graph& graph, const PlanRequest& request, const DeviceMemory& device, Backend& backend) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  ensure(request.batch.kind != BatchChoice::Kind::number || request.batch.number > 0, "a batch has samples");

  Candidates candidates(graph, request, device, backend);
  Candidate chosen = choose(candidates, request);
  Plan plan = candidates.plan(chosen);
  if (candidates.was_wrong()) {
    chosen = choose(candidates, request);
    plan = candidates.plan(chosen);
  }
  if (!request.alone) {
    const auto fits = [&](std::int64_t batch) { return candidates.fits({batch, 1}); };
    plan.report.max_batch = largest(batch_limit(request), fits);
    if (plan.report.max_batch > 0 && !candidates.confirm({plan.report.max_batch, 1})) {
      plan.report.max_batch = largest(batch_limit(request), fits);
    }
  }
  if (!plan.report.fits && !request.alone) {
    plan.report.remedies = find_remedies(candidates, graph, request, device, backend, chosen, plan.report);
  }
  if (!plan.report.fits) {
    plan.picture = std::exchange(plan.programs, {});
    plan.train = plan.train_last = plan.eval = plan.eval_last = -1;
  }
  plan.report.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  return plan;
}

}  // namespace snug
