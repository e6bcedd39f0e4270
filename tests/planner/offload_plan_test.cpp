// Plans whose activations wait in host memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "planner/cost_model.h"
#include "planner/nets.h"
#include "planner/plan_steps.h"
#include "planner/planner.h"

namespace snug {
namespace {

using ::testing::Contains;
using ::testing::Not;

class Prepares : public Backend {
 public:
  [[nodiscard]] std::string_view name() const override { return "planning"; }
  [[nodiscard]] PreparedStep prepare(const Program&, const Step&) override { return {.algorithm = "none"}; }
};

DeviceRates rates(double host) {
  DeviceRates made{.flops_per_second = 1e12, .bytes_per_second = 1e11};
  made.host_bytes_per_second = host;
  return made;
}

struct Asked {
  std::int64_t arena_bytes = 0;  // 0: any
  double host_rate = 1e11;
  Strategies strategies{.recompute = false, .split = false, .eager_update = false, .offload = true};
  std::optional<std::int64_t> offload_limit{};
};

Plan plan_of(const Asked& asked) {
  PlanRequest request;
  request.batch = {BatchChoice::Kind::number, 64};
  request.lowering.train.optimizer.momentum = 0.9;
  request.strategies = asked.strategies;
  request.host_bytes = 1000;
  request.offload_limit_bytes = asked.offload_limit;
  if (asked.arena_bytes > 0) request.arena_budget_bytes = asked.arena_bytes;
  request.alone = true;
  Prepares backend;
  const DeviceMemory device{
      .name = "test", .total_bytes = 1 << 30, .free_bytes = 1 << 30, .rates = rates(asked.host_rate)};
  return plan_training(test::small_net(true), request, device, backend);
}

std::int64_t arenas(const Plan& plan) {
  const PlanArenas& taken = plan.report.allocated;
  return taken.persistent + taken.transient + taken.input;
}

TEST(OffloadPlan, IsTakenOnlyWhereNeeded) {
  const Plan free = plan_of({});
  EXPECT_THAT(free.report.strategy, Not(Contains("offload")));
  EXPECT_EQ(free.report.offload_bytes, 0);
  EXPECT_EQ(free.report.host_bytes, 1000);
  const std::int64_t less = arenas(free) * 8 / 10;
  const Plan tight = plan_of({.arena_bytes = less});
  ASSERT_TRUE(tight.report.fits);
  EXPECT_THAT(tight.report.strategy, Contains("offload"));
  EXPECT_LE(arenas(tight), less);
  EXPECT_GT(tight.host_bytes, 0);
  EXPECT_EQ(tight.report.offload_bytes, (tight.host_bytes + 4095) / 4096 * 4096);
  EXPECT_EQ(tight.report.host_bytes, 1000 + tight.report.offload_bytes);
  EXPECT_EQ(tight.report.breakdown.total(), tight.report.total_bytes);
  EXPECT_FALSE(plan_of({.arena_bytes = less, .strategies = {.recompute = false, .split = false, .eager_update = false}})
                   .report.fits);
}

TEST(OffloadPlan, HostMemoryIsBounded) {
  const std::int64_t less = arenas(plan_of({})) * 8 / 10;
  const std::int64_t needed = plan_of({.arena_bytes = less}).host_bytes;
  EXPECT_TRUE(plan_of({.arena_bytes = less, .offload_limit = needed * 4}).report.fits);
  EXPECT_FALSE(plan_of({.arena_bytes = less, .offload_limit = needed / 8}).report.fits);
}

/// A fast way to the host is taken before anything is computed twice, a slow one is not.
TEST(OffloadPlan, ThePriceDecides) {
  const std::int64_t less = arenas(plan_of({})) * 8 / 10;
  const Strategies both{.recompute = true, .split = false, .eager_update = false, .offload = true};
  const PlanReport fast = plan_of({.arena_bytes = less, .host_rate = 1e14, .strategies = both}).report;
  EXPECT_THAT(fast.strategy, Contains("offload"));
  const PlanReport slow = plan_of({.arena_bytes = less, .host_rate = 1e6, .strategies = both}).report;
  EXPECT_THAT(slow.strategy, Not(Contains("offload")));
  EXPECT_TRUE(fast.fits && slow.fits);
}

TEST(OffloadPlan, MoreMemoryIsNeverSlower) {
  const std::int64_t whole = arenas(plan_of({}));
  double last = 0;
  int offloaded = 0;
  for (int share = 30; share <= 100; share += 5) {
    const PlanReport report = plan_of({.arena_bytes = whole * share / 100, .host_rate = 2e10}).report;
    if (!report.fits) {
      EXPECT_EQ(last, 0) << share;
      continue;
    }
    offloaded += report.offload_bytes > 0 ? 1 : 0;
    EXPECT_GE(report.estimated_images_per_second, last) << share;
    last = report.estimated_images_per_second;
  }
  EXPECT_GT(offloaded, 3);
}

/// Steps of the main queue add up to the step; copies run beside them.
TEST(OffloadPlan, StepsAddUp) {
  const Plan tight = plan_of({.arena_bytes = arenas(plan_of({})) * 8 / 10, .host_rate = 2e10});
  ASSERT_GT(tight.report.offload_bytes, 0);
  double main = 0, copies = 0;
  for (const PlanStep& step : tight.report.steps) (step.queue == 0 ? main : copies) += step.seconds;
  EXPECT_GT(copies, 0);
  EXPECT_DOUBLE_EQ(main, program_seconds(training_program(tight)->program, rates(2e10)));
  EXPECT_NEAR(tight.report.estimated_images_per_second, 64 / main, 1e-6 * 64 / main);
}

/// Where copies have no way of their own they are steps as others, and add up with them.
TEST(OffloadPlan, StepsAddUpWhereCopiesTakeTheirTurn) {
  const Plan tight = plan_of({.arena_bytes = arenas(plan_of({})) * 8 / 10, .host_rate = 0});
  ASSERT_GT(tight.report.offload_bytes, 0);
  double main = 0;
  for (const PlanStep& step : tight.report.steps) {
    EXPECT_EQ(step.queue, 0);
    main += step.seconds;
  }
  EXPECT_NEAR(tight.report.estimated_images_per_second, 64 / main, 1e-6 * 64 / main);
}

/// 1 s of work beside a copy of 3 s, then a wait: 2 s are left of it. A second copy waits for the first.
TEST(CostModel, CopiesRunBesideTheSteps) {
  Program program;
  ProgramBuilder builder(program);
  const auto tensor = [&](const char* name, std::int64_t elements, Arena arena) {
    return builder.add_tensor({.name = name, .shape = {elements}, .arena = arena});
  };
  const TensorId x = tensor("x", 300, Arena::input), there = tensor("there", 300, Arena::host);
  const TensorId a = tensor("a", 25, Arena::input), b = tensor("b", 25, Arena::transient);
  const TensorId again = tensor("again", 300, Arena::transient);
  builder.add_step({.op = Op::copy, .operands = {{x}, {there, Access::out}}, .queue = kCopyQueue});
  builder.add_step({.op = Op::copy, .operands = {{there}, {again, Access::out}}, .queue = kCopyQueue});
  builder.add_step({.op = Op::copy, .operands = {{a}, {b, Access::out}}});  // 200 bytes
  builder.add_step({.op = Op::wait, .operands = {{x}, {there}}});
  builder.add_step({.op = Op::copy, .operands = {{a}, {b, Access::out}}});
  builder.add_step({.op = Op::wait, .operands = {{there}, {again}}});
  DeviceRates known{.flops_per_second = 1, .bytes_per_second = 200};
  known.host_bytes_per_second = 400;  // 1200 bytes each way
  EXPECT_THAT(step_times(program, known), testing::ElementsAre(3, 3, 1, 5, 1, 0));
  known.host_bytes_per_second = 400;
  EXPECT_DOUBLE_EQ(program_seconds(program, known), 7);
  known.host_bytes_per_second = 0;  // no way of their own: 12 s each
  EXPECT_DOUBLE_EQ(program_seconds(program, known), 12 + 12 + 1 + 1);
}

}  // namespace
}  // namespace snug
