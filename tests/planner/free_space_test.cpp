// Scratch that costs nothing, and scratch that a search only knows a bound of.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "planner/assemble.h"
#include "planner/nets.h"
#include "planner/planner.h"

namespace snug {
namespace {

constexpr std::int64_t kCap = 4096;
constexpr std::int64_t kFast = 60'000;

/// Convolutions have a slow engine within the cap and a fast one that takes more.
class TwoEngines : public Backend {
 public:
  bool offers_more = true;
  std::int64_t bound = -1;  ///< −1: none is known
  std::int64_t scratch = kCap;
  int prepared = 0;

  [[nodiscard]] std::string_view name() const override { return "two engines"; }
  [[nodiscard]] PreparedStep prepare(const Program&, const Step& step) override {
    ++prepared;
    if (!is_product(step.op)) return {.algorithm = "own"};
    return {.algorithm = "slow", .workspace_bytes = scratch};
  }
  [[nodiscard]] std::optional<PreparedStep> prepare_within(const Program&, const Step& step,
                                                           std::int64_t workspace_bytes) override {
    if (!offers_more || !is_product(step.op) || workspace_bytes < kFast) return std::nullopt;
    return PreparedStep{.algorithm = "fast", .workspace_bytes = kFast, .run = {}};
  }
  [[nodiscard]] std::optional<std::int64_t> scratch_bound(const Program&, const Step&) override {
    return bound >= 0 ? std::optional(bound) : std::nullopt;
  }
};

constexpr DeviceRates kRates{.flops_per_second = 1e12, .bytes_per_second = 1e11};

Plan plan_of(Backend& backend, std::int64_t batch = 16, std::int64_t free_bytes = 1 << 30, bool recompute = false) {
  PlanRequest request;
  request.batch = {BatchChoice::Kind::number, batch};
  request.val_samples = 40;
  request.batch_limit = 512;
  request.strategies = {.recompute = recompute, .split = false};
  const DeviceMemory device{.name = "test", .total_bytes = free_bytes, .free_bytes = free_bytes, .rates = kRates};
  return plan_training(test::small_net(true), request, device, backend);
}

int count_engines(const Plan& plan, std::string_view name) {
  int count = 0;
  for (const PlannedProgram& planned : plan.programs) {
    for (const PreparedStep& step : planned.steps) count += step.algorithm == name ? 1 : 0;
  }
  return count;
}

TEST(FreeSpace, MakesStepsFasterAndNothingLarger) {
  TwoEngines backend;
  const Plan better = plan_of(backend);
  backend.offers_more = false;
  const Plan plain = plan_of(backend);
  EXPECT_GT(count_engines(better, "fast"), 3);
  EXPECT_EQ(count_engines(plain, "fast"), 0);
  EXPECT_EQ(better.transient_bytes, plain.transient_bytes);
  EXPECT_EQ(better.report.total_bytes, plain.report.total_bytes);
  EXPECT_EQ(better.report.lower_bound_bytes, plain.report.lower_bound_bytes);
  EXPECT_EQ(better.report.peak.step, plain.report.peak.step);
  EXPECT_EQ(better.report.max_batch, plain.report.max_batch);
  EXPECT_EQ(better.report.breakdown.total(), better.report.total_bytes);
}

TEST(FreeSpace, IsSoundAndNamedInThePlan) {
  TwoEngines backend;
  const Plan plan = plan_of(backend);
  int shown = 0;
  for (const PlanStep& step : plan.report.steps) shown += step.algorithm == "fast" && step.workspace_bytes == kFast;
  EXPECT_GT(shown, 0);
  for (const PlannedProgram& planned : plan.programs) {
    const std::vector<Buffer> buffers = transient_buffers(planned.program);
    EXPECT_THAT(validate(buffers, planned.offsets, kArenaAlignmentBytes, plan.transient_bytes), testing::IsEmpty());
    for (std::size_t i = 0; i < planned.steps.size(); ++i) {
      const Step& step = planned.program.steps[i];
      ASSERT_EQ(step.has_workspace, planned.steps[i].workspace_bytes > 0);
      if (!step.has_workspace) continue;
      EXPECT_EQ(planned.program.storage_of(step.operands.back().tensor).size_bytes, planned.steps[i].workspace_bytes);
    }
  }
}

TEST(FreeSpace, AtThePeakStaysWhatItIs) {
  TwoEngines backend;
  const Plan plan = plan_of(backend);
  const PlannedProgram& train = plan.programs[static_cast<std::size_t>(plan.train)];
  const Peak peak = live_peak(transient_buffers(train.program));
  EXPECT_NE(train.steps[static_cast<std::size_t>(peak.step)].algorithm, "fast");
}

/// A bound spares most questions; the plan is the one that asking for everything makes.
TEST(BoundedScratch, GivesThePlanOfEveryAnswer) {
  for (const bool recompute : {false, true}) {
    for (const std::int64_t free_bytes : {4 << 20, 8 << 20, 64 << 20}) {
      SCOPED_TRACE(free_bytes);
      TwoEngines asked, bounded;
      bounded.bound = 2 * kCap;
      const PlanReport a = plan_of(asked, 16, free_bytes, recompute).report;
      const PlanReport b = plan_of(bounded, 16, free_bytes, recompute).report;
      EXPECT_EQ(a.fits, b.fits);
      EXPECT_EQ(a.total_bytes, b.total_bytes);
      EXPECT_EQ(a.max_batch, b.max_batch);
      EXPECT_EQ(a.workspace_bytes, b.workspace_bytes);
      EXPECT_LT(bounded.prepared, asked.prepared);
    }
  }
}

/// Scratch beyond its bound shows in the plan, and then nothing that was said before counts.
TEST(BoundedScratch, ThatIsWrongIsNotBelieved) {
  for (const std::int64_t batch : {8, 40}) {
    TwoEngines asked, wrong;
    asked.scratch = wrong.scratch = 3 << 20;
    wrong.bound = 256;
    const PlanReport a = plan_of(asked, batch, 8 << 20).report;
    const PlanReport b = plan_of(wrong, batch, 8 << 20).report;
    EXPECT_EQ(a.fits, b.fits) << batch;
    EXPECT_EQ(a.max_batch, b.max_batch) << batch;
    EXPECT_EQ(a.total_bytes, b.total_bytes) << batch;
  }
}

}  // namespace
}  // namespace snug
