#include "planner/candidate.h"

#include <algorithm>
#include <limits>

#include "base/ensure.h"
#include "planner/assemble.h"
#include "planner/cost_model.h"
#include "planner/plan_report.h"
#include "planner/recompute_search.h"

namespace snug {
namespace {

/// Options of every program of a run, and which is which.
struct ProgramSet {
  std::vector<LoweringOptions> options;
  int train = -1, train_last = -1, eval = -1, eval_last = -1;
};

LoweringOptions train_options(const PlanRequest& request, const Candidate& candidate, const Rewrites& rewrites) {
  LoweringOptions options = request.lowering;
  options.training = true;
  options.with_loss = true;
  options.use_average = false;
  options.batch = candidate.batch;
  options.parts = std::min(candidate.parts, candidate.batch);
  options.split = rewrites.split;
  options.recomputed = rewrites.recomputed;
  options.eager_update = rewrites.eager_update;
  return options;
}

LoweringOptions eval_options(const PlanRequest& request, std::int64_t batch) {
  LoweringOptions options = request.lowering;
  options.training = false;
  options.with_loss = true;
  options.use_average = request.lowering.train.ema > 0;
  options.batch = batch;
  options.parts = 1;
  return options;
}

ProgramSet programs_of(const PlanRequest& request, const Candidate& candidate, const Rewrites& rewrites,
                       std::int64_t most_eval_samples) {
  ProgramSet set;
  const auto add = [&](LoweringOptions options) {
    set.options.push_back(std::move(options));
    return static_cast<int>(set.options.size()) - 1;
  };
  set.train = add(train_options(request, candidate, rewrites));
  const std::int64_t last = request.train_samples % candidate.batch;
  if (last > 0 && !request.drop_last) set.train_last = add(train_options(request, {last, candidate.parts}, rewrites));
  if (request.val_samples > 0) {
    const std::int64_t batch = std::min({micro_batch(candidate), request.val_samples, most_eval_samples});
    set.eval = add(eval_options(request, batch));
    if (request.val_samples % batch > 0) set.eval_last = add(eval_options(request, request.val_samples % batch));
  }
  return set;
}

std::int64_t largest_workspace(const Plan& plan) {
  std::int64_t largest = 0;
  for (const PlannedProgram& planned : plan.programs) {
    for (const PreparedStep& step : planned.steps) largest = std::max(largest, step.workspace_bytes);
  }
  return largest;
}

std::vector<std::int64_t> workspaces(const PlannedProgram& planned) {
  std::vector<std::int64_t> bytes;
  bytes.reserve(planned.steps.size());
  for (const PreparedStep& step : planned.steps) bytes.push_back(step.workspace_bytes);
  return bytes;
}

/// Bytes and times grow alike with the batch, so what is worth dropping hardly depends on it; and choices that do not
/// depend on the candidate or on a budget keep the search monotone.
constexpr Candidate kLadderCandidate{.batch = 64, .parts = 1};

/// The training program before storages are merged.
Program lower_open(const Graph& graph, const PlanRequest& request, const Candidate& candidate, const Split& split = {},
                   bool eager_update = false) {
  LoweringOptions options =
      train_options(request, candidate, {.split = split, .recomputed = {}, .eager_update = eager_update});
  options.in_place = false;
  return lower(graph, options);
}

/// No split, and splits that end where the maps have become half as large, and half as large again.
std::vector<Split> splits_of(const Graph& graph, const PlanRequest& request) {
  constexpr std::int64_t kParts = 8;  // with less the slices are large, with more the search is slow
  constexpr std::size_t kMostSplits = 3;
  std::vector<Split> splits{{}};
  if (!request.strategies.split) return splits;
  const Program plain = lower_open(graph, request, kLadderCandidate);
  const std::vector<std::string> points = split_points(plain);
  std::int64_t largest = 0;
  for (const TensorInfo& tensor : plain.tensors) {  // in the order in which they are made
    const Storage& storage = plain[tensor.view.storage];
    if (tensor.role != Role::activation || splits.size() > kMostSplits) continue;
    if (2 * storage.size_bytes <= largest && std::ranges::find(points, storage.name) != points.end()) {
      splits.push_back({.until = storage.name, .parts = kParts});
      largest = storage.size_bytes;
    }
    largest = std::max(largest, storage.size_bytes);
  }
  return splits;
}

/// Elements of the largest map that a convolution or a product reads or writes.
std::int64_t largest_operand(const Program& program) {
  std::int64_t most = 1;
  for (const Step& step : program.steps) {
    if (!is_product(step.op)) continue;
    for (const Operand& operand : step.operands) {
      const TensorInfo& tensor = program[operand.tensor];
      if (tensor.role == Role::activation) most = std::max(most, tensor.shape.elements());
    }
  }
  return most;
}

/// The most samples at a time of which no map has too many elements: they grow with the batch, and those of slices with
/// whole multiples of the parts.
std::int64_t most_samples(const Graph& graph, const PlanRequest& request, const Split& split) {
  if (request.most_elements <= 0) return kBatchLimit;
  const std::int64_t most = largest_operand(lower_open(graph, request, kLadderCandidate, split));
  const std::int64_t samples = request.most_elements * kLadderCandidate.batch / most;
  return std::clamp<std::int64_t>(samples / split.parts * split.parts, 1, kBatchLimit);
}

void describe_graph(const Graph& graph, std::int64_t batch, std::vector<PlanLayer>& rows) {
  ensure(rows.size() == graph.layers.size(), "a program has the layers of its graph");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].output = {batch};
    for (const std::int64_t extent : graph.layers[i].output.extents()) rows[i].output.push_back(extent);
  }
  for (const Node& node : graph.nodes) {
    if (!node.layer.valid()) continue;
    rows[node.layer.index()].parameters += parameter_count(node);
    rows[node.layer.index()].flops += forward_flops(graph, node) * batch;
  }
}

}  // namespace

