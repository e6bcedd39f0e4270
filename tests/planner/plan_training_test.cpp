#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "planner/nets.h"
#include "planner/planner.h"

namespace snug {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

/// Answers for every op and runs nothing. Scratch of convolutions: a quarter of what they read and write.
class PlanningBackend : public Backend {
 public:
  int prepared = 0;

  [[nodiscard]] std::string_view name() const override { return "planning"; }
  [[nodiscard]] PreparedStep prepare(const Program& program, const Step& step) override {
    ++prepared;
    PreparedStep made{.algorithm = "none"};
    if (step.op != Op::conv_forward && step.op != Op::conv_backward_weights) return made;
    for (const Operand& operand : step.operands) made.workspace_bytes += extent_bytes(program[operand.tensor]) / 4;
    return made;
  }
};

constexpr std::int64_t kMiB = 1 << 20;

DeviceMemory device(std::int64_t free_bytes) {
  return {.name = "test device",
          .total_bytes = 2 * free_bytes,
          .free_bytes = free_bytes,
          .driver_bytes = 100'000,
          .library_bytes = 23'456,
          .granularity_bytes = kArenaAlignmentBytes};  // arenas are what is placed in them
}

PlanRequest fixed(std::int64_t batch) {
  PlanRequest request;
  request.batch = {BatchChoice::Kind::number, batch};
  request.train_samples = 1000;
  request.val_samples = 70;
  request.lowering.train.optimizer.momentum = 0.9;
  request.strategies = {.recompute = false, .split = false};  // have tests of their own
  return request;
}

Plan plan(const Graph& graph, const PlanRequest& request, std::int64_t free_bytes = 1024 * kMiB) {
  PlanningBackend backend;
  return plan_training(graph, request, device(free_bytes), backend);
}

Shape images_of(const Plan& plan, int program) {
  const Program& made = plan.programs[static_cast<std::size_t>(program)].program;
  return made[made.find(exchange::kImages)].shape;
}

TEST(PlanTraining, PlansEveryProgramOfTheRun) {
  const Plan made = plan(test::small_net(true), fixed(32));
  ASSERT_EQ(made.programs.size(), 4u);
  EXPECT_EQ(images_of(made, made.train)[0], 32);
  EXPECT_EQ(images_of(made, made.train_last)[0], 1000 % 32);
  EXPECT_EQ(images_of(made, made.eval)[0], 32);
  EXPECT_EQ(images_of(made, made.eval_last)[0], 70 % 32);
  EXPECT_TRUE(made.report.fits);
  EXPECT_EQ(made.report.short_by_bytes, 0);
  EXPECT_THAT(made.report.remedies, IsEmpty());
}

TEST(PlanTraining, LeavesOutProgramsThatNeverRun) {
  struct Row {
    std::int64_t batch, train, val;
    bool drop_last;
    bool train_last, eval, eval_last;
  };
  const Row rows[] = {{.batch = 10, .train = 100, .val = 0},
                      {.batch = 10, .train = 101, .val = 0, .train_last = true},
                      {.batch = 10, .train = 101, .val = 0, .drop_last = true},
                      {.batch = 10, .train = 0, .val = 20, .eval = true},
                      {.batch = 10, .train = 100, .val = 5, .eval = true},
                      {.batch = 10, .train = 100, .val = 25, .eval = true, .eval_last = true}};
  const Graph graph = test::small_net(true);
  for (const Row& row : rows) {
    SCOPED_TRACE(testing::Message() << row.train << " samples, " << row.val << " to validate");
    PlanRequest request = fixed(row.batch);
    request.train_samples = row.train;
    request.val_samples = row.val;
    request.drop_last = row.drop_last;
    request.batch_limit = 64;
    const Plan made = plan(graph, request);
    EXPECT_EQ(made.train, 0);
    EXPECT_EQ(made.train_last >= 0, row.train_last);
    EXPECT_EQ(made.eval >= 0, row.eval);
    EXPECT_EQ(made.eval_last >= 0, row.eval_last);
    EXPECT_EQ(static_cast<int>(made.programs.size()), 1 + row.train_last + row.eval + row.eval_last);
  }
}

TEST(PlanTraining, ReportAddsUp) {
  const Graph graph = test::small_net(true);
  std::int64_t parameters = 0;
  std::int64_t norm_channels = 0;
  for (const Node& node : graph.nodes) {
    parameters += parameter_count(node);
    if (node.op == NodeOp::batchnorm) norm_channels += node.output.back();
  }
  PlanRequest request = fixed(32);
  request.host_bytes = 77;
  request.checkpoint_bytes = 88;
  const PlanReport report = plan(graph, request).report;
  EXPECT_EQ(report.breakdown.total(), report.total_bytes);
  EXPECT_EQ(report.breakdown.weights, 4 * parameters);
  EXPECT_EQ(report.breakdown.optimizer, 4 * parameters);
  EXPECT_EQ(report.breakdown.statistics, 8 * norm_channels);
  EXPECT_EQ(report.breakdown.driver, 100'000);
  EXPECT_EQ(report.breakdown.library, 23'456);
  EXPECT_EQ(report.host_bytes, 77);
  EXPECT_EQ(report.checkpoint_bytes, 88);
  EXPECT_GT(report.breakdown.activations, 0);
  EXPECT_EQ(report.breakdown.gradients + report.breakdown.activations + report.breakdown.workspace,
            report.lower_bound_bytes);
  EXPECT_EQ(report.persistent_arena_bytes,
            report.breakdown.weights + report.breakdown.optimizer + report.breakdown.statistics);
  EXPECT_EQ(report.transient_arena_bytes, report.lower_bound_bytes);
  EXPECT_EQ(report.total_bytes, report.breakdown.driver + report.breakdown.library + report.persistent_arena_bytes +
                                    report.transient_arena_bytes + report.breakdown.input + report.breakdown.padding);
  EXPECT_GE(report.allocated.transient, report.lower_bound_bytes);
  EXPECT_EQ(report.total_bytes, report.breakdown.driver + report.breakdown.library + report.allocated.persistent +
                                    report.allocated.transient + report.allocated.input);
  std::int64_t peak = 0;
  for (const PlanTensor& tensor : report.peak.tensors) peak += tensor.bytes;
  EXPECT_EQ(peak, report.lower_bound_bytes);
  EXPECT_TRUE(std::ranges::is_sorted(report.peak.tensors, std::greater{}, &PlanTensor::bytes));
}

TEST(PlanTraining, LowPrecisionCopiesCostTwoBytesAWeight) {
  const Graph graph = test::small_net(true);
  std::int64_t parameters = 0, weights = 0, norm_channels = 0;
  for (const Node& node : graph.nodes) {
    parameters += parameter_count(node);
    if (node.op == NodeOp::batchnorm) norm_channels += node.output.back();
    if (node.op == NodeOp::conv || node.op == NodeOp::dense) weights += node.parameters[0].shape.elements();
  }
  struct Row {
    bool frozen, decay_all, ema;
  };
  for (const Row& row : {Row{}, Row{.frozen = true}, Row{.decay_all = true}, Row{.ema = true}}) {
    PlanRequest request = fixed(32);
    request.lowering.dtype = DType::bf16;
    request.lowering.train.decay_norm_and_bias = row.decay_all;
    request.lowering.train.ema = row.ema ? 0.99 : 0;
    if (row.frozen) request.lowering.frozen.assign(graph.nodes.size(), true), request.lowering.frozen.back() = false;
    const PlanReport report = plan(graph, request).report;
    EXPECT_EQ(report.breakdown.weights, 4 * parameters + 2 * weights);
    EXPECT_EQ(report.breakdown.statistics, 8 * norm_channels + (row.ema ? 4 * parameters : 0));
    EXPECT_EQ(report.breakdown.total(), report.total_bytes);
    std::int64_t peak = 0;
    for (const PlanTensor& tensor : report.peak.tensors) peak += tensor.bytes;
    EXPECT_EQ(peak, report.lower_bound_bytes);
  }
}

TEST(PlanTraining, LayersSayWhatTheyCost) {
  const Graph graph = test::small_net(true);
  const PlanReport report = plan(graph, fixed(32)).report;
  ASSERT_EQ(report.layers.size(), graph.layers.size());
  const PlanLayer& first = report.layers.front();
  EXPECT_EQ(first.name, "0");
  EXPECT_THAT(first.output, ElementsAre(32, 12, 12, 8));
  EXPECT_EQ(first.parameters, 3 * 3 * 3 * 8 + 2 * 8) << "no bias beside a norm";
  EXPECT_EQ(first.flops, 2LL * 32 * 12 * 12 * 8 * 3 * 3 * 3);
  EXPECT_GE(first.saved_bytes, 32LL * 12 * 12 * 8 * 4);
  EXPECT_GT(first.workspace_bytes, 0);
  EXPECT_THAT(report.layers.back().output, ElementsAre(32, 5));
}

TEST(PlanTraining, TheLargestBatchFitsAndOneMoreDoesNot) {
  const Graph graph = test::small_net(true);
  for (const std::int64_t free : {1 * kMiB, 3 * kMiB, 10 * kMiB, 15 * kMiB}) {
    PlanRequest request = fixed(1);
    request.batch = {BatchChoice::Kind::maximum, 0};
    const PlanReport best = plan(graph, request, free).report;
    SCOPED_TRACE(testing::Message() << "batch " << best.batch << " in " << free << " bytes");
    ASSERT_TRUE(best.fits);
    EXPECT_EQ(best.max_batch, best.batch);
    EXPECT_LE(best.total_bytes, best.budget_bytes);
    EXPECT_LT(best.batch, 1000);
    const PlanReport more = plan(graph, fixed(best.batch + 1), free).report;
    EXPECT_FALSE(more.fits);
    EXPECT_EQ(more.max_batch, best.batch);
    EXPECT_EQ(more.short_by_bytes, more.total_bytes - more.budget_bytes);
  }
}

TEST(PlanTraining, MoreBudgetNeverLowersTheLargestBatch) {
  const Graph graph = test::small_net(false);
  std::int64_t before = 0;
  for (std::int64_t bytes = 200'000; bytes < 12 * kMiB; bytes *= 4) {
    PlanRequest request = fixed(1);
    request.batch = {BatchChoice::Kind::maximum, 0};
    request.budget.bytes = bytes;
    const PlanReport report = plan(graph, request).report;
    EXPECT_GE(report.max_batch, before) << bytes;
    EXPECT_EQ(report.budget_bytes, bytes);
    before = report.max_batch;
  }
  EXPECT_GT(before, 10);
}

TEST(PlanTraining, SamplesBoundTheBatch) {
  const Graph graph = test::small_net(true);
  struct Row {
    BatchChoice::Kind kind;
    std::int64_t samples, limit, batch, max_batch;
  };
  const Row rows[] = {{BatchChoice::Kind::maximum, 300, 0, 300, 300},
                      {BatchChoice::Kind::maximum, 300, 20, 20, 20},
                      {BatchChoice::Kind::maximum, 5, 0, 5, 5},
                      {BatchChoice::Kind::automatic, 300, 0, 128, 300},
                      {BatchChoice::Kind::automatic, 50, 0, 50, 50}};
  for (const Row& row : rows) {
    PlanRequest request = fixed(1);
    request.batch = {row.kind, 0};
    request.train_samples = row.samples;
    request.batch_limit = row.limit;
    const PlanReport report = plan(graph, request).report;
    EXPECT_EQ(report.batch, row.batch);
    EXPECT_EQ(report.max_batch, row.max_batch);
  }
}

TEST(PlanTraining, AccumulationDividesTheBatch) {
  const Graph graph = test::small_net(false);
  PlanRequest request = fixed(50);
  const Plan whole = plan(graph, request);
  request.lowering.train.accumulate = 4;
  const Plan parts = plan(graph, request);
  EXPECT_EQ(parts.report.batch, 50);
  EXPECT_EQ(parts.report.accumulation, 4);
  EXPECT_EQ(parts.report.micro_batch, 13);
  EXPECT_EQ(images_of(parts, parts.eval)[0], 13);
  EXPECT_EQ(parts.report.max_batch, whole.report.max_batch) << "accumulation never raises it";
  EXPECT_LT(parts.report.transient_arena_bytes, whole.report.transient_arena_bytes / 2);
  EXPECT_THAT(parts.report.strategy, Contains("microbatch"));
  EXPECT_THAT(whole.report.strategy, Not(Contains("microbatch")));
  EXPECT_THAT(whole.report.strategy, Contains("inplace"));
  request.lowering.train.accumulate = 400;
  EXPECT_EQ(plan(graph, request).report.accumulation, 50) << "no more parts than samples";
}

TEST(PlanTraining, WhatDoesNotFitSaysWhatWould) {
  for (const bool norm : {false, true}) {
    SCOPED_TRACE(norm ? "with batch norm" : "without");
    const Graph graph = test::small_net(norm);
    const PlanRequest request = fixed(512);
    const Plan made = plan(graph, request, 3 * kMiB);
    EXPECT_FALSE(made.report.fits);
    EXPECT_THAT(made.programs, IsEmpty());
    EXPECT_EQ(made.train, -1);
    EXPECT_GT(made.report.short_by_bytes, 0);
    EXPECT_EQ(made.report.short_by_bytes, made.report.total_bytes - made.report.budget_bytes);
    EXPECT_EQ(made.report.breakdown.total(), made.report.total_bytes);
    EXPECT_THAT(made.report.peak.tensors, Not(IsEmpty()));
    int accumulate = 0;
    for (const PlanRemedy& remedy : made.report.remedies) {
      PlanRequest changed = request;
      std::int64_t value = 0;
      if (std::sscanf(remedy.change.c_str(), "train.batch = %ld", &value) == 1) changed.batch.number = value;
      if (std::sscanf(remedy.change.c_str(), "train.accumulate = %ld", &value) == 1) {
        changed.lowering.train.accumulate = value;
        ++accumulate;
      }
      ASSERT_GT(value, 0) << remedy.change;
      const PlanReport report = plan(graph, changed, 3 * kMiB).report;
      EXPECT_TRUE(report.fits) << remedy.change;
      EXPECT_EQ(report.total_bytes, remedy.total_bytes) << remedy.change;
    }
    EXPECT_EQ(made.report.remedies.size(), norm ? 1u : 2u);
    EXPECT_EQ(accumulate, norm ? 0 : 1) << "splitting changes what batch norm computes";
  }
}

TEST(PlanTraining, NothingFits) {
  PlanRequest request = fixed(1);
  request.batch = {BatchChoice::Kind::maximum, 0};
  request.budget.bytes = 130'000;
  const PlanReport report = plan(test::small_net(true), request).report;
  EXPECT_FALSE(report.fits);
  EXPECT_EQ(report.batch, 1);
  EXPECT_EQ(report.max_batch, 0);
  EXPECT_GT(report.short_by_bytes, 0);
  ASSERT_EQ(report.remedies.size(), 1U) << "the budget is the user's own";
  std::int64_t mebibytes = 0;
  ASSERT_EQ(std::sscanf(report.remedies[0].change.c_str(), "memory.budget = \"%ldMiB\"", &mebibytes), 1);
  request.budget.bytes = mebibytes * kMiB;
  EXPECT_TRUE(plan(test::small_net(true), request).report.fits);
  request.budget = {};
  EXPECT_THAT(plan(test::small_net(true), request, 130'000).report.remedies, IsEmpty()) << "the device is too small";
}

TEST(PlanTraining, TheBoundOfScratchBinds) {
  PlanRequest request = fixed(4);
  const PlanReport free = plan(test::small_net(true), request).report;
  ASSERT_TRUE(free.fits);
  ASSERT_GT(free.workspace_bytes, 1);
  request.workspace_limit_bytes = free.workspace_bytes;
  EXPECT_TRUE(plan(test::small_net(true), request).report.fits);
  request.workspace_limit_bytes = 1;
  const PlanReport report = plan(test::small_net(true), request).report;
  EXPECT_FALSE(report.fits);
  EXPECT_EQ(report.short_by_bytes, free.workspace_bytes - 1);
  ASSERT_FALSE(report.remedies.empty());
  std::int64_t kibibytes = 0;
  ASSERT_EQ(std::sscanf(report.remedies[0].change.c_str(), "memory.workspace = \"%ldKiB\"", &kibibytes), 1);
  request.workspace_limit_bytes = kibibytes << 10;
  EXPECT_TRUE(plan(test::small_net(true), request).report.fits);
}

/// Memory beside the device's that grows with the batch: the answer counts that of the batch that it proposes.
TEST(PlanTraining, HostMemoryIsThatOfEachCandidate) {
  PlanRequest request = fixed(1'000'000);
  request.host_bytes_of = [](std::int64_t batch) { return batch * 100'000; };
  DeviceMemory memory = device(64 * kMiB);
  memory.driver_in_use = true;
  PlanningBackend backend;
  const PlanReport report = plan_training(test::small_net(true), request, memory, backend).report;
  EXPECT_FALSE(report.fits);
  ASSERT_EQ(report.remedies.size(), 1U);
  request.batch.number = report.max_batch;
  EXPECT_EQ(report.remedies[0].change, "train.batch = " + std::to_string(report.max_batch));
  const PlanReport smaller = plan_training(test::small_net(true), request, memory, backend).report;
  EXPECT_TRUE(smaller.fits);
  EXPECT_EQ(smaller.host_bytes, report.max_batch * 100'000);
}

/// What a search tries is prepared by backends of its own; that which runs prepares the one plan.
TEST(PlanTraining, TrialsLeaveNothingBehind) {
  PlanRequest request = fixed(1);
  request.batch = {BatchChoice::Kind::maximum, 0};
  const Graph graph = test::small_net(true);
  PlanningBackend alone;
  const PlanReport expected = plan_training(graph, request, device(10 * kMiB), alone).report;
  int made = 0;
  request.trial_backend = [&made] { return ++made, std::make_unique<PlanningBackend>(); };
  PlanningBackend backend;
  const Plan plan = plan_training(graph, request, device(10 * kMiB), backend);
  EXPECT_EQ(plan.report.batch, expected.batch);
  EXPECT_GT(made, 1);
  std::size_t steps = 0;
  for (const PlannedProgram& planned : plan.programs) steps += planned.program.steps.size();
  EXPECT_EQ(backend.prepared, static_cast<int>(steps));
}

TEST(PlanTraining, KernelsOfEqualShapesAreCountedOnce) {
  DeviceMemory memory = device(1024 * kMiB);
  memory.kernel_bytes = 1'000'000;
  PlanningBackend backend;
  PlanRequest request = fixed(8);
  request.train_samples = request.val_samples = 64;
  const PlanReport report = plan_training(test::small_net(true), request, memory, backend).report;
  // A forward step of evaluation is that of training. Three kernels a layer; the first has no dx, two layers are alike.
  int products = 0;
  for (const Node& node : test::small_net(true).nodes) products += node.op == NodeOp::conv || node.op == NodeOp::dense;
  EXPECT_EQ(report.breakdown.library, 23'456 + 1'000'000 * (3 * (products - 1) - 1));
  EXPECT_EQ(report.breakdown.total(), report.total_bytes);
}

TEST(PlanTraining, Budgets) {
  struct Row {
    const char* name;
    Budget budget;
    bool in_use;
    std::int64_t host, expected;
  };
  const std::int64_t free = 100 * kMiB;
  const Row rows[] = {
      {"a part of what is free", {.fraction = 0.5}, false, 0, free / 2},
      {"what is in use is counted, not free", {.fraction = 0.5}, true, 0, free / 2 + 123'456},
      {"host memory comes out of the same", {.fraction = 0.5}, true, 2 * kMiB, (free - 2 * kMiB) / 2 + 123'456},
      {"host memory of another device does not", {.fraction = 0.5}, false, 2 * kMiB, free / 2},
      {"bytes are bytes", {.bytes = 7'654'321}, true, kMiB, 7'654'321},
      {"no more than the device has", {.bytes = 1000 * kMiB}, false, 0, 2 * free}};
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    PlanRequest request = fixed(2);
    request.batch_limit = 4;
    request.budget = row.budget;
    request.host_bytes_of = [&row](std::int64_t) { return row.host; };
    DeviceMemory memory = device(free);
    memory.driver_in_use = row.in_use;
    PlanningBackend backend;
    EXPECT_EQ(plan_training(test::small_net(true), request, memory, backend).report.budget_bytes, row.expected);
  }
}

/// What the device gives for them, a batch that waits among it.
std::int64_t arenas_of(const Plan& plan) {
  const PlanArenas& taken = plan.report.allocated;
  return taken.persistent + taken.transient + taken.input;
}

TEST(PlanTraining, TheArenaBudgetBoundsTheArenasAlone) {
  const Graph graph = test::small_net(true);
  PlanRequest request = fixed(32);
  const Plan free = plan(graph, request);
  const std::int64_t arenas = arenas_of(free);
  request.arena_budget_bytes = arenas;
  EXPECT_TRUE(plan(graph, request).report.fits);
  request.arena_budget_bytes = arenas - 1;
  const PlanReport report = plan(graph, request).report;
  EXPECT_FALSE(report.fits);
  EXPECT_EQ(report.short_by_bytes, 1);
  EXPECT_EQ(report.max_batch, 31);
}

TEST(PlanTraining, AnArenaBudgetHoldsWhatTheDeviceGives) {
  PlanningBackend backend;
  PlanRequest request = fixed(32);
  DeviceMemory coarse = device(1024 * kMiB);
  coarse.granularity_bytes = 2 * kMiB;
  const Graph graph = test::small_net(true);
  request.arena_budget_bytes = 6 * kMiB - 1;
  EXPECT_FALSE(plan_training(graph, request, coarse, backend).report.fits) << "three arenas take a piece each";
  request.arena_budget_bytes = 6 * kMiB;
  EXPECT_TRUE(plan_training(graph, request, coarse, backend).report.fits);
}

constexpr DeviceRates kRates{.flops_per_second = 1e12, .bytes_per_second = 1e11};

Plan plan_with_recompute(std::int64_t batch, std::int64_t arena_bytes, BatchChoice::Kind kind,
                         const DeviceRates& rates = kRates) {
  PlanningBackend backend;
  PlanRequest request = fixed(batch);
  request.batch.kind = kind;
  request.strategies.recompute = true;
  request.arena_budget_bytes = arena_bytes;
  request.batch_limit = 256;
  DeviceMemory memory = device(1024 * kMiB);
  memory.rates = rates;
  return plan_training(test::small_net(true), request, memory, backend);
}

TEST(PlanTraining, RecomputesOnlyWhereNeededAndFits) {
  PlanRequest request = fixed(32);
  const Plan free = plan(test::small_net(true), request);
  const std::int64_t arenas = arenas_of(free);
  const PlanReport whole = plan_with_recompute(32, arenas, BatchChoice::Kind::number).report;
  EXPECT_TRUE(whole.fits);
  EXPECT_THAT(whole.strategy, Not(Contains("recompute")));
  EXPECT_EQ(whole.estimated_slowdown, 1.0);
  const std::int64_t less = arenas * 8 / 10;
  const Plan tight = plan_with_recompute(32, less, BatchChoice::Kind::number);
  EXPECT_TRUE(tight.report.fits);
  EXPECT_THAT(tight.report.strategy, Contains("recompute"));
  EXPECT_GT(tight.report.estimated_slowdown, 1.0);
  EXPECT_LE(arenas_of(tight), less);
  EXPECT_GT(tight.report.estimated_images_per_second, 0);
}

/// A processor whose cache holds some maps of the network, and whose memory is slow.
constexpr DeviceRates kCached{.flops_per_second = 1e12,
                              .bytes_per_second = 1e11,
                              .cold_bytes_per_second = 1e10,
                              .stay_bytes_per_second = 1e11,
                              .cache_bytes = 3e5};

TEST(PlanTraining, WhatIsQuickerMadeAgainIsNotKeptThoughThereIsRoom) {
  const PlanReport report = plan_with_recompute(32, 1 << 30, BatchChoice::Kind::number, kCached).report;
  EXPECT_THAT(report.strategy, Contains("recompute"));
  EXPECT_EQ(report.estimated_slowdown, 1.0) << "it is what unlimited memory would be used for";
  PlanningBackend backend;
  DeviceMemory memory = device(1024 * kMiB);
  memory.rates = kCached;
  const PlanReport kept = plan_training(test::small_net(true), fixed(32), memory, backend).report;
  EXPECT_THAT(kept.strategy, Not(Contains("recompute")));
  EXPECT_GT(report.estimated_images_per_second, kept.estimated_images_per_second);
  EXPECT_LT(report.total_bytes, kept.total_bytes);
}

void expect_more_memory_never_slower_nor_smaller(const DeviceRates& rates) {
  std::int64_t last_batch = 0;
  double last_rate = 0;
  for (std::int64_t bytes = 200'000; bytes < 8'000'000; bytes += 400'000) {
    SCOPED_TRACE(bytes);
    const PlanReport report = plan_with_recompute(1, bytes, BatchChoice::Kind::maximum, rates).report;
    EXPECT_GE(report.max_batch, last_batch);
    last_batch = report.max_batch;
    if (last_batch == 0) continue;
    EXPECT_TRUE(plan_with_recompute(last_batch, bytes, BatchChoice::Kind::number, rates).report.fits);
    if (last_batch < 256) {
      EXPECT_FALSE(plan_with_recompute(last_batch + 1, bytes, BatchChoice::Kind::number, rates).report.fits);
    }
    const PlanReport fast = plan_with_recompute(1, bytes, BatchChoice::Kind::automatic, rates).report;
    EXPECT_TRUE(fast.fits);
    EXPECT_GE(fast.estimated_images_per_second, 0.97 * last_rate);
    last_rate = std::max(last_rate, fast.estimated_images_per_second);
  }
  EXPECT_GT(last_batch, 32);
}

TEST(PlanTraining, MoreMemoryIsNeverSlowerNorSmallerWithRecompute) {
  expect_more_memory_never_slower_nor_smaller(kRates);
  expect_more_memory_never_slower_nor_smaller(kCached);
}

/// Where a step takes the same whatever its size, a batch that needs steps more is slower than a smaller one: each is
/// taken for what it is planned as, those between two powers of two as well.
TEST(PlanTraining, TheAutomaticBatchIsTheFastestOfThoseThatFit) {
  const DeviceRates flat{.flops_per_second = 1e15, .bytes_per_second = 1e14, .least_seconds = 1e-6};
  int rewritten = 0;
  for (std::int64_t bytes = 200'000; bytes < 4'000'000; bytes += 190'000) {
    double best = 0;
    for (const std::int64_t batch : {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256}) {
      const PlanReport report = plan_with_recompute(batch, bytes, BatchChoice::Kind::number, flat).report;
      if (report.fits) best = std::max(best, report.estimated_images_per_second);
    }
    const PlanReport chosen = plan_with_recompute(1, bytes, BatchChoice::Kind::automatic, flat).report;
    EXPECT_GE(chosen.estimated_images_per_second, 0.97 * best) << bytes << " bytes, batch " << chosen.batch;
    rewritten += chosen.estimated_slowdown > 1 ? 1 : 0;
  }
  EXPECT_GT(rewritten, 0);
}

TEST(PlanTraining, MapsTooLargeForTheLibraryAreSplit) {
  const Graph graph = test::small_net(false);  // the first map: 12 × 12 × 8 elements a sample
  PlanRequest request = fixed(32);
  request.strategies.split = true;
  request.most_elements = std::int64_t{32} * 12 * 12 * 8;
  EXPECT_THAT(plan(graph, request).report.strategy, Not(Contains("split")));
  request.most_elements -= 1;
  const PlanReport split = plan(graph, request).report;
  EXPECT_TRUE(split.fits);
  EXPECT_THAT(split.strategy, Contains("split"));
  EXPECT_GE(index_limit(graph, request), 100);
  request.strategies.split = false;
  EXPECT_EQ(index_limit(graph, request), 31);
}

TEST(PlanTraining, TwoPlansDifferOnlyInSeconds) {
  const Graph graph = test::odd_net();
  const Plan a = plan(graph, fixed(16));
  const Plan b = plan(graph, fixed(16));
  EXPECT_EQ(a.report.total_bytes, b.report.total_bytes);
  ASSERT_EQ(a.programs.size(), b.programs.size());
  for (std::size_t i = 0; i < a.programs.size(); ++i) EXPECT_EQ(a.programs[i].offsets, b.programs[i].offsets);
}

/// Most of what cannot fit is refused before a step is prepared: preparing is what costs.
TEST(PlanTraining, FewCandidatesAreWorkedOut) {
  const Graph graph = test::small_net(true);
  PlanningBackend backend;
  PlanRequest request = fixed(32);
  request.val_samples = 0;
  request.train_samples = 0;
  const Plan made = plan_training(graph, request, device(40 * kMiB), backend);
  const int steps = static_cast<int>(made.programs[0].steps.size());
  EXPECT_LE(backend.prepared, 16 * steps);
}

}  // namespace
}  // namespace snug
