#include "runtime/runtime.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "base/ensure.h"
#include "base/round.h"
#include "base/text.h"
#include "program/lifetimes.h"
#include "runtime/allocation/step_pool.h"
#include "runtime/finite.h"
#include "runtime/mapping.h"
#include "snug/diagnostic.h"

namespace snug {
namespace {

struct Call {
  const PreparedStep* step = nullptr;
  StepArguments arguments;
  std::vector<std::size_t> late;  ///< calls of other queues that are done before this one
  bool skip = false;              ///< done before a later call
};

/// A program with its addresses.
struct Bound {
  PlannedProgram planned;
  std::vector<std::byte*> storages;  // by StorageId
  std::vector<void*> operands;       // of all steps, one after another
  std::vector<Call> calls;
  bool ran = false;
  Mapping own;                                 // transient storages, when memory is not shared
  std::vector<std::vector<StorageId>> deaths;  // by step: transient storages that no later one uses; likewise

  [[nodiscard]] void* address(TensorId tensor) const {
    const View& view = planned.program[tensor].view;
    return storages[view.storage.index()] + view.offset_bytes;
  }
};

struct Arenas {
  Mapping persistent, transient, input, host;
};

/// Gives every storage of `bound` that lives for a part of a step memory that it shares with none.
void bind_apart(Bound& bound) {
  const Program& program = bound.planned.program;
  std::int64_t bytes = 0;
  for (const Storage& storage : program.storages) {
    if (is_shared_over_step(storage.arena)) bytes += round_up(storage.size_bytes, kArenaAlignmentBytes);
  }
  bound.own = Mapping(bytes, "memory without reuse");
  std::byte* next = bound.own.data();
  for (std::size_t i = 0; i < program.storages.size(); ++i) {
    if (!is_shared_over_step(program.storages[i].arena)) continue;
    bound.storages[i] = next;
    next += round_up(program.storages[i].size_bytes, kArenaAlignmentBytes);
  }
  bound.deaths.resize(program.steps.size());
  const std::vector<Lifetime> lives = lifetimes(program);
  for (std::size_t i = 0; i < lives.size(); ++i) {
    if (!is_shared_over_step(program.storages[i].arena) || lives[i].last == 0) continue;
    bound.deaths[static_cast<std::size_t>(lives[i].last) - 1].emplace_back(static_cast<std::int64_t>(i));
  }
}

void bind_storages(Bound& bound, const Arenas& arenas, bool reuse_memory) {
  const Program& program = bound.planned.program;
  bound.storages.resize(program.storages.size());
  for (std::size_t i = 0; i < program.storages.size(); ++i) {
    const std::int64_t offset = bound.planned.offsets[i];
    switch (program.storages[i].arena) {
      case Arena::persistent: bound.storages[i] = arenas.persistent.data() + offset; break;
      case Arena::input: bound.storages[i] = arenas.input.data() + offset; break;
      case Arena::transient: bound.storages[i] = arenas.transient.data() + (reuse_memory ? offset : 0); break;
      case Arena::host: bound.storages[i] = arenas.host.data() + (reuse_memory ? offset : 0); break;
    }
  }
  if (!reuse_memory) bind_apart(bound);
}

void bind_calls(Bound& bound) {
  const std::vector<Step>& steps = bound.planned.program.steps;
  std::size_t operands = 0;
  for (const Step& step : steps) operands += step.operands.size();
  bound.operands.reserve(operands);  // calls point into it
  for (std::size_t i = 0; i < steps.size(); ++i) {
    ensure(static_cast<bool>(bound.planned.steps[i].run), "a program that runs has every step prepared for it");
    Call call{.step = &bound.planned.steps[i]};
    call.arguments.operands = bound.operands.data() + bound.operands.size();
    for (const Operand& operand : steps[i].operands) bound.operands.push_back(bound.address(operand.tensor));
    if (steps[i].has_workspace) call.arguments.workspace = bound.operands.back();
    bound.calls.push_back(call);
  }
}

/// Puts steps of other queues off until somebody waits for what they use, or until the end.
void put_off(Bound& bound) {
  const std::vector<Step>& steps = bound.planned.program.steps;
  std::vector<std::size_t> waiting;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const bool last = i + 1 == steps.size();
    if (steps[i].queue != kMainQueue && !last) {
      bound.calls[i].skip = true;
      waiting.push_back(i);
      continue;
    }
    if (steps[i].op != Op::wait && !last) continue;
    // A queue goes in order: with the last that is named all before it are done.
    std::size_t done = last ? waiting.size() : 0;
    for (std::size_t w = 0; w < waiting.size(); ++w) {
      const bool named = std::ranges::any_of(steps[waiting[w]].operands, [&](const Operand& used) {
        return std::ranges::any_of(steps[i].operands,
                                   [&](const Operand& operand) { return operand.tensor == used.tensor; });
      });
      if (named) done = std::max(done, w + 1);
    }
    bound.calls[i].late.assign(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(done));
    waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(done));
  }
}