std::int64_t micro_batch(const Candidate& candidate) {
  return (candidate.batch + candidate.parts - 1) / candidate.parts;
}

Limits limits_of(const PlanRequest& request, const DeviceMemory& device, std::int64_t host_bytes) {
  constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max();
  Limits limits{.arena_bytes = request.arena_budget_bytes.value_or(kUnlimited),
                .workspace_bytes = request.workspace_limit_bytes.value_or(kUnlimited)};
  if (request.budget.bytes) {
    limits.total_bytes = *request.budget.bytes;
    if (device.total_bytes > 0) limits.total_bytes = std::min(limits.total_bytes, device.total_bytes);
    return limits;
  }
  // What is in use already is not free, yet it is counted. On the CPU the host's own buffers come out of the same
  // memory.
  const std::int64_t in_use = device.driver_in_use ? device.driver_bytes + device.library_bytes : 0;
  const std::int64_t host = device.driver_in_use ? host_bytes : 0;
  const auto free = static_cast<double>(std::max<std::int64_t>(0, device.free_bytes - host));
  limits.total_bytes = static_cast<std::int64_t>(request.budget.fraction * free) + in_use;
  return limits;
}

Candidates::Candidates(const Graph& graph, const PlanRequest& request, const DeviceMemory& device, Backend& backend)
    : graph_(graph),
      request_(request),
      device_(device),
      backend_(backend),
      most_eval_samples_(most_samples(graph, request, {})) {}

bool Candidates::indexable(const Program& program) const {
  return request_.most_elements <= 0 || largest_operand(program) <= request_.most_elements;
}

std::int64_t index_limit(const Graph& graph, const PlanRequest& request) {
  std::int64_t limit = 1;
  for (const Split& split : splits_of(graph, request)) limit = std::max(limit, most_samples(graph, request, split));
  return limit;
}

std::int64_t Candidates::host_bytes(const Candidate& candidate) const {
  return request_.host_bytes_of ? request_.host_bytes_of(candidate.batch) : request_.host_bytes;
}

Limits Candidates::limits(const Candidate& candidate) const {
  return limits_of(request_, device_, host_bytes(candidate));
}

