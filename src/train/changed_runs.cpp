#include "train/changed_runs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "base/text.h"

namespace snug {

namespace {

enum Setting : unsigned {
  kStrategy = 1,
  kScratch = 2,
  kPrecision = 4,
  kOptimizer = 8,
  kState = 16,
  kPictures = 32,
  kCache = 64
};

/// One setting changed, or several.
struct Change {
  unsigned settings = 0;
  int weight = 0;
  Config config;
  std::vector<std::string> lines, effects;
};

/// What a plan may do without changing a result. The last is of use to GPUs alone.
constexpr std::array<std::string_view, 5> kExact{"inplace", "recompute", "split", "eager_update", "offload"};

std::span<const std::string_view> exact_strategies(bool on_gpu) {
  return std::span(kExact).first(on_gpu ? kExact.size() : kExact.size() - 1);
}

/// Everything a plan may do that changes no result, and what the user has named besides.
std::string every_strategy(MemoryConfig& memory, bool on_gpu) {
  const bool parts = !memory.strategy_auto && std::ranges::find(memory.strategy, "microbatch") != memory.strategy.end();
  if (!parts) {
    memory.strategy_auto = true;
    return "memory.strategy = \"auto\"";
  }
  const auto exact = exact_strategies(on_gpu);
  memory.strategy.assign(exact.begin(), exact.end());
  memory.strategy.emplace_back("microbatch");
  return fmt::format("memory.strategy = [\"{}\"]", fmt::join(memory.strategy, "\", \""));
}

void change_strategy(Change& change, bool on_gpu) {
  change.lines.push_back(every_strategy(change.config.memory, on_gpu));
  change.effects.emplace_back("the same results");
  change.weight += 1;
}

void change_scratch(Change& change) {
  change.config.memory.workspace_bytes = 16 << 20;
  change.lines.emplace_back("memory.workspace = \"16MiB\"");
  change.effects.emplace_back("less scratch");
  change.weight += 1;
}

void change_cache(Change& change) {
  change.config.data.cache = CacheMode::ram;
  change.lines.emplace_back(kImagesFromHost);
  change.effects.emplace_back("images come from the host");
  change.weight += 1;
}

void change_precision(Change& change) {
  change.config.train.precision = Precision::bf16;
  change.lines.emplace_back("train.precision = \"bf16\"");
  change.effects.emplace_back("activations of two bytes");
  change.weight += 5;
}

/// SGD, at a rate that it is commonly begun with where the optimizer was another.
void change_optimizer(Change& change, double momentum) {
  OptimizerConfig& optimizer = change.config.train.optimizer;
  const bool was_sgd = optimizer.kind == OptimizerKind::sgd;
  const double rate = was_sgd ? optimizer.lr : std::min(10 * optimizer.lr, 0.1);
  optimizer = {.kind = OptimizerKind::sgd, .lr = rate, .momentum = momentum, .weight_decay = optimizer.weight_decay};
  std::string line = fmt::format("train.optimizer = {{ name = \"sgd\", lr = {:.6g}", rate);
  if (momentum > 0) line += fmt::format(", momentum = {}", momentum);
  if (optimizer.weight_decay > 0) line += fmt::format(", weight_decay = {:.6g}", optimizer.weight_decay);
  change.lines.push_back(line + " }");
  change.effects.emplace_back(momentum > 0 ? "an optimizer with less state" : "an optimizer without state");
  change.weight += momentum > 0 ? 6 : 7;
}

void change_pictures(Change& change, std::int64_t divisor) {
  auto& input = change.config.model.input;
  for (const std::size_t side : {0U, 1U}) input[side] = std::max<std::int64_t>(1, input[side] / divisor);
  change.lines.push_back(fmt::format("model.input = [{}, {}, {}]", input[0], input[1], input[2]));
  change.effects.emplace_back("smaller pictures");
  change.weight += 20;
}

/// What can be changed of a run.
class Settings {
 public:
  Settings(const Config& config, const RunSetup& setup, const PlanRunOptions& options, bool on_gpu,
           const PlanReport& refused)
      : config_(config), on_gpu_(on_gpu) {
    const auto& used = config.memory.strategy;
    const bool all = std::ranges::all_of(exact_strategies(on_gpu),
                                         [&](std::string_view name) { return std::ranges::count(used, name) > 0; });
    constexpr std::int64_t kMuchScratch = 32 << 20;
    if (!config.memory.strategy_auto && !all) possible_ |= kStrategy;
    if (on_gpu && options.planning && !config.memory.workspace_bytes && refused.workspace_bytes > kMuchScratch)
      possible_ |= kScratch;
    const bool wide = config.train.precision == Precision::fp32 || config.train.precision == Precision::tf32;
    if (wide && options.planning && !cannot_compute(Precision::bf16, options.processor)) possible_ |= kPrecision;
    if (refused.data_bytes > 0) possible_ |= kCache;
    if (refused.breakdown.optimizer > 0) possible_ |= kState;
    if (config.train.optimizer.kind != OptimizerKind::sgd) possible_ |= kOptimizer;
    if (setup.splits.train == nullptr && config.model.input[0] > 1) possible_ |= kPictures;
  }

