#include "planner/candidate.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

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
                       std::int64_t most_eval_samples, const DeviceRates& rates) {
  ProgramSet set;
  const auto add = [&](LoweringOptions options) {
    set.options.push_back(std::move(options));
    return static_cast<int>(set.options.size()) - 1;
  };
  set.train = add(train_options(request, candidate, rewrites, rates));
  const std::int64_t last = request.train_samples % candidate.batch;
  if (last > 0 && !request.drop_last)
    set.train_last = add(train_options(request, {last, candidate.parts}, rewrites, rates));
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

std::vector<const Program*> pointers(const std::vector<Program>& programs) {
  std::vector<const Program*> all;
  all.reserve(programs.size());
  for (const Program& program : programs) all.push_back(&program);
  return all;
}

std::vector<Program> lower_all(const Graph& graph, const ProgramSet& set) {
  std::vector<Program> programs;
  programs.reserve(set.options.size());
  for (const LoweringOptions& options : set.options) programs.push_back(lower(graph, options));
  return programs;
}

/// Elements of the largest map that a convolution or a product reads or writes.
std::int64_t largest_operand(const Program& program) {
  std::int64_t most = 1;
  for (const Step& step : program.steps) {
    if (!is_product(step.op) && !is_fused_product(step.op)) continue;
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
  const ProgramSet set = programs_of(request_, candidate, rewrites, most_eval_samples_, device_.rates);
  Plan plan = assemble(lower_all(graph_, set), backend);
  plan.train = set.train;
  plan.train_last = set.train_last;
  plan.eval = set.eval;
  plan.eval_last = set.eval_last;
  return plan;
}

std::int64_t Candidates::trial_short_by(const Candidate& candidate, const Rewrites& rewrites, Backend& backend) {
  const Limits allowed = limits(candidate);
  std::vector<Program> programs =
      lower_all(graph_, programs_of(request_, candidate, rewrites, most_eval_samples_, device_.rates));
  const std::int64_t room = transient_limit(pointers(programs), allowed);
  std::vector<PlannedProgram> prepared;
  std::int64_t live = 0;
  bool bounded = false;
  for (Program& program : programs) {
    prepared.push_back(prepare_steps(std::move(program), backend, exact_ ? std::nullopt : std::optional(room)));
    live = std::max(live, live_peak(transient_buffers(prepared.back().program)).bytes);
    bounded = bounded || std::ranges::any_of(prepared.back().steps,
                                             [](const PreparedStep& step) { return step.algorithm.empty(); });
  }
  // What steps have been given a bound keep to the room with it: no placement helps where more than that is alive.
  if (live > room) return live - room;
  used_bounds_ = used_bounds_ || bounded;
  const std::int64_t missing = short_by(assemble(std::move(prepared), room), allowed);
  return missing == 0 || !bounded ? missing : short_by(assemble_all(candidate, rewrites, backend), allowed);
}

const Ladders& Candidates::ladders() {
  if (ladders_ == nullptr) ladders_ = ladders_of(graph_, request_, device_.rates);
  return *ladders_;
}

std::int64_t Candidates::transient_limit(std::span<const Program* const> programs, const Limits& limits) const {
  const std::int64_t others = share_by_name(programs, Arena::persistent).bytes +
                              share_by_name(programs, Arena::input).bytes + share_by_name(programs, Arena::data).bytes +
                              (device_.stages_inputs() ? staged_bytes(programs) : 0);
  const std::int64_t fixed = device_.driver_bytes + device_.library_bytes;
  return std::min(limits.total_bytes - fixed, limits.arena_bytes) - others;
}

std::vector<Candidates::Option> Candidates::recomputed(const Candidate& candidate) {
  const Limits allowed = limits(candidate);
  std::vector<Option> options;
  const Dropped& quicker = quicker_again(candidate);
  const auto try_rungs = [&](const Ladders::Ladder& ladder, bool eager_update) {
    const Program open = lower_open(graph_, request_, candidate, ladder.split, eager_update);
    if (!indexable(open)) return;
    const Program* const one[] = {&open};
    const std::int64_t limit = transient_limit(one, allowed);
    DropEvaluator evaluator(open, std::vector<std::int64_t>(open.steps.size(), 0), device_.rates,
                            request_.lowering.in_place);
    const double seconds = program_seconds(open, device_.rates);
    const auto try_choice = [&](Dropped dropped) {
      const DropCost cost = evaluator.cost(evaluator.choice(dropped));
      if (cost.peak_bytes > limit) return;
      options.push_back({.answer = {.fits = true,
                                    .rewrites = {.split = ladder.split,
                                                 .recomputed = std::move(dropped),
                                                 .offloaded = {},
                                                 .eager_update = eager_update},
                                    .seconds = seconds + cost.extra_seconds},
                         .room_bytes = limit - cost.peak_bytes});
    };
    for (const Dropped& rung : ladder.rungs) {
      try_choice(rung);
      if (quicker.empty()) continue;
      Dropped with = rung;
      with.insert(quicker.begin(), quicker.end());
      try_choice(std::move(with));
    }
  };
  for (const Ladders::Ladder& ladder : ladders().ladders) {
    try_rungs(ladder, false);
    if (request_.strategies.eager_update) try_rungs(ladder, true);
  }
  return options;
}

std::optional<Candidates::Option> Candidates::option_of(const Candidate& candidate, const Rewrites& rewrites) const {
  const Program program = lower(graph_, train_options(request_, candidate, rewrites, device_.rates));
  const Program* const one[] = {&program};
  const std::int64_t room = transient_limit(one, limits(candidate)) - live_peak(transient_buffers(program)).bytes;
  const std::int64_t most = request_.offload_limit_bytes.value_or(std::numeric_limits<std::int64_t>::max());
  if (room < 0 || live_peak(host_buffers(program)).bytes > most || !indexable(program)) return std::nullopt;
  return Option{.answer = {.fits = true, .rewrites = rewrites, .seconds = program_seconds(program, device_.rates)},
                .room_bytes = room};
}

/// Of each kind the lightest that fits; nothing where the one that needs the least does not.
std::vector<Candidates::Option> Candidates::offloaded(const Candidate& candidate) {
  std::vector<Option> options;
  if (!request_.strategies.offload || ladders().all_offloaded.empty()) return options;
  Rewrites deepest = ladders().all_offloaded.back();
  deepest.eager_update = request_.strategies.eager_update;
  std::optional<Option> most = option_of(candidate, deepest);
  if (!most) return options;
  for (const std::vector<Rewrites>* kind : {&ladders().few_offloaded, &ladders().all_offloaded}) {
    for (const Rewrites& rewrites : *kind) {
      std::optional<Option> option = option_of(candidate, rewrites);
      if (!option) continue;
      options.push_back(*std::move(option));
      break;
    }
  }
  options.push_back(*std::move(most));
  return options;
}

const Candidates::Option* Candidates::roomiest(const std::vector<Option>& options) const {
  const auto most = std::ranges::max_element(options, {}, &Option::room_bytes);
  return most == options.end() ? nullptr : &*most;
}

Candidates::Answer Candidates::find_fastest(const Candidate& candidate, Backend& backend) {
  std::vector<Option> options = recomputed(candidate);
  std::vector<Answer> last;  // where tries end too early: what needs the least of each kind
  const auto keep_roomiest = [&](const std::vector<Option>& kind) {
    if (const Option* most = roomiest(kind)) last.push_back(most->answer);
  };
  keep_roomiest(options);
  std::vector<Option> moved = offloaded(candidate);
  keep_roomiest(moved);
  std::ranges::move(moved, std::back_inserter(options));
  std::ranges::stable_sort(options, {}, [](const Option& option) { return option.answer.seconds; });
  // Scratch, holes between buffers and the library's kernels come on top; what one try lacks, the next must have to
  // spare.
  constexpr int kMostTries = 6;
  int tries = 0;
  std::int64_t least_room = 0;
  for (Option& option : options) {
    if (option.room_bytes < least_room) continue;
    const std::int64_t missing = trial_short_by(candidate, option.answer.rewrites, backend);
    if (missing == 0) return std::move(option.answer);
    if (++tries == kMostTries) break;
    least_room = option.room_bytes + missing;
  }
  for (Answer& one : last) {
    if (trial_short_by(candidate, one.rewrites, backend) == 0) return std::move(one);
  }
  return {};
}

bool Candidates::fits_somehow(const Candidate& candidate, Backend& backend) {
  for (const std::vector<Option>& options : {recomputed(candidate), offloaded(candidate)}) {
    const Option* most = roomiest(options);
    if (most != nullptr && trial_short_by(candidate, most->answer.rewrites, backend) == 0) return true;
  }
  return false;
}

const Dropped& Candidates::quicker_again(const Candidate& candidate) {
  const auto [place, is_new] = quicker_again_.try_emplace(candidate);
  if (!is_new || !request_.strategies.recompute || device_.rates.cache_bytes <= 0) return place->second;
  DeviceRates doubtful = device_.rates;  // where it is a close call, nothing is changed
  doubtful.cold_bytes_per_second *= 1.25;
  doubtful.stay_bytes_per_second *= 1.25;
  const Program open = lower_open(graph_, request_, candidate);
  DropEvaluator evaluator(open, std::vector<std::int64_t>(open.steps.size(), 0), doubtful, request_.lowering.in_place);
  return place->second = evaluator.names(evaluator.quicker_again());
}

Program Candidates::lower_plain(const Candidate& candidate) {
  Rewrites rewrites;
  rewrites.recomputed = quicker_again(candidate);
  LoweringOptions options = train_options(request_, candidate, rewrites);
  options.in_place = false;
  return lower(graph_, options);
}

std::optional<Candidates::Answer> Candidates::find_plain(const Candidate& candidate, Backend& backend) {
  Rewrites rewrites;
  rewrites.recomputed = quicker_again(candidate);
  const Program train = lower(graph_, train_options(request_, candidate, rewrites));
  const Program* const one[] = {&train};
  // The tensors of the training program alone are a bound that costs no prepared step.
  const std::int64_t limit = transient_limit(one, limits(candidate));
  if (!indexable(train) || live_peak(transient_buffers(train)).bytes > limit) return std::nullopt;
  if (trial_short_by(candidate, rewrites, backend) > 0) return std::nullopt;
  std::optional<Answer> plain(std::in_place);
  plain->fits = true;
  plain->rewrites = std::move(rewrites);
  plain->seconds = program_seconds(train, device_.rates);
  return plain;
}

bool Candidates::may_rewrite() const {
  const Strategies& may = request_.strategies;
  return may.recompute || may.split || may.eager_update || may.offload;
}

const Candidates::Answer& Candidates::answer(const Candidate& candidate) {
  const auto known = answers_.find(candidate);
  if (known != answers_.end()) return known->second;
  const std::unique_ptr<Backend> trial = trial_backend();
  Backend& backend = trial ? *trial : backend_;
  std::optional<Answer> found = find_plain(candidate, backend);
  if (!found) found = may_rewrite() ? find_fastest(candidate, backend) : Answer{};
  return answers_.emplace(candidate, *std::move(found)).first->second;
}

bool Candidates::fits(const Candidate& candidate) {
  if (const auto known = answers_.find(candidate); known != answers_.end()) return known->second.fits;
  if (const auto known = fits_.find(candidate); known != fits_.end()) return known->second;
  const std::unique_ptr<Backend> trial = trial_backend();
  Backend& backend = trial ? *trial : backend_;
  if (std::optional<Answer> plain = find_plain(candidate, backend)) {
    answers_.emplace(candidate, *std::move(plain));
    return true;
  }
  // Not the fastest: whether there is any is known sooner, and mostly all that is asked.
  const bool some = may_rewrite() && (fits_somehow(candidate, backend) || find_fastest(candidate, backend).fits);
  return fits_.emplace(candidate, some).first->second;
}

void Candidates::ask_for_everything() {
  exact_ = true;
  answers_.clear();
  fits_.clear();
}

bool Candidates::confirm(const Candidate& candidate) {
  if (exact_ || !used_bounds_) return true;
  const std::unique_ptr<Backend> trial = trial_backend();
  Backend& backend = trial ? *trial : backend_;
  if (short_by(assemble_all(candidate, answer(candidate).rewrites, backend), limits(candidate)) == 0) return true;
  ask_for_everything();
  return false;
}

Plan Candidates::plan(const Candidate& candidate) {
  const Answer known = answer(candidate);
  const Limits allowed = limits(candidate);
  const Rewrites& rewrites = known.rewrites;
  Plan plan = assemble_all(candidate, rewrites, backend_);
  plan.report.workspace_bytes = largest_workspace(plan);
  plan.report.short_by_bytes = short_by(plan, allowed);
  plan.report.fits = plan.report.short_by_bytes == 0;
  if (known.fits && !plan.report.fits && !exact_) {
    ask_for_everything();
    return this->plan(candidate);
  }
  if (plan.report.fits) use_free_space(plan, backend_);
  describe(plan, device_);
  plan.report.batch = candidate.batch;
  plan.report.accumulation = candidate.parts;
  plan.report.micro_batch = micro_batch(candidate);
  describe_graph(graph_, candidate.batch, plan.report.layers);
  if (!rewrites.recomputed.empty()) plan.report.strategy.emplace_back("recompute");
  if (!rewrites.split.until.empty()) plan.report.strategy.emplace_back("split");
  if (rewrites.eager_update) plan.report.strategy.emplace_back("eager_update");
  if (!rewrites.offloaded.empty()) plan.report.strategy.emplace_back("offload");
  if (candidate.parts > 1) plan.report.strategy.emplace_back("microbatch");
  plan.report.budget_bytes = allowed.total_bytes;
  plan.report.offload_bytes = host_arena_bytes(plan);
  plan.report.host_bytes = host_bytes(candidate) + plan.report.offload_bytes;
  plan.report.checkpoint_bytes = request_.checkpoint_bytes;
  estimate(candidate, plan);
  return plan;
}

void Candidates::estimate(const Candidate& candidate, Plan& plan) {
  const Program& program = plan.programs[static_cast<std::size_t>(plan.train)].program;
  const double seconds = program_seconds(program, device_.rates);
  if (seconds <= 0) return;
  const double plain = program_seconds(lower_plain({candidate.batch, 1}), device_.rates);
  plan.report.estimated_images_per_second = static_cast<double>(candidate.batch) / seconds;
  plan.report.estimated_slowdown = std::max(1.0, seconds / plain);
}

std::int64_t Candidates::short_by(const Plan& plan, const Limits& limits) const {
  const std::int64_t arenas = arena_bytes(plan, device_);
  // On the CPU host memory is the same memory; a budget in bytes is for the device's part alone.
  const bool shared = device_.driver_in_use && !request_.budget.bytes;
  const std::int64_t total = total_bytes(plan, device_) + (shared ? host_arena_bytes(plan) : 0);
  const std::int64_t host = request_.offload_limit_bytes ? plan.host_bytes - *request_.offload_limit_bytes : 0;
  return std::max({std::int64_t{0}, total - limits.total_bytes, arenas - limits.arena_bytes, host,
                   largest_workspace(plan) - limits.workspace_bytes});
}

double Candidates::throughput(const Candidate& candidate) {
  const double seconds = answer(candidate).seconds;
  return seconds > 0 ? static_cast<double>(candidate.batch) / seconds : 0;
}

double Candidates::plain_throughput(const Candidate& candidate) {
  const double seconds = program_seconds(lower_plain(candidate), device_.rates);
  return seconds > 0 ? static_cast<double>(candidate.batch) / seconds : 0;
}

}  // namespace snug
