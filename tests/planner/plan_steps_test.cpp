// The steps and buffers that reports show are those of the plan.
#include "planner/plan_steps.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "planner/cost_model.h"
#include "planner/nets.h"

namespace snug {
namespace {

class ScratchBackend : public Backend {
 public:
  [[nodiscard]] std::string_view name() const override { return "scratch"; }
  [[nodiscard]] PreparedStep prepare(const Program&, const Step& step) override {
    return {.algorithm = "some", .workspace_bytes = step.op == Op::conv_forward ? 1000 : 0};
  }
};

Plan planned(std::int64_t batch, std::int64_t free_bytes, bool alone = false) {
  PlanRequest request;
  request.batch = {BatchChoice::Kind::number, batch};
  request.train_samples = 1000;
  request.lowering.train.optimizer.momentum = 0.9;
  request.alone = alone;
  ScratchBackend backend;
  const DeviceMemory device{.name = "test",
                            .total_bytes = free_bytes,
                            .free_bytes = free_bytes,
                            .rates = {.flops_per_second = 1e12, .bytes_per_second = 1e10}};
  return plan_training(test::small_net(true), request, device, backend);
}
constexpr std::int64_t kPlenty = 1LL << 30;

TEST(CostModel, TakesTheLongerOfArithmeticAndTraffic) {
  const Plan plan = planned(8, kPlenty);
  const Program& program = training_program(plan)->program;
  const Step& step = program.steps[2];
  const Cost cost = step_cost(program, step);
  ASSERT_GT(cost.flops, 0);
  const auto flops = static_cast<double>(cost.flops);
  const auto bytes = static_cast<double>(cost.bytes);
  struct Row {
    DeviceRates rates;
    double seconds;
  };
  for (const Row& row : {Row{{.flops_per_second = flops / 2, .bytes_per_second = bytes}, 2},
                         Row{{.flops_per_second = flops, .bytes_per_second = bytes / 3}, 3},
                         Row{{.flops_per_second = 0, .bytes_per_second = bytes / 3}, 3}, Row{{}, 0}}) {
    EXPECT_DOUBLE_EQ(step_seconds(program, step, row.rates), row.seconds);
  }
}

TEST(CostModel, AProgramTakesTheSumOfItsSteps) {
  const Plan plan = planned(8, kPlenty);
  double sum = 0;
  for (const PlanStep& step : plan.report.steps) sum += step.seconds;
  EXPECT_GT(sum, 0);
  EXPECT_DOUBLE_EQ(
      program_seconds(training_program(plan)->program, {.flops_per_second = 1e12, .bytes_per_second = 1e10}), sum);
}

TEST(PlanSteps, AreThoseOfTheTrainingProgram) {
  const Plan plan = planned(8, kPlenty);
  const PlannedProgram& program = *training_program(plan);
  ASSERT_EQ(plan.report.steps.size(), program.program.steps.size());
  std::int64_t most = 0;
  for (std::size_t i = 0; i < plan.report.steps.size(); ++i) {
    const PlanStep& row = plan.report.steps[i];
    const Step& step = program.program.steps[i];
    EXPECT_EQ(row.step, static_cast<std::int64_t>(i));
    EXPECT_EQ(row.op, to_string(step.op));
    EXPECT_EQ(row.phase, to_string(step.phase));
    EXPECT_EQ(row.algorithm, "some");
    EXPECT_EQ(row.workspace_bytes, step.op == Op::conv_forward ? 1000 : 0);
    EXPECT_EQ(row.flops, step_cost(program.program, step).flops);
    EXPECT_EQ(row.bytes, step_cost(program.program, step).bytes);
    EXPECT_LE(row.live_bytes, row.arena_bytes);
    EXPECT_LE(row.arena_bytes, plan.transient_bytes);
    most = std::max(most, row.live_bytes);
  }
  EXPECT_EQ(most, plan.report.lower_bound_bytes);
  EXPECT_EQ(plan.report.steps[static_cast<std::size_t>(plan.report.peak.step)].live_bytes, most);
}

TEST(PlacedBuffers, AddUpToWhatIsAlive) {
  const Plan plan = planned(8, kPlenty);
  const std::vector<PlacedBuffer> buffers = placed_buffers(*training_program(plan));
  std::vector<std::int64_t> live(plan.report.steps.size(), 0);
  std::map<Role, std::int64_t> at_peak;
  for (const PlacedBuffer& buffer : buffers) {
    EXPECT_FALSE(buffer.tensors.empty());
    EXPECT_LE(buffer.offset + buffer.size_bytes, plan.transient_bytes);
    for (std::int64_t step = buffer.life.first; step < buffer.life.last; ++step)
      live[static_cast<std::size_t>(step)] += buffer.size_bytes;
    if (buffer.life.overlaps({plan.report.peak.step, plan.report.peak.step + 1}))
      at_peak[buffer.role] += buffer.size_bytes;
  }
  for (const PlanStep& step : plan.report.steps) EXPECT_EQ(live[static_cast<std::size_t>(step.step)], step.live_bytes);
  EXPECT_EQ(at_peak[Role::activation], plan.report.breakdown.activations);
  EXPECT_EQ(at_peak[Role::gradient], plan.report.breakdown.gradients);
  EXPECT_EQ(at_peak[Role::workspace], plan.report.breakdown.workspace);
}

TEST(PlanTraining, WhatDoesNotFitCanBeShownButNotRun) {
  const Plan plan = planned(512, 1 << 20);
  ASSERT_FALSE(plan.report.fits);
  EXPECT_TRUE(plan.programs.empty());
  EXPECT_EQ(plan.train, -1);
  ASSERT_NE(training_program(plan), nullptr);
  EXPECT_EQ(training_program(plan)->program.steps.size(), plan.report.steps.size());
  EXPECT_FALSE(placed_buffers(*training_program(plan)).empty());
  EXPECT_TRUE(planned(8, kPlenty).picture.empty());
}

TEST(PlanTraining, ABatchAloneIsPlannedLikeAnyOther) {
  for (const std::int64_t free : {kPlenty, std::int64_t{1} << 20}) {
    const PlanReport whole = planned(256, free).report;
    const PlanReport alone = planned(256, free, true).report;
    EXPECT_EQ(alone.total_bytes, whole.total_bytes);
    EXPECT_EQ(alone.fits, whole.fits);
    EXPECT_GT(whole.max_batch, 0);
    EXPECT_EQ(alone.max_batch, 0);
    EXPECT_TRUE(alone.remedies.empty());
  }
}

}  // namespace
}  // namespace snug