Plan Candidates::assemble_all(const Candidate& candidate, const Rewrites& rewrites, Backend& backend) const {
  const ProgramSet set = programs_of(request_, candidate, rewrites, most_eval_samples_);
  std::vector<Program> programs;
  programs.reserve(set.options.size());
  for (const LoweringOptions& options : set.options) programs.push_back(lower(graph_, options));
  Plan plan = assemble(std::move(programs), backend);
  plan.train = set.train;
  plan.train_last = set.train_last;
  plan.eval = set.eval;
  plan.eval_last = set.eval_last;
  return plan;
}

const std::vector<Candidates::Ladder>& Candidates::ladders(Backend& backend) {
  if (!ladders_.empty()) return ladders_;
  for (const Split& split : splits_of(graph_, request_)) {
    Ladder ladder{.split = split, .rungs = {}};
    const Program open = lower_open(graph_, request_, kLadderCandidate, split);
    DropEvaluator evaluator(open, workspaces(prepare_steps(open, backend)), device_.rates, request_.lowering.in_place);
    if (request_.strategies.recompute) {
      for (const std::vector<char>& rung : recompute_ladder(evaluator)) ladder.rungs.push_back(evaluator.names(rung));
    } else {
      ladder.rungs.emplace_back();
    }
    ladders_.push_back(std::move(ladder));
  }
  return ladders_;
}

std::int64_t Candidates::transient_limit(std::span<const Program* const> programs, const Limits& limits) const {
  const std::int64_t others =
      share_by_name(programs, Arena::persistent).bytes + share_by_name(programs, Arena::input).bytes;
  const std::int64_t fixed = device_.driver_bytes + device_.library_bytes;
  return std::min(limits.total_bytes - fixed, limits.arena_bytes) - others;
}

Candidates::Answer Candidates::find_rewrites(const Candidate& candidate, Backend& backend) {
  const Limits allowed = limits(candidate);
  struct Option {
    Answer answer;
    std::int64_t room_bytes = 0;  ///< left by the peak, before what only a whole plan shows
  };
  std::vector<Option> options;
  const auto try_rungs = [&](const Ladder& ladder, bool eager_update) {
    const Program open = lower_open(graph_, request_, candidate, ladder.split, eager_update);
    if (!indexable(open)) return;
    const Program* const one[] = {&open};
    const std::int64_t limit = transient_limit(one, allowed);
    // Without scratch first: most of what cannot fit is refused before a step is prepared, for preparing is what costs.
    DropEvaluator evaluator(open, std::vector<std::int64_t>(open.steps.size(), 0), device_.rates,
                            request_.lowering.in_place);
    std::vector<Dropped> possible;
    for (const Dropped& dropped : ladder.rungs) {
      if (evaluator.cost(evaluator.choice(dropped)).peak_bytes <= limit) possible.push_back(dropped);
    }
    if (possible.empty()) return;
    const double seconds = program_seconds(open, device_.rates);
    evaluator.set_workspaces(workspaces(prepare_steps(open, backend)));
    for (Dropped& dropped : possible) {
      const DropCost cost = evaluator.cost(evaluator.choice(dropped));
      if (cost.peak_bytes > limit) continue;
      options.push_back({.answer = {.fits = true,
                                    .rewrites = {.split = ladder.split,
                                                 .recomputed = std::move(dropped),
                                                 .eager_update = eager_update},
                                    .seconds = seconds + cost.extra_seconds},
                         .room_bytes = limit - cost.peak_bytes});
    }
  };
  for (const Ladder& ladder : ladders(backend)) {
    try_rungs(ladder, false);
    if (request_.strategies.eager_update) try_rungs(ladder, true);
  }
  std::ranges::stable_sort(options, {}, [](const Option& option) { return option.answer.seconds; });
  // Holes between buffers and the library's kernels come on top; what one try lacks, the next must have to spare.
  constexpr int kMostTries = 6;
  int tries = 0;
  std::int64_t least_room = 0;
  for (Option& option : options) {
    if (option.room_bytes < least_room) continue;
    const std::int64_t missing = short_by(assemble_all(candidate, option.answer.rewrites, backend), allowed);
    if (missing == 0) return std::move(option.answer);
    if (++tries == kMostTries) break;
    least_room = option.room_bytes + missing;
  }
  return {};
}

