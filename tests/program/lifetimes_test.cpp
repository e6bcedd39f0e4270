#include "program/lifetimes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace snug {
namespace {

/// Steps on tensors a, b, c, …, each in a storage of its own unless `views` says otherwise.
struct Line {
  Op op;
  const char* in;
  const char* out;
  std::uint8_t queue = kMainQueue;
  const char* scratch = "";
};

Program make(const std::vector<Line>& lines, const std::string& tensors = "abcdef") {
  Program program;
  ProgramBuilder builder(program);
  for (const char name : tensors) builder.add_tensor({.name = std::string(1, name), .shape = {4}});
  for (const Line& line : lines) {
    Step step{.op = line.op, .queue = line.queue};
    for (const char* c = line.in; *c != 0; ++c) step.operands.push_back({program.find({c, 1}), Access::in});
    for (const char* c = line.out; *c != 0; ++c) step.operands.push_back({program.find({c, 1}), Access::out});
    for (const char* c = line.scratch; *c != 0; ++c) {
      step.operands.push_back({program.find({c, 1}), Access::inout});
      step.has_workspace = true;
    }
    builder.add_step(step);
  }
  return program;
}

Lifetime life_of(const Program& program, std::string_view tensor) {
  return lifetimes(program)[program[program.find(tensor)].view.storage.index()];
}

TEST(Lifetimes, FromFirstToPastLastAccess) {
  const Program program = make({{Op::fill, "", "a"}, {Op::copy, "a", "b"}, {Op::fill, "", "c"}, {Op::add, "ac", "d"}});
  EXPECT_EQ(life_of(program, "a"), (Lifetime{0, 4}));
  EXPECT_EQ(life_of(program, "b"), (Lifetime{1, 2}));
  EXPECT_EQ(life_of(program, "c"), (Lifetime{2, 4}));
  EXPECT_EQ(life_of(program, "d"), (Lifetime{3, 4}));
  EXPECT_EQ(life_of(program, "e"), (Lifetime{0, 0})) << "never accessed";
}

TEST(Lifetimes, AStorageLivesAsLongAsAnyViewInIt) {
  Program program = make({{Op::fill, "", "a"}, {Op::fill, "", "b"}});
  ProgramBuilder builder(program);
  const TensorId part = builder.add_batch_slice(program.find("a"), 1, 2, "part");
  builder.add_step({.op = Op::copy, .operands = {{part, Access::in}, {program.find("b"), Access::out}}});
  EXPECT_EQ(life_of(program, "a"), (Lifetime{0, 3}));
}

TEST(Lifetimes, OperandsOfAnotherQueueLiveUntilTheirWait) {
  const Program program = make({{Op::fill, "", "a"},
                                {Op::copy, "a", "b", 1, "f"},
                                {Op::fill, "", "c"},
                                {Op::wait, "c", ""},
                                {Op::wait, "ab", ""},
                                {Op::fill, "", "d"}});
  EXPECT_EQ(life_of(program, "a"), (Lifetime{0, 5}));
  EXPECT_EQ(life_of(program, "b"), (Lifetime{1, 5}));
  EXPECT_EQ(life_of(program, "f"), (Lifetime{1, 5})) << "scratch lives as long as its step may run";
  EXPECT_EQ(life_of(program, "c"), (Lifetime{2, 4}));
}

TEST(Lifetimes, WithoutAWaitToTheEnd) {
  const Program program =
      make({{Op::fill, "", "a"}, {Op::copy, "a", "b", 1, "f"}, {Op::wait, "b", ""}, {Op::fill, "", "c"}});
  EXPECT_EQ(life_of(program, "a"), (Lifetime{0, 4})) << "the wait does not name what the step reads";
  EXPECT_EQ(life_of(program, "b"), (Lifetime{1, 3}));
  EXPECT_EQ(life_of(program, "f"), (Lifetime{1, 3}));
}

TEST(Lifetimes, AWaitBeforeTheStepDoesNotCloseIt) {
  const Program program =
      make({{Op::fill, "", "a"}, {Op::wait, "a", ""}, {Op::copy, "a", "b", 1}, {Op::fill, "", "c"}});
  EXPECT_EQ(life_of(program, "a"), (Lifetime{0, 4}));
  EXPECT_EQ(life_of(program, "b"), (Lifetime{2, 4}));
}

}  // namespace
}  // namespace snug
