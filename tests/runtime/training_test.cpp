// Whole training steps on real backends: the same bits with and without reuse of memory, and nothing allocated.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <cmath>
#include <cstring>

#include "base/rng.h"
#include "planner/nets.h"
#include "runtime/runtime.h"

namespace snug {
namespace {

struct Case {
  const char* name;
  Graph (*graph)();
  std::int64_t batch = 4, parts = 1;
  TrainConfig train;
  bool freeze_first = false;
};

TrainConfig sgd(double momentum, double clip_norm = 0) {
  TrainConfig train;
  train.optimizer = {.kind = OptimizerKind::sgd, .lr = 0.05, .momentum = momentum, .weight_decay = 1e-3};
  train.clip_norm = clip_norm;
  return train;
}

TrainConfig adam(double ema) {
  TrainConfig train;
  train.optimizer = {.kind = OptimizerKind::adamw, .lr = 1e-2, .weight_decay = 1e-3};
  train.ema = ema;
  return train;
}

TrainConfig with_loss(TrainConfig train, Loss loss) {
  train.loss = loss;
  return train;
}

TrainConfig weighted(TrainConfig train) {
  train.class_weights = {1, 2, 0.5, 1, 3};
  train.label_smoothing = 0.1;
  return train;
}

TrainConfig frozen_statistics(TrainConfig train) {
  train.freeze_stats = true;
  return train;
}

Graph plain() { return test::small_net(false); }
Graph normed() { return test::small_net(true); }
Graph odd() { return test::odd_net(); }

const Case kCases[] = {
    {.name = "plain", .graph = plain, .train = sgd(0)},
    {.name = "plain in parts", .graph = plain, .batch = 7, .parts = 3, .train = sgd(0.9, 1.0)},
    {.name = "batch norm", .graph = normed, .train = sgd(0.9)},
    {.name = "batch norm in parts", .graph = normed, .batch = 6, .parts = 2, .train = adam(0.99)},
    {.name = "class weights", .graph = normed, .train = weighted(sgd(0.9))},
    {.name = "frozen statistics", .graph = normed, .train = frozen_statistics(sgd(0.9))},
    {.name = "frozen layers", .graph = normed, .train = sgd(0.9), .freeze_first = true},
    {.name = "odd layers", .graph = odd, .train = adam(0)},
    {.name = "odd layers in parts, rows",
     .graph = odd,
     .batch = 5,
     .parts = 2,
     .train = with_loss(sgd(0.9), Loss::categorical_crossentropy)},
    {.name = "several ones", .graph = odd, .train = with_loss(adam(0.9), Loss::binary_crossentropy)},
    {.name = "regression", .graph = plain, .train = with_loss(sgd(0.5), Loss::mse)},
};

LoweringOptions options_of(const Case& test, const Graph& graph, DType dtype, bool training) {
  LoweringOptions options{.batch = test.batch, .parts = training ? test.parts : 1, .training = training};
  options.use_average = !training && test.train.ema > 0;
  options.dtype = dtype;
  options.image_divisor = 255;
  options.image_dtype = dtype == DType::f64 ? DType::f64 : DType::u8;
  options.train = test.train;
  if (test.freeze_first) {
    options.frozen.assign(graph.nodes.size(), false);
    for (std::size_t i = 0; i < graph.nodes.size() / 2; ++i) options.frozen[i] = true;
  }
  return options;
}

Plan plan_of(const Case& test, DType dtype, Backend& backend, const Dropped& recomputed = {}, const Split& split = {},
             bool fuse = true, const Offloaded& offloaded = {}) {
  const Graph graph = test.graph();
  LoweringOptions training = options_of(test, graph, dtype, true);
  training.recomputed = recomputed;
  training.split = split;
  training.fuse = fuse;
  training.offloaded = offloaded;
  return plan_programs({lower(graph, training), lower(graph, options_of(test, graph, dtype, false))}, backend);
}

/// Everything that can be dropped and made again.
std::vector<std::string> droppable(const Case& test, DType dtype) {
  const Graph graph = test.graph();
  LoweringOptions options = options_of(test, graph, dtype, true);
  options.in_place = false;
  const Program program = lower(graph, options);
  std::vector<std::string> names;
  const RecomputeModel model(program);
  for (const std::int32_t storage : model.candidates()) {
    names.push_back(program.storages[static_cast<std::size_t>(storage)].name);
  }
  return names;
}

void put(Runtime& runtime, const std::string& tensor, double (*value)(Random&), std::uint64_t seed) {
  const TensorInfo& info = *runtime.find(tensor);
  const std::span<std::byte> raw = runtime.bytes(tensor);
  Random random(seed);
  for (std::int64_t i = 0; i < info.shape.elements(); ++i) {
    const double number = value(random);
    const auto store = [&](auto typed) { std::memcpy(raw.data() + i * size_bytes(info.dtype), &typed, sizeof typed); };
    switch (info.dtype) {
      case DType::f32: store(static_cast<float>(number)); break;
      case DType::f64: store(number); break;
      case DType::u8: store(static_cast<std::uint8_t>(number)); break;
      case DType::i32: store(static_cast<std::int32_t>(number)); break;
      default: FAIL() << tensor;
    }
  }
}

double one(Random&) { return 1; }
double pixel(Random& random) { return random.below(256); }
double class_number(Random& random) { return random.below(4); }
double bit(Random& random) { return random.below(2); }
double weight(Random& random) { return 0.3 * random.normal(); }

/// Parameters, images and labels by formula.
void fill(Runtime& runtime, const Plan& plan, const Case& test) {
  std::uint64_t seed = 1;
  for (const PlannedProgram& planned : plan.programs) {
    for (const TensorInfo& tensor : planned.program.tensors) {
      if (planned.program[tensor.view.storage].arena != Arena::persistent) continue;
      if (tensor.role == Role::weight && tensor.layer.valid()) put(runtime, tensor.name, weight, ++seed);
      if (tensor.name.ends_with("running_var")) put(runtime, tensor.name, one, 0);
    }
  }
  put(runtime, std::string(exchange::kImages), pixel, 2);
  const bool numbers = test.train.loss == Loss::sparse_categorical_crossentropy;
  put(runtime, std::string(exchange::kLabels), numbers ? class_number : bit, 3);
  put(runtime, std::string(exchange::kInverseStd), one, 0);
  const std::span<double> control = runtime.values<double>(exchange::kControl);
  control[Control::learning_rate] = 0.05;
  if (!test.train.class_weights.empty()) put(runtime, std::string(exchange::kClassWeights), one, 0);
}

void train_steps(Runtime& runtime, int steps) {
  for (int step = 0; step < steps; ++step) {
    runtime.values<double>(exchange::kControl)[Control::step] = step;
    runtime.run(0);
  }
}

/// Whether everything that outlives a step is equal in both, bit for bit.
void expect_same_results(const Plan& plan, Runtime& a, Runtime& b) {
  int compared = 0;
  for (const PlannedProgram& program : plan.programs) {
    for (const TensorInfo& tensor : program.program.tensors) {
      const auto bytes = a.bytes(tensor.name);
      if (bytes.empty()) continue;
      EXPECT_EQ(std::memcmp(bytes.data(), b.bytes(tensor.name).data(), bytes.size()), 0) << tensor.name;
      ++compared;
    }
  }
  EXPECT_GT(compared, 10);
}

void run_three_steps(Runtime& runtime, const Plan& plan, const Case& test) {
  fill(runtime, plan, test);
  train_steps(runtime, 3);
  runtime.run(1);
}

/// Drops make the same bits as none, with memory reused and without.
void expect_drops_change_nothing(const Case& test, DType dtype, Backend& backend) {
  SCOPED_TRACE(testing::Message() << test.name << " on " << backend.name());
  const std::vector<std::string> names = droppable(test, dtype);
  ASSERT_GE(names.size(), 3U);
  const Plan plain = plan_of(test, dtype, backend);
  Runtime expected(plain);
  run_three_steps(expected, plain, test);
  Random random(5);
  for (int choice = 0; choice < 6; ++choice) {  // everything, then some
    Dropped dropped;
    for (const std::string& name : names) {
      if (choice == 0 || random.below(2) == 0) dropped.insert(name);
    }
    const Plan plan = plan_of(test, dtype, backend, dropped);
    EXPECT_GE(plan.programs[0].program.steps.size(), plain.programs[0].program.steps.size());
    Runtime planned(plan);
    Runtime apart(plan, {.reuse_memory = false});
    for (Runtime* runtime : {&planned, &apart}) {
      run_three_steps(*runtime, plan, test);
      expect_same_results(plain, expected, *runtime);
    }
  }
}

/// What waits on the host comes back as it was: with copies done as early and as late as they may be, with memory
/// reused and without, also where something else is dropped.
void expect_the_host_changes_nothing(const Case& test, DType dtype, Backend& backend) {
  SCOPED_TRACE(testing::Message() << test.name << " on " << backend.name());
  const std::vector<std::string> names = droppable(test, dtype);
  const Plan plain = plan_of(test, dtype, backend);
  Runtime expected(plain);
  run_three_steps(expected, plain, test);
  Random random(6);
  for (int choice = 0; choice < 4; ++choice) {  // everything, then some
    Offloaded moved;
    Dropped dropped;
    for (const std::string& name : names) {
      if (choice == 0 || random.below(3) > 0) moved.insert(name);
      if (choice > 1 && random.below(2) == 0) dropped.insert(name);
    }
    const Plan plan = plan_of(test, dtype, backend, dropped, {}, true, moved);
    EXPECT_TRUE(choice > 0 || plan.host_bytes > 0);
    Runtime planned(plan);
    Runtime late(plan, {.late_queues = true});
    Runtime apart(plan, {.reuse_memory = false});
    Runtime apart_and_late(plan, {.reuse_memory = false, .late_queues = true});
    for (Runtime* runtime : {&planned, &late, &apart, &apart_and_late}) {
      run_three_steps(*runtime, plan, test);
      expect_same_results(plain, expected, *runtime);
    }
  }
}

void expect_same_bits(const Case& test, DType dtype, Backend& backend) {
  SCOPED_TRACE(testing::Message() << test.name << " on " << backend.name());
  const Plan plan = plan_of(test, dtype, backend);
  Runtime planned(plan);
  Runtime apart(plan, {.reuse_memory = false});
  for (Runtime* runtime : {&planned, &apart}) run_three_steps(*runtime, plan, test);
  const std::span<const double> totals = planned.values<double>(exchange::kTotals);
  EXPECT_EQ(totals[TrainStats::samples], 4.0 * static_cast<double>(test.batch));
  EXPECT_TRUE(std::isfinite(totals[TrainStats::loss_sum]) && totals[TrainStats::loss_sum] != 0);
  EXPECT_EQ(totals[TrainStats::not_finite], 0);
  expect_same_results(plan, planned, apart);
}

/// Everything that outlives a step, as numbers.
std::vector<double> results_of(const Plan& plan, Runtime& runtime) {
  std::vector<double> numbers;
  for (const TensorInfo& tensor : plan.programs[0].program.tensors) {
    const bool outlives = plan.programs[0].program[tensor.view.storage].arena == Arena::persistent;
    if (!outlives || tensor.dtype != DType::f64) continue;
    for (const double value : runtime.values<double>(tensor.name)) numbers.push_back(value);
  }
  return numbers;
}

/// Slices change nothing but the order in which sums of weight gradients are taken.
TEST(Training, TheFirstLayersInSlicesLearnTheSame) {
  const auto backend = make_reference_backend();
  for (const Case& test : {kCases[0], kCases[7]}) {
    SCOPED_TRACE(test.name);
    const Graph graph = test.graph();
    LoweringOptions open = options_of(test, graph, DType::f64, true);
    open.in_place = false;
    const std::vector<std::string> points = split_points(lower(graph, open));
    ASSERT_FALSE(points.empty());
    const Plan plain = plan_of(test, DType::f64, *backend);
    Runtime expected(plain);
    run_three_steps(expected, plain, test);
    const std::vector<double> whole = results_of(plain, expected);
    for (const std::string& until : points) {
      for (const std::int64_t parts : {2, 3}) {
        SCOPED_TRACE(until);
        const Split split{.until = until, .parts = parts};
        open.split = split;
        const Program sliced = lower(graph, open);
        Dropped everything;
        const RecomputeModel model(sliced);
        for (const std::int32_t storage : model.candidates()) {
          everything.insert(sliced.storages[static_cast<std::size_t>(storage)].name);
        }
        for (const Dropped& dropped : {Dropped{}, everything}) {
          const Plan plan = plan_of(test, DType::f64, *backend, dropped, split);
          EXPECT_GT(plan.programs[0].program.steps.size(), plain.programs[0].program.steps.size());
          Runtime planned(plan);
          Runtime apart(plan, {.reuse_memory = false});
          for (Runtime* runtime : {&planned, &apart}) run_three_steps(*runtime, plan, test);
          expect_same_results(plan, planned, apart);
          const std::vector<double> found = results_of(plan, planned);
          ASSERT_EQ(found.size(), whole.size());
          for (std::size_t i = 0; i < whole.size(); ++i) ASSERT_NEAR(found[i], whole[i], 1e-10);
        }
        open.split = {};
      }
    }
  }
}

/// relu inside the convolution, and its slope taken behind the pool, round exactly as they do one by one.
TEST(Training, FusingConvolutionsChangesNoBits) {
  const auto backend = make_cpu_backend({.threads = 1});
  const Case& test = kCases[0];
  const Plan apart = plan_of(test, DType::f32, *backend, {}, {}, false);
  const Plan fused = plan_of(test, DType::f32, *backend);
  EXPECT_EQ(fused.programs[0].program.steps.size() + 3, apart.programs[0].program.steps.size());
  Runtime one_by_one(apart);
  Runtime together(fused);
  run_three_steps(one_by_one, apart, test);
  run_three_steps(together, fused, test);
  expect_same_results(fused, one_by_one, together);
}

TEST(Training, SameBitsWhateverIsRecomputedOnTheCpu) {
  const auto backend = make_cpu_backend({.threads = 1});
  for (const Case& test : kCases) expect_drops_change_nothing(test, DType::f32, *backend);
}

TEST(Training, SameBitsWhateverIsRecomputedOnTheReference) {
  const auto backend = make_reference_backend();
  for (const Case& test : kCases) expect_drops_change_nothing(test, DType::f64, *backend);
}

TEST(Training, SameBitsWhateverWaitsOnTheHostOnTheCpu) {
  const auto backend = make_cpu_backend({.threads = 1});
  for (const Case& test : kCases) expect_the_host_changes_nothing(test, DType::f32, *backend);
}

TEST(Training, SameBitsWhateverWaitsOnTheHostOnTheReference) {
  const auto backend = make_reference_backend();
  for (const Case& test : kCases) expect_the_host_changes_nothing(test, DType::f64, *backend);
}

TEST(Training, SameBitsWithoutReuseOnTheCpu) {
  const auto backend = make_cpu_backend({.threads = 1});
  for (const Case& test : kCases) expect_same_bits(test, DType::f32, *backend);
}

TEST(Training, SameBitsWithoutReuseOnTheReference) {
  const auto backend = make_reference_backend();
  for (const Case& test : kCases) expect_same_bits(test, DType::f64, *backend);
}

TEST(Training, LearnsItsBatch) {
  const auto backend = make_cpu_backend({.threads = 1});
  const Case& test = kCases[2];
  const Plan plan = plan_of(test, DType::f32, *backend);
  Runtime runtime(plan);
  fill(runtime, plan, test);
  const auto loss = [&] { return runtime.values<double>(exchange::kStats)[TrainStats::loss_sum]; };
  train_steps(runtime, 1);
  const double before = loss();
  train_steps(runtime, 100);
  EXPECT_LT(loss(), before / 2);
}

/// OpenMP's workers run parts of steps: what they take is counted too.
TEST(Training, WorkersAllocateNothing) {
  const auto backend = make_cpu_backend({.threads = 2});
  const Plan plan = plan_of(kCases[2], DType::f32, *backend);
  Runtime runtime(plan);
  fill(runtime, plan, kCases[2]);
  train_steps(runtime, 2);
  const AllocationCounter counter;
  train_steps(runtime, 3);
  EXPECT_EQ(counter.count(), 0);
}

TEST(Training, AHundredStepsAllocateNothing) {
  const auto backend = make_cpu_backend({.threads = 1});
  for (const Case& test : kCases) {
    SCOPED_TRACE(test.name);
    const Plan plan = plan_of(test, DType::f32, *backend);
    Runtime runtime(plan);
    fill(runtime, plan, test);
    train_steps(runtime, 10);
    runtime.run(1);
    const struct mallinfo2 before = mallinfo2();
    std::int64_t allocations = 0;
    {
      const AllocationCounter counter;
      train_steps(runtime, 100);
      runtime.run(1);
      allocations = counter.count();
    }
    const struct mallinfo2 after = mallinfo2();
    EXPECT_EQ(allocations, 0);
    // The allocator's caches breathe a little; one block lost a step would be 3,200 bytes.
    EXPECT_LE(after.uordblks, before.uordblks + 2048) << "the heap grew";
    EXPECT_EQ(after.hblkhd, before.hblkhd);
  }
}

}  // namespace
}  // namespace snug
