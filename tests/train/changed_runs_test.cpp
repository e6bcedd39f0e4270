#include "train/changed_runs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace snug {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kConfig = R"(
[data]
train = { synthetic = "shapes", count = 64 }
[model]
input = [16, 16, 3]
layers = [ { conv = 4, kernel = 3 }, { flatten = true }, { dense = 10 } ]
[train]
batch = 16
optimizer = { name = "adam", lr = 1e-3 }
)";

PlanRunOptions options() {
  const auto backend = [] { return make_cpu_backend({.threads = 1}); };
  return {.trial_backend = backend,
          .planning = [=](const Config&) { return Planning{.memory = cpu_memory(), .make_backend = backend}; },
          .processor = {.avx512 = true}};
}

std::vector<ChangedRun> runs_of(const std::string& more, const PlanRunOptions& options_of_run = options()) {
  const Config config = parse_config(kConfig + more, "c.toml");
  std::vector<Diagnostic> findings;
  // Sound on the newest processor; what is offered depends on the options' own.
  const RunSetup setup = make_setup(config, build_graph(config.model, findings),
                                    open_data(config.data, config.model.input, 1), {.avx512 = true});
  PlanReport refused;
  refused.breakdown.optimizer = 1;
  PlanRequest request{.lowering = setup.lowering, .strategies = strategies_of(config, false)};
  DeviceMemory device = cpu_memory();
  return changed_runs(config, setup, request, device, options_of_run, refused);
}

const ChangedRun* find(const std::vector<ChangedRun>& runs, const std::string& change) {
  const auto found = std::ranges::find(runs, change, &ChangedRun::change);
  return found == runs.end() ? nullptr : &*found;
}

TEST(ChangedRuns, EachIsTheRunWithItsLines) {
  const std::vector<ChangedRun> runs = runs_of("[memory]\nstrategy = [\"inplace\"]\n");
  const ChangedRun* strategy = find(runs, "memory.strategy = \"auto\"");
  ASSERT_NE(strategy, nullptr);
  EXPECT_TRUE(strategy->request.strategies.recompute);
  EXPECT_TRUE(strategy->keeps_results);
  EXPECT_EQ(strategy->request.lowering.train.optimizer.kind, OptimizerKind::adam);

  const ChangedRun* precision = find(runs, "train.precision = \"bf16\"");
  ASSERT_NE(precision, nullptr);
  EXPECT_EQ(precision->request.lowering.dtype, DType::bf16);
  EXPECT_FALSE(precision->request.strategies.recompute) << "the rest is as it was";
  EXPECT_FALSE(precision->keeps_results);

  const ChangedRun* momentum = find(runs, "train.optimizer = { name = \"sgd\", lr = 0.01, momentum = 0.9 }");
  ASSERT_NE(momentum, nullptr);
  EXPECT_EQ(momentum->request.lowering.train.optimizer.kind, OptimizerKind::sgd);
  EXPECT_EQ(momentum->request.lowering.train.optimizer.momentum, 0.9);

  const ChangedRun* all = find(runs,
                               "memory.strategy = \"auto\"\ntrain.precision = \"bf16\"\n"
                               "train.optimizer = { name = \"sgd\", lr = 0.01 }");
  ASSERT_NE(all, nullptr);
  EXPECT_EQ(all->request.lowering.train.optimizer.momentum, 0);
  EXPECT_EQ(all->changes, strategy->changes | precision->changes | (all->changes & ~strategy->changes));
  EXPECT_GT(all->weight, momentum->weight);
}

TEST(ChangedRuns, OnlyWhatCanBeChangedIsOffered) {
  struct Row {
    std::string config, absent;
    bool avx512 = true;
  };
  const Row rows[] = {
      {"", "memory.strategy"},
      {"[memory]\nstrategy = [\"inplace\", \"recompute\", \"split\", \"eager_update\"]\n", "memory.strategy"},
      {"precision = \"bf16\"\n", "train.precision"},
      {"", "train.precision", false},
      {"", "memory.workspace"},
      {"", "model.input"}};
  for (const Row& row : rows) {
    PlanRunOptions changed = options();
    changed.processor.avx512 = row.avx512;
    for (const ChangedRun& run : runs_of(row.config, changed)) {
      EXPECT_THAT(run.change, Not(HasSubstr(row.absent))) << row.config;
    }
  }
}

TEST(ChangedRuns, PartsThatWereNamedStay) {
  const std::vector<ChangedRun> runs = runs_of("[memory]\nstrategy = [\"microbatch\"]\n");
  const ChangedRun* strategy =
      find(runs, "memory.strategy = [\"inplace\", \"recompute\", \"split\", \"eager_update\", \"microbatch\"]");
  ASSERT_NE(strategy, nullptr);
  EXPECT_TRUE(strategy->request.strategies.microbatch);
  EXPECT_TRUE(strategy->request.strategies.split);
}

}  // namespace
}  // namespace snug