  [[nodiscard]] bool possible(unsigned settings) const { return (settings & ~possible_) == 0; }
  [[nodiscard]] unsigned all_of(unsigned settings) const { return settings & possible_; }

  [[nodiscard]] Change change(unsigned settings, std::int64_t divisor = 1) const {
    Change made{.settings = settings, .config = config_};
    if ((settings & kStrategy) != 0) change_strategy(made, on_gpu_);
    if ((settings & kScratch) != 0) change_scratch(made);
    if ((settings & kCache) != 0) change_cache(made);
    if ((settings & kPrecision) != 0) change_precision(made);
    if ((settings & kState) != 0)
      change_optimizer(made, 0);
    else if ((settings & kOptimizer) != 0)
      change_optimizer(made, 0.9);
    if (divisor > 1) change_pictures(made, divisor);
    return made;
  }

 private:
  const Config& config_;
  bool on_gpu_;
  unsigned possible_ = 0;
};

/// Changes to try, each once: single ones, then pairs and more.
std::vector<Change> changes_to_try(const Settings& settings) {
  std::vector<Change> changes;
  std::vector<unsigned> seen{0};
  const auto add = [&](unsigned wanted) {
    if (std::ranges::find(seen, wanted) != seen.end()) return;
    seen.push_back(wanted);
    changes.push_back(settings.change(wanted));
  };
  for (const unsigned wanted :
       {kCache + 0U, kStrategy + 0U, kScratch + 0U, kStrategy | kScratch, kStrategy | kCache, kPrecision + 0U,
        kOptimizer + 0U, kState + 0U, kStrategy | kPrecision, kStrategy | kState}) {
    if (settings.possible(wanted)) add(wanted);
  }
  const unsigned most = settings.all_of(kStrategy | kScratch | kCache | kPrecision | kState);
  add(most);
  if (!settings.possible(kPictures)) return changes;
  for (const std::int64_t divisor : {2, 4}) {
    changes.push_back(settings.change(settings.all_of(kStrategy), divisor));
    if (most != settings.all_of(kStrategy)) changes.push_back(settings.change(most, divisor));
  }
  return changes;
}

/// The run with the change; nothing where its network cannot be built.
std::optional<ChangedRun> changed_run(const Change& change, const RunSetup& setup, const PlanRequest& request,
                                      const DeviceMemory& device, const PlanRunOptions& options) {
  const bool pictures = change.config.model.input[0] != setup.graph.input[0];
  ChangedRun made{.change = fmt::format("{}", fmt::join(change.lines, "\n")),
                  .effect = fmt::format("{}", fmt::join(change.effects, ", ")),
                  .weight = change.weight,
                  .changes = change.settings,
                  .keeps_results = (change.settings & ~(kStrategy | kScratch | kCache)) == 0 && !pictures,
                  .last_resort = pictures,
                  .request = request,
                  .device = device,
                  .make_backend = options.trial_backend};
  std::vector<Diagnostic> findings;
  RunSetup changed = setup;
  if (pictures) changed.graph = build_graph(change.config.model, findings);
  if (has_errors(findings)) return std::nullopt;
  if (pictures) made.graph = std::make_shared<const Graph>(changed.graph);
  made.request.changed_runs = nullptr;
  made.request.lowering = lowering_options(change.config, changed, findings);
  if (!device.driver_in_use) made.request.lowering.kept_samples = kept_samples(change.config, changed);
  made.request.strategies = strategies_of(change.config, !device.driver_in_use);
  made.request.workspace_limit_bytes = change.config.memory.workspace_bytes;
  if (options.planning) {
    const Planning planning = options.planning(change.config);
    made.device.rates = planning.memory.rates;
    made.make_backend = planning.make_backend;
    made.request.trial_backend = planning.make_backend;
  }
  if (has_errors(findings) || !made.make_backend) return std::nullopt;
  return made;
}

}  // namespace

std::vector<ChangedRun> changed_runs(const Config& config, const RunSetup& setup, const PlanRequest& request,
                                     const DeviceMemory& device, const PlanRunOptions& options,
                                     const PlanReport& refused) {
  const Settings settings(config, setup, options, !device.driver_in_use, refused);
  std::vector<ChangedRun> made;
  for (const Change& change : changes_to_try(settings)) {
    if (auto one = changed_run(change, setup, request, device, options)) made.push_back(*std::move(one));
  }
  return made;
}

}  // namespace snug
