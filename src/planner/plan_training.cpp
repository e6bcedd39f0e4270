#include <chrono>
#include <utility>

#include "base/ensure.h"
#include "planner/batch_search.h"
#include "planner/candidate.h"
#include "planner/cost_model.h"
#include "planner/remedies.h"

namespace snug {

namespace {

/// Products take what stands around them where the backend can do it and the cost model finds it faster.
ProductFusion product_fusion(const Backend& backend, const DeviceRates& rates) {
  ProductFusion fusion{
      .possible = [&](const Program& program, const Step& step) { return backend.fuses(program, step); },
      .seconds = {}};
  if (rates.bytes_per_second > 0)
    fusion.seconds = [rates](const Program& program, const Step& step) { return step_seconds(program, step, rates); };
  return fusion;
}

}  // namespace

Plan plan_training(const Graph& graph, const PlanRequest& asked, const DeviceMemory& device, Backend& backend) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  PlanRequest request = asked;
  request.lowering.products = product_fusion(backend, device.rates);
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