Candidates::Answer Candidates::find_answer(const Candidate& candidate, Backend& backend) {
  const Program train = lower(graph_, train_options(request_, candidate, {}));
  const Program* const one[] = {&train};
  // The tensors of the training program alone are a bound that costs no prepared step.
  const std::int64_t limit = transient_limit(one, limits(candidate));
  if (limit <= 0) return {};  // what persists is too much by itself
  if (indexable(train) && live_peak(transient_buffers(train)).bytes <= limit &&
      short_by(assemble_all(candidate, {}, backend), limits(candidate)) == 0) {
    return {.fits = true, .rewrites = {}, .seconds = program_seconds(train, device_.rates)};
  }
  const Strategies& may = request_.strategies;
  return may.recompute || may.split || may.eager_update ? find_rewrites(candidate, backend) : Answer{};
}

const Candidates::Answer& Candidates::answer(const Candidate& candidate) {
  const auto known = answers_.find(candidate);
  if (known != answers_.end()) return known->second;
  const std::unique_ptr<Backend> trial = request_.trial_backend ? request_.trial_backend() : nullptr;
  return answers_.emplace(candidate, find_answer(candidate, trial ? *trial : backend_)).first->second;
}

Plan Candidates::plan(const Candidate& candidate) {
  const Rewrites rewrites = answer(candidate).rewrites;
  Plan plan = assemble_all(candidate, rewrites, backend_);
  const Limits allowed = limits(candidate);
  describe(plan, device_);
  plan.report.batch = candidate.batch;
  plan.report.accumulation = candidate.parts;
  plan.report.micro_batch = micro_batch(candidate);
  describe_graph(graph_, candidate.batch, plan.report.layers);
  if (!rewrites.recomputed.empty()) plan.report.strategy.emplace_back("recompute");
  if (!rewrites.split.until.empty()) plan.report.strategy.emplace_back("split");
  if (rewrites.eager_update) plan.report.strategy.emplace_back("eager_update");
  if (candidate.parts > 1) plan.report.strategy.emplace_back("microbatch");
  plan.report.budget_bytes = allowed.total_bytes;
  plan.report.host_bytes = host_bytes(candidate);
  plan.report.checkpoint_bytes = request_.checkpoint_bytes;
  plan.report.workspace_bytes = largest_workspace(plan);
  plan.report.short_by_bytes = short_by(plan, allowed);
  plan.report.fits = plan.report.short_by_bytes == 0;
  estimate(candidate, plan);
  return plan;
}

void Candidates::estimate(const Candidate& candidate, Plan& plan) const {
  const Program& program = plan.programs[static_cast<std::size_t>(plan.train)].program;
  const double seconds = program_seconds(program, device_.rates);
  if (seconds <= 0) return;
  const double plain = program_seconds(lower_open(graph_, request_, {candidate.batch, 1}), device_.rates);
  plan.report.estimated_images_per_second = static_cast<double>(candidate.batch) / seconds;
  plan.report.estimated_slowdown = std::max(1.0, seconds / plain);
}

std::int64_t Candidates::short_by(const Plan& plan, const Limits& limits) const {
  const std::int64_t arenas = plan.persistent_bytes + plan.transient_bytes + plan.input_bytes;
  return std::max({std::int64_t{0}, total_bytes(plan, device_) - limits.total_bytes, arenas - limits.arena_bytes,
                   largest_workspace(plan) - limits.workspace_bytes});
}

bool Candidates::fits(const Candidate& candidate) { return answer(candidate).fits; }

double Candidates::throughput(const Candidate& candidate) {
  const double seconds = answer(candidate).seconds;
  return seconds > 0 ? static_cast<double>(candidate.batch) / seconds : 0;
}

double Candidates::plain_throughput(const Candidate& candidate) const {
  const double seconds = program_seconds(lower_open(graph_, request_, candidate), device_.rates);
  return seconds > 0 ? static_cast<double>(candidate.batch) / seconds : 0;
}

}  // namespace snug