void run_call(const Bound& bound, std::size_t index) {
  const Call& call = bound.calls[index];
  for (const std::size_t late : call.late) bound.calls[late].step->run(bound.calls[late].arguments);
  if (!call.skip) call.step->run(call.arguments);
}

/// All bits set: a NaN in every floating type.
void poison(const Bound& bound, StorageId id) {
  std::memset(bound.storages[id.index()], 0xFF, static_cast<std::size_t>(bound.planned.program[id].size_bytes));
}

void poison_transient(const Bound& bound) {
  if (!bound.own.bytes().empty()) std::memset(bound.own.data(), 0xFF, bound.own.bytes().size());
}

void poison_dead(const Bound& bound, std::size_t step) {
  if (bound.deaths.empty()) return;
  for (const StorageId id : bound.deaths[step]) poison(bound, id);
}

std::optional<NotFinite> first_not_finite(const Bound& bound, const Step& step) {
  const Program& program = bound.planned.program;
  const std::size_t count = step.operands.size() - (step.has_workspace ? 1 : 0);
  for (std::size_t i = 0; i < count; ++i) {
    if (step.operands[i].access == Access::in) continue;
    const TensorInfo& tensor = program[step.operands[i].tensor];
    const auto* data = static_cast<const std::byte*>(bound.address(step.operands[i].tensor));
    const auto bad = find_not_finite(tensor, data);
    if (!bad) continue;
    const LayerId layer = step.layer.valid() ? step.layer : tensor.layer;
    return NotFinite{.layer = program.layer_name(layer),
                     .tensor = tensor.name,
                     .op = std::string(to_string(step.op)),
                     .element = bad->element,
                     .value = bad->value};
  }
  return std::nullopt;
}

}  // namespace

struct Runtime::State {
  Arenas arenas;
  std::int64_t arena_bytes = 0;
  std::vector<std::unique_ptr<Bound>> programs;
  /// The largest tensor of each name, and the program it is of.
  std::unordered_map<std::string_view, std::pair<const Bound*, TensorId>> names;

  void index_names(const Bound& bound) {
    const Program& program = bound.planned.program;
    for (std::size_t i = 0; i < program.tensors.size(); ++i) {
      const TensorId id{static_cast<std::int64_t>(i)};
      const auto [at, is_new] = names.try_emplace(program[id].name, &bound, id);
      if (is_new) continue;
      const auto& [other, other_id] = at->second;
      if (extent_bytes(program[id]) > extent_bytes(other->planned.program[other_id])) at->second = {&bound, id};
    }
  }
  [[nodiscard]] Bound& bound(int program) {
    ensure(program >= 0 && program < static_cast<int>(programs.size()), "a plan runs the programs that it has");
    return *programs[static_cast<std::size_t>(program)];
  }
};

