// The planner without a library's answers: lowering, placing, the search for a batch and for what to drop. Scratch of
// convolutions is a quarter of what they read and write, so that nothing here depends on oneDNN or cuDNN.
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/ensure.h"
#include "graph/graph.h"
#include "lowering/lowering.h"
#include "memory/placement.h"
#include "planner/planner.h"
#include "program/lifetimes.h"
#include "snug/config.h"

namespace snug {
namespace {

class PlanningBackend final : public Backend {
 public:
  [[nodiscard]] std::string_view name() const override { return "planning"; }
  [[nodiscard]] PreparedStep prepare(const Program& program, const Step& step) override {
    PreparedStep made{.algorithm = "none"};
    if (std::get_if<ConvAttributes>(&step.attributes) == nullptr) return made;
    for (const Operand& operand : step.operands) made.workspace_bytes += extent_bytes(program[operand.tensor]) / 4;
    return made;
  }
};

constexpr const char* kModels[] = {"resnet50", "densenet121", "mobilenet_v2"};

struct Model {
  Config config;
  Graph graph;
};

Model open(std::int64_t number) {
  const std::string file = std::string(SNUG_CONFIGS) + "/models/" + kModels[number] + ".toml";
  Model model{.config = load_config(file, {.set = {}, .data_root = {}, .model_only = true}), .graph = {}};
  std::vector<Diagnostic> findings;
  model.graph = build_graph(model.config.model, findings);
  ensure(findings.empty(), "shipped models are free of findings");
  return model;
}

PlanRequest request_of(const Model& model, BatchChoice batch) {
  PlanRequest request;
  request.lowering.dtype = DType::bf16;
  request.lowering.train = model.config.train;
  request.lowering.train.optimizer.momentum = 0.9;
  request.batch = batch;
  request.alone = true;
  request.trial_backend = [] { return std::make_unique<PlanningBackend>(); };
  return request;
}

DeviceMemory card(std::int64_t bytes) {
  return {.name = "card",
          .total_bytes = bytes,
          .free_bytes = bytes,
          .rates = {.flops_per_second = 500e12, .bytes_per_second = 2.5e12, .least_seconds = 2e-6}};
}

void lower_network(benchmark::State& state) {
  const Model model = open(state.range(0));
  LoweringOptions options{.batch = 32, .train = model.config.train};
  for (auto _ : state) benchmark::DoNotOptimize(lower(model.graph, options));
  state.SetLabel(kModels[state.range(0)]);
}
BENCHMARK(lower_network)->DenseRange(0, 2)->Unit(benchmark::kMillisecond);

void plan_of(benchmark::State& state, BatchChoice batch, std::int64_t bytes) {
  const Model model = open(state.range(0));
  const PlanRequest request = request_of(model, batch);
  PlanReport report;
  for (auto _ : state) {
    PlanningBackend backend;
    report = plan_training(model.graph, request, card(bytes), backend).report;
  }
  state.SetLabel(std::string(kModels[state.range(0)]) + (report.fits ? " fits" : " does not fit"));
  state.counters["batch"] = static_cast<double>(report.batch);
}

/// One batch that fits as it is: lowered, prepared, placed, validated.
void plan_one_batch(benchmark::State& state) { plan_of(state, {BatchChoice::Kind::number, 64}, 40LL << 30); }
BENCHMARK(plan_one_batch)->DenseRange(0, 2)->Unit(benchmark::kMillisecond);

/// One that fits only where activations are made again: the ladder of what to drop is built and walked.
void plan_with_recompute(benchmark::State& state) { plan_of(state, {BatchChoice::Kind::number, 256}, 8LL << 30); }
BENCHMARK(plan_with_recompute)->DenseRange(0, 2)->Unit(benchmark::kMillisecond);

/// The fastest batch that fits, every one that is looked at planned exactly.
void plan_automatic_batch(benchmark::State& state) { plan_of(state, {BatchChoice::Kind::automatic, 0}, 16LL << 30); }
BENCHMARK(plan_automatic_batch)->DenseRange(0, 2)->Unit(benchmark::kMillisecond);

/// The transient buffers of a training step: sizes and lifetimes to offsets.
void place_buffers(benchmark::State& state) {
  const Model model = open(state.range(0));
  const Program program = lower(model.graph, {.batch = 32, .train = model.config.train});
  const std::vector<Lifetime> lives = lifetimes(program);
  std::vector<Buffer> buffers;
  for (std::size_t i = 0; i < program.storages.size(); ++i)
    if (program.storages[i].arena == Arena::transient) buffers.push_back({program.storages[i].size_bytes, lives[i]});
  for (auto _ : state) benchmark::DoNotOptimize(place(buffers));
  state.SetLabel(std::string(kModels[state.range(0)]) + ", " + std::to_string(buffers.size()) + " buffers");
}
BENCHMARK(place_buffers)->DenseRange(0, 2)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace snug

BENCHMARK_MAIN();
