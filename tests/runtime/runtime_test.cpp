#include "runtime/runtime.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cmath>
#include <limits>

#include "program/lifetimes.h"
#include "runtime/fake_backend.h"
#include "snug/diagnostic.h"

namespace snug {
namespace {

using test::FakeBackend;
using test::Sketch;
using ::testing::Each;

constexpr std::int64_t kElements = 1000;

/// y = relu(x) + (x + 1) + w, by way of storages that share bytes.
Program formula(std::int64_t elements = kElements) {
  Sketch sketch;
  sketch.tensor("x", {elements}, Arena::input, Role::input)
      .tensor("w", {elements}, Arena::persistent, Role::weight)
      .tensor("y", {elements}, Arena::input, Role::activation)
      .layer("the.layer");
  for (const char* name : {"a", "one", "b", "c", "d"}) sketch.tensor(name, {elements});
  sketch.relu("x", "a").fill("one", 1).add("x", "one", "b").add("a", "b", "c").add("c", "w", "d").copy("d", "y");
  return sketch.program;
}

Plan make_plan(FakeBackend& backend) { return plan_programs({formula()}, backend); }

void set(Runtime& runtime, const char* tensor, float value) {
  for (float& element : runtime.values<float>(tensor)) element = value;
}

TEST(Runtime, ComputesInSharedMemory) {
  FakeBackend backend;
  const Plan plan = make_plan(backend);
  ASSERT_LT(plan.transient_bytes, 5 * 4096) << "nothing shares memory";
  Runtime runtime(plan);
  set(runtime, "x", 2);
  set(runtime, "w", 10);
  runtime.run(0);
  EXPECT_THAT(runtime.values<float>("y"), Each(15.0F));
  set(runtime, "x", -2);
  runtime.run(0);
  EXPECT_THAT(runtime.values<float>("y"), Each(9.0F));
}

TEST(Runtime, ArenasAreThoseOfThePlan) {
  FakeBackend backend;
  const Plan plan = make_plan(backend);
  const Runtime runtime(plan);
  const auto pages = [](std::int64_t bytes) { return (bytes + 4095) / 4096 * 4096; };
  EXPECT_EQ(runtime.arena_bytes(),
            pages(plan.persistent_bytes) + pages(plan.transient_bytes) + pages(plan.input_bytes));
}

TEST(Runtime, ArenasAreZeroAndAligned) {
  FakeBackend backend;
  Runtime runtime(make_plan(backend));
  EXPECT_THAT(runtime.values<float>("w"), Each(0.0F));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(runtime.bytes("w").data()) % 4096, 0u);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(runtime.bytes("x").data()) % 4096, 0u);
}

TEST(Runtime, FindsTensorsByName) {
  FakeBackend backend;
  Runtime runtime(plan_programs({formula(10), formula(10)}, backend));
  ASSERT_NE(runtime.find("a"), nullptr);
  EXPECT_EQ(runtime.find("a")->shape, Shape{10});
  EXPECT_EQ(runtime.find("nonsense"), nullptr);
  EXPECT_EQ(runtime.bytes("x").size(), 40u);
  EXPECT_TRUE(runtime.bytes("a").empty()) << "transient tensors have no bytes between runs";
  EXPECT_TRUE(runtime.bytes("nonsense").empty());
}

TEST(Runtime, InputsOfSeveralProgramsAreTheLargest) {
  FakeBackend backend;
  Sketch small;
  small.tensor("x", {10}, Arena::input, Role::input).tensor("y", {10}, Arena::input).copy("x", "y");
  Sketch large;
  large.tensor("x", {99}, Arena::input, Role::input).tensor("y", {99}, Arena::input).copy("x", "y");
  Runtime runtime(plan_programs({small.program, large.program}, backend));
  ASSERT_EQ(runtime.values<float>("x").size(), 99u);
  set(runtime, "x", 3);
  runtime.run(0);
  EXPECT_EQ(runtime.values<float>("y")[9], 3);
  EXPECT_EQ(runtime.values<float>("y")[10], 0) << "the small program writes ten elements";
  runtime.run(1);
  EXPECT_EQ(runtime.values<float>("y")[98], 3);
}

TEST(Runtime, ScratchIsPassed) {
  FakeBackend backend;
  backend.scratch_bytes[Op::add] = kElements * 4;
  Runtime runtime(make_plan(backend));
  set(runtime, "x", 2);
  runtime.run(0);
  EXPECT_THAT(runtime.values<float>("y"), Each(5.0F));
}

