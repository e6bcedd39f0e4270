#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"
#include "memory/placement.h"
#include "planner/planner.h"
#include "program/lifetimes.h"
#include "runtime/fake_backend.h"

namespace snug {
namespace {

using test::FakeBackend;
using test::Sketch;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

/// x → a → b → y: a and y may share bytes, b and y may not.
Program chain(std::int64_t elements) {
  return Sketch()
      .tensor("x", {elements}, Arena::input, Role::input)
      .tensor("w", {10}, Arena::persistent, Role::weight)
      .layer("first")
      .tensor("a", {elements})
      .copy("x", "a")
      .layer("second")
      .tensor("b", {elements})
      .relu("a", "b")
      .layer("third")
      .tensor("y", {elements})
      .relu("b", "y")
      .program;
}

std::int64_t offset_of(const PlannedProgram& planned, const std::string& tensor) {
  const View& view = planned.program[planned.program.find(tensor)].view;
  return planned.offsets[view.storage.index()] + view.offset_bytes;
}

TEST(PlanPrograms, PlacesEveryArena) {
  FakeBackend backend;
  const Plan plan = plan_programs({chain(64)}, backend);
  EXPECT_EQ(plan.persistent_bytes, 256);
  EXPECT_EQ(plan.input_bytes, 256);
  EXPECT_EQ(plan.transient_bytes, 512) << "two of the three transient tensors live at a time";
  EXPECT_EQ(plan.report.lower_bound_bytes, 512);
  EXPECT_NE(offset_of(plan.programs[0], "b"), offset_of(plan.programs[0], "y"));
  EXPECT_EQ(offset_of(plan.programs[0], "a"), offset_of(plan.programs[0], "y"));
  EXPECT_EQ(plan.programs[0].steps.size(), 3u);
  EXPECT_TRUE(plan.report.fits);
}

TEST(PlanPrograms, AddsWorkspaces) {
  FakeBackend backend;
  backend.scratch_bytes[Op::activation_forward] = 1000;
  const Plan plan = plan_programs({chain(64)}, backend);
  const Program& program = plan.programs[0].program;
  EXPECT_FALSE(program.steps[0].has_workspace);
  for (const std::size_t step : {1u, 2u}) {
    ASSERT_TRUE(program.steps[step].has_workspace);
    const Operand& last = program.steps[step].operands.back();
    EXPECT_EQ(last.access, Access::inout);
    EXPECT_EQ(program[last.tensor].role, Role::workspace);
    EXPECT_EQ(program.storage_of(last.tensor).size_bytes, 1000);
    EXPECT_EQ(lifetimes(program)[program[last.tensor].view.storage.index()],
              (Lifetime{static_cast<std::int64_t>(step), static_cast<std::int64_t>(step) + 1}));
  }
  EXPECT_EQ(plan.report.breakdown.workspace, 1000);
  EXPECT_EQ(plan.report.layers[1].workspace_bytes, 1000);
  EXPECT_EQ(plan.report.layers[0].workspace_bytes, 0);
}

TEST(PlanPrograms, ProgramsShareArenas) {
  FakeBackend backend;
  Program small = chain(16);
  Program other = Sketch()
                      .tensor("unused", {100}, Arena::persistent, Role::optimizer)
                      .tensor("w", {10}, Arena::persistent, Role::weight)
                      .tensor("t", {5})
                      .fill("t", 1)
                      .program;
  const Plan plan = plan_programs({chain(1000), std::move(small), std::move(other)}, backend);
  EXPECT_EQ(plan.input_bytes, 4096) << "x is as large as the largest program needs it";
  EXPECT_EQ(plan.transient_bytes, 2 * 4096);
  EXPECT_EQ(plan.persistent_bytes, 256 + 512);
  EXPECT_EQ(offset_of(plan.programs[0], "w"), offset_of(plan.programs[2], "w"));
  EXPECT_EQ(offset_of(plan.programs[0], "x"), offset_of(plan.programs[1], "x"));
  EXPECT_NE(offset_of(plan.programs[2], "w"), offset_of(plan.programs[2], "unused"));
}

TEST(PlanPrograms, BreakdownAddsUp) {
  FakeBackend backend;
  backend.scratch_bytes[Op::add] = 5000;
  Sketch sketch;
  sketch.tensor("x", {100}, Arena::input, Role::input)
      .tensor("w", {10}, Arena::persistent, Role::weight)
      .tensor("master", {3}, Arena::persistent, Role::master)
      .tensor("m", {20}, Arena::persistent, Role::optimizer)
      .tensor("mean", {7}, Arena::persistent, Role::statistic)
      .tensor("a", {100})
      .tensor("g", {100}, Arena::transient, Role::gradient)
      .tensor("s", {100})
      .copy("x", "a")
      .copy("x", "g")
      .add("a", "g", "s");
  const Plan plan = plan_programs({sketch.program}, backend);
  const PlanBreakdown& parts = plan.report.breakdown;
  EXPECT_EQ(parts.weights, 40 + 12);
  EXPECT_EQ(parts.optimizer, 80);
  EXPECT_EQ(parts.statistics, 28);
  EXPECT_EQ(parts.gradients, 400);
  EXPECT_EQ(parts.activations, 800);
  EXPECT_EQ(parts.workspace, 5000);
  EXPECT_EQ(parts.input, 400);
  EXPECT_EQ(parts.total(), plan.report.total_bytes);
  EXPECT_EQ(plan.report.total_bytes, 4096 + 4096 + 8192) << "whole pages";
  EXPECT_EQ(plan.report.lower_bound_bytes, parts.gradients + parts.activations + parts.workspace);
}

TEST(PlanPrograms, PeakNamesWhatIsAlive) {
  FakeBackend backend;
  backend.scratch_bytes[Op::add] = 999;
  Sketch sketch;
  sketch.tensor("big", {1000}).tensor("small", {10}).tensor("gone", {2000}).layer("sum").tensor("y", {10});
  sketch.fill("gone", 0).fill("big", 1).fill("small", 2).phase(Phase::backward).add("big", "small", "y");
  sketch.program[sketch.find("y")].role = Role::gradient;
  sketch.program[sketch.program[sketch.find("gone")].view.storage].size_bytes = 1000;
  sketch.program[sketch.find("gone")].shape = {250};
  const Plan plan = plan_programs({sketch.program}, backend);
  const PlanPeak& peak = plan.report.peak;
  EXPECT_EQ(peak.step, 3);
  EXPECT_EQ(peak.phase, "backward");
  EXPECT_EQ(peak.layer, "sum");
  std::vector<std::string> rows;
  std::int64_t sum = 0;
  for (const PlanTensor& tensor : peak.tensors) {
    rows.push_back(tensor.name + " " + tensor.role + " " + tensor.layer);
    sum += tensor.bytes;
  }
  EXPECT_THAT(rows, ElementsAre("big activation ", "workspace:3 workspace sum", "small activation ", "y gradient sum"));
  EXPECT_EQ(sum, plan.report.lower_bound_bytes);
}

TEST(PlanPrograms, FlatParametersCountWithoutTheirGaps) {
  FakeBackend backend;
  Program program;
  ProgramBuilder builder(program);
  const TensorId flat =
      builder.add_tensor({.name = "weights.decay", .shape = {128}, .role = Role::weight, .arena = Arena::persistent});
  const StorageId storage = program[flat].view.storage;
  builder.add_view({.name = "a.weight", .shape = {10}, .role = Role::weight, .arena = Arena::persistent}, storage, 0);
  builder.add_view({.name = "b.weight", .shape = {3, 5}, .role = Role::weight, .arena = Arena::persistent}, storage,
                   256);
  const Plan plan = plan_programs({program}, backend);
  EXPECT_EQ(plan.persistent_bytes, 512);
  EXPECT_EQ(plan.report.breakdown.weights, 25 * 4);
}

TEST(PlanPrograms, SavedBytesAreWhatWaitsForBackward) {
  FakeBackend backend;
  Sketch sketch;
  sketch.layer("0").tensor("a", {100}).tensor("temporary", {100}).layer("1").tensor("b", {50});
  sketch.tensor("g", {100}, Arena::transient, Role::gradient).tensor("h", {50}, Arena::transient, Role::gradient);
  sketch.fill("a", 1).copy("a", "temporary").copy("temporary", "b").fill("g", 0);
  sketch.phase(Phase::backward).copy("b", "h").add("a", "g", "g");
  const Plan plan = plan_programs({sketch.program}, backend);
  EXPECT_EQ(plan.report.layers[0].saved_bytes, 400) << "a; neither what died before nor gradients";
  EXPECT_EQ(plan.report.layers[1].saved_bytes, 200);
}

TEST(PlanPrograms, StrategySaysInplaceOnlyWhereItHappened) {
  FakeBackend backend;
  EXPECT_THAT(plan_programs({chain(64)}, backend).report.strategy, IsEmpty());
  Program aliased = chain(64);
  aliased[aliased.find("y")].view.storage = aliased[aliased.find("b")].view.storage;
  EXPECT_THAT(plan_programs({std::move(aliased)}, backend).report.strategy, Contains("inplace"));
}

TEST(PlanPrograms, OffsetsPassTheValidatorForRandomPrograms) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Random random(seed);
    Sketch sketch;
    for (int i = 0; i < 30; ++i) {
      const std::string name = "t" + std::to_string(i);
      sketch.tensor(name, {1 + random.below(5000)}).fill(name, 0);
      if (i > 0) sketch.step(Op::wait, {"t" + std::to_string(random.below(static_cast<std::uint32_t>(i)))}, {});
    }
    FakeBackend backend;
    const Plan plan = plan_programs({sketch.program}, backend);
    const auto lives = lifetimes(plan.programs[0].program);
    std::vector<Buffer> buffers;
    for (std::size_t i = 0; i < lives.size(); ++i) {
      buffers.push_back({plan.programs[0].program.storages[i].size_bytes, lives[i]});
    }
    EXPECT_THAT(validate(buffers, plan.programs[0].offsets, kArenaAlignmentBytes, plan.transient_bytes), IsEmpty());
  }
}

}  // namespace
}  // namespace snug
