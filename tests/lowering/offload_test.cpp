#include "lowering/offload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "lowering/lowering.h"
#include "planner/nets.h"
#include "program/lifetimes.h"

namespace snug {
namespace {

LoweringOptions options(std::int64_t parts = 1) {
  LoweringOptions made{.batch = 8, .parts = parts};
  made.train.optimizer.momentum = 0.9;
  made.in_place = false;
  return made;
}

/// Steps whose operands lie in the storage.
std::vector<std::size_t> users(const Program& program, std::string_view storage) {
  std::vector<std::size_t> steps;
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    if (std::ranges::any_of(program.steps[i].operands, [&](const Operand& operand) {
          return program.storage_of(operand.tensor).name == storage;
        })) {
      steps.push_back(i);
    }
  }
  return steps;
}

Lifetime life_of(const Program& program, std::string_view storage) {
  const auto found = std::ranges::find(program.storages, storage, &Storage::name);
  if (found == program.storages.end()) return {};
  return lifetimes(program)[static_cast<std::size_t>(found - program.storages.begin())];
}

TEST(OffloadCandidates, AreWhatBackwardReadsOfTheForwardPass) {
  const Program program = lower(test::small_net(true), options());
  const std::vector<OffloadCandidate> candidates = offload_candidates(program);
  EXPECT_GE(candidates.size(), 5U);
  std::size_t last = 0;
  for (const OffloadCandidate& one : candidates) {
    SCOPED_TRACE(program[one.storage].name);
    EXPECT_EQ(program[one.storage].arena, Arena::transient);
    EXPECT_EQ(one.bytes, program[one.storage].size_bytes);
    EXPECT_EQ(program.steps[one.last_forward].phase, Phase::forward);
    EXPECT_EQ(program.steps[one.first_backward].phase, Phase::backward);
    EXPECT_GE(one.last_forward, last) << "in the order of the forward pass";
    last = one.last_forward;
    for (const std::size_t step : users(program, program[one.storage].name)) {
      EXPECT_TRUE(step <= one.last_forward || step >= one.first_backward);
    }
  }
}

TEST(Offload, FreesTheDeviceInBetween) {
  for (const std::int64_t parts : {1, 2}) {
    LoweringOptions lowering = options(parts);
    lowering.step_seconds = [](const Program&, const Step&) { return 1.0; };
    const Program plain = lower(test::small_net(true), lowering);
    const OffloadCandidate first = offload_candidates(plain).front();
    const std::string name = plain[first.storage].name;
    lowering.offloaded = {name, "no such storage"};
    const Program program = lower(test::small_net(true), lowering);
    ASSERT_EQ(program.steps.size(), plain.steps.size() + 4) << "out, wait, back, wait";
    const Lifetime device = life_of(program, name), host = life_of(program, name + ":host"),
                   back = life_of(program, name + ":back");
    EXPECT_LT(device.last, back.first) << "nothing of it is on the device for a while";
    EXPECT_LT(host.first, device.last) << "copied while it was there";
    EXPECT_LT(back.first, host.last);
    EXPECT_LT(host.last, back.last);
    const std::vector<std::size_t> readers = users(program, name + ":back");
    ASSERT_GE(readers.size(), 3U) << "copy, wait, and who reads it";
    EXPECT_EQ(program.steps[readers[0]].queue, kCopyQueue);
    EXPECT_EQ(program.steps[readers[1]].op, Op::wait);
    EXPECT_GT(readers[1], readers[0] + 1) << "steps run while it comes";
    EXPECT_EQ(readers[2], readers[1] + 1) << "waited for where it is needed";
  }
}

TEST(Offload, KeepsFewCopiesUnderWay) {
  LoweringOptions lowering = options();
  const Program plain = lower(test::small_net(true), lowering);
  for (const OffloadCandidate& one : offload_candidates(plain)) lowering.offloaded.insert(plain[one.storage].name);
  const Program program = lower(test::small_net(true), lowering);
  int under_way = 0, most = 0, copies = 0;
  for (const Step& step : program.steps) {
    if (step.queue == kCopyQueue) most = std::max(most, ++under_way), ++copies;
    if (step.op == Op::wait) --under_way;
  }
  EXPECT_EQ(under_way, 0);
  EXPECT_EQ(copies, 2 * std::ssize(lowering.offloaded));
  EXPECT_GT(most, 1);
  EXPECT_LE(most, 4) << "two each way where they meet";
}

TEST(Offload, WhatCannotBeMovedStays) {
  LoweringOptions lowering = options();
  const Program plain = lower(test::small_net(true), lowering);
  for (const Storage& storage : plain.storages) {
    const auto known = offload_candidates(plain);
    const bool can = std::ranges::any_of(
        known, [&](const OffloadCandidate& one) { return plain[one.storage].name == storage.name; });
    if (!can) lowering.offloaded.insert(storage.name);
  }
  EXPECT_EQ(lower(test::small_net(true), lowering).steps.size(), plain.steps.size());
}

}  // namespace
}  // namespace snug