TEST(Runtime, SameBitsWithoutReuse) {
  FakeBackend backend;
  backend.scratch_bytes[Op::add] = kElements * 4;
  const Plan plan = make_plan(backend);
  Runtime planned(plan);
  Runtime apart(plan, {.reuse_memory = false});
  EXPECT_GT(apart.arena_bytes(), planned.arena_bytes());
  for (const float x : {2.0F, -3.0F, 1e30F}) {
    set(planned, "x", x);
    set(apart, "x", x);
    planned.run(0);
    apart.run(0);
    EXPECT_THAT(apart.bytes("y"), ::testing::ElementsAreArray(planned.bytes("y")));
  }
}

/// As if the lifetime of `a` had been cut short: `one` is put where `a` still lives.
TEST(Runtime, APlanThatReusesTooEarlyGivesOtherBits) {
  FakeBackend backend;
  Plan plan = make_plan(backend);
  PlannedProgram& planned = plan.programs[0];
  const auto storage = [&](const char* name) {
    return planned.program[planned.program.find(name)].view.storage.index();
  };
  planned.offsets[storage("one")] = planned.offsets[storage("a")];
  Runtime corrupt(plan);
  Runtime apart(plan, {.reuse_memory = false});
  set(corrupt, "x", 2);
  set(apart, "x", 2);
  corrupt.run(0);
  apart.run(0);
  EXPECT_THAT(apart.values<float>("y"), Each(5.0F));
  EXPECT_THAT(corrupt.values<float>("y"), Each(4.0F));
}

/// What a program reads before it writes it, or after its storage died, is NaN without reuse.
TEST(Runtime, PoisonShowsReadsOfDeadBytes) {
  Sketch sketch;
  sketch.tensor("t", {8}).tensor("y", {8}, Arena::input).tensor("z", {8}, Arena::input);
  sketch.fill("t", 7).copy("t", "y").fill("z", 0);
  FakeBackend backend;
  Plan plan = plan_programs({sketch.program}, backend);
  // A step that reads `t` although no operand says so: the lifetime of `t` ends one step too early for it.
  const float* dead = nullptr;
  plan.programs[0].steps[1].run = [&](const StepArguments& a) { dead = static_cast<float*>(a.operands[0]); };
  plan.programs[0].steps[2].run = [&](const StepArguments& a) { *static_cast<float*>(a.operands[0]) = *dead; };
  Runtime apart(plan, {.reuse_memory = false});
  apart.run(0);
  EXPECT_TRUE(std::isnan(apart.values<float>("z")[0]));
  Runtime planned(plan);
  planned.run(0);
  EXPECT_EQ(planned.values<float>("z")[0], 7) << "with reuse the fault may stay unseen";
}

TEST(Runtime, PoisonComesBeforeEveryRun) {
  Sketch sketch;
  sketch.tensor("t", {8}).tensor("y", {8}, Arena::input);
  sketch.copy("t", "y").fill("t", 7);
  FakeBackend backend;
  Runtime runtime(plan_programs({sketch.program}, backend), {.reuse_memory = false});
  for (int run = 0; run < 2; ++run) {
    runtime.run(0);
    EXPECT_TRUE(std::isnan(runtime.values<float>("y")[0])) << "read before written, run " << run;
  }
}

TEST(Runtime, WatchedNamesTheFirstThatIsNotFinite) {
  FakeBackend backend;
  Runtime runtime(make_plan(backend));
  EXPECT_EQ(runtime.run_watched(0), std::nullopt);
  runtime.values<float>("w")[17] = std::numeric_limits<float>::infinity();
  const NotFinite bad = runtime.run_watched(0).value_or(NotFinite{});
  EXPECT_EQ(bad.tensor, "d");
  EXPECT_EQ(bad.layer, "the.layer");
  EXPECT_EQ(bad.op, to_string(Op::add));
  EXPECT_EQ(bad.element, 17);
  EXPECT_TRUE(std::isinf(bad.value));
}

TEST(Runtime, TimesEveryStep) {
  FakeBackend backend;
  Runtime runtime(make_plan(backend));
  const std::vector<double> seconds = runtime.run_timed(0);
  EXPECT_EQ(seconds.size(), 6u);
  EXPECT_THAT(seconds, Each(::testing::Ge(0.0)));
}

TEST(Runtime, MemoryThatCannotBeHadIsAFinding) {
  FakeBackend backend;
  Sketch sketch;
  sketch.tensor("w", {std::int64_t{1} << 40}, Arena::persistent, Role::weight).tensor("t", {1}).fill("t", 0);
  const Plan plan = plan_programs({sketch.program}, backend);
  try {
    const Runtime runtime(plan);
    FAIL() << "4 TiB were given";
  } catch (const Error& error) {
    EXPECT_EQ(exit_code(error.findings()), 4);
    EXPECT_FALSE(error.findings()[0].fix.empty());
    EXPECT_THAT(error.findings()[0].what, ::testing::HasSubstr("4.00 TiB"));
  }
}

}  // namespace
}  // namespace snug