Runtime::Runtime(const Plan& plan, const RuntimeOptions& options) : state_(std::make_unique<State>()) {
  ensure(!plan.programs.empty(), "only a plan that fits is run");
  State& state = *state_;
  const std::int64_t transient = options.reuse_memory ? plan.transient_bytes : 0;
  const std::int64_t host = options.reuse_memory ? plan.host_bytes : 0;
  const std::int64_t arenas = plan.persistent_bytes + transient + plan.input_bytes + host;
  const DeviceMemory memory = cpu_memory();
  if (arenas > memory.free_bytes) {
    throw Error({.code = "M301",
                 .where = "memory.budget",
                 .what = fmt::format("the arenas need {}, the system has {} free now", format_bytes(arenas),
                                     format_bytes(memory.free_bytes)),
                 .fix = "memory.budget = \"90%\""});
  }
  state.arenas = {.persistent = Mapping(plan.persistent_bytes, "persistent arena"),
                  .transient = Mapping(transient, "transient arena"),
                  .input = Mapping(plan.input_bytes, "input arena"),
                  .host = Mapping(host, "host arena")};
  state.arena_bytes = state.arenas.persistent.mapped_bytes() + state.arenas.transient.mapped_bytes() +
                      state.arenas.input.mapped_bytes() + state.arenas.host.mapped_bytes();
  for (const PlannedProgram& planned : plan.programs) {
    auto bound = std::make_unique<Bound>();
    bound->planned = planned;
    bind_storages(*bound, state.arenas, options.reuse_memory);
    bind_calls(*bound);
    if (options.late_queues) put_off(*bound);
    state.arena_bytes += bound->own.mapped_bytes();
    state.index_names(*bound);
    state.programs.push_back(std::move(bound));
  }
}

Runtime::~Runtime() = default;

void Runtime::run(int program) {
  Bound& bound = state_->bound(program);
  StepPool pool(std::exchange(bound.ran, true) ? StepMemory::pool : StepMemory::heap);
  poison_transient(bound);
  for (std::size_t i = 0; i < bound.calls.size(); ++i) {
    run_call(bound, i);
    pool.end_step();
    poison_dead(bound, i);
  }
}

std::optional<NotFinite> Runtime::run_watched(int program) {
  Bound& bound = state_->bound(program);
  bound.ran = true;
  poison_transient(bound);
  std::optional<NotFinite> first;
  for (std::size_t i = 0; i < bound.calls.size(); ++i) {
    run_call(bound, i);
    if (!first) first = first_not_finite(bound, bound.planned.program.steps[i]);
    poison_dead(bound, i);
  }
  return first;
}

std::vector<double> Runtime::run_timed(int program) {
  using Clock = std::chrono::steady_clock;
  Bound& bound = state_->bound(program);
  std::vector<double> seconds(bound.calls.size());
  bound.ran = true;
  poison_transient(bound);
  for (std::size_t i = 0; i < bound.calls.size(); ++i) {
    const Clock::time_point begin = Clock::now();
    run_call(bound, i);
    seconds[i] = std::chrono::duration<double>(Clock::now() - begin).count();
    poison_dead(bound, i);
  }
  return seconds;
}

const TensorInfo* Runtime::find(std::string_view tensor) const {
  const auto at = state_->names.find(tensor);
  if (at == state_->names.end()) return nullptr;
  const auto& [bound, id] = at->second;
  return &bound->planned.program[id];
}

std::span<std::byte> Runtime::bytes(std::string_view tensor) {
  const auto at = state_->names.find(tensor);
  if (at == state_->names.end()) return {};
  const auto& [bound, id] = at->second;
  const Program& program = bound->planned.program;
  if (is_shared_over_step(program.storage_of(id).arena) || !is_packed(program[id])) return {};
  return {static_cast<std::byte*>(bound->address(id)), static_cast<std::size_t>(extent_bytes(program[id]))};
}

std::int64_t Runtime::arena_bytes() const { return state_->arena_bytes; }

}  // namespace snug
