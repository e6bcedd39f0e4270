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
#include "runtime/arena_memory.h"
#include "runtime/device_findings.h"
#include "runtime/finite.h"
#include "runtime/staging.h"
#include "snug/diagnostic.h"

namespace snug {
namespace {

using Clock = std::chrono::steady_clock;

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
  std::unique_ptr<DeviceGraph> graph;
  ArenaMemory own;                             // transient storages, when memory is not shared
  std::vector<std::vector<StorageId>> deaths;  // by step: transient storages that no later one uses; likewise

  [[nodiscard]] void* address(TensorId tensor) const {
    const View& view = planned.program[tensor].view;
    return storages[view.storage.index()] + view.offset_bytes;
  }
};

struct Arenas {
  ArenaMemory persistent, transient, input, data, host;
};

using DevicePointer = std::shared_ptr<Device>;

/// Gives every storage of `bound` that lives for a part of a step memory that it shares with none.
void bind_apart(Bound& bound, const DevicePointer& device) {
  const Program& program = bound.planned.program;
  std::int64_t bytes = 0;
  for (const Storage& storage : program.storages) {
    if (is_shared_over_step(storage.arena)) bytes += round_up(storage.size_bytes, kArenaAlignmentBytes);
  }
  bound.own = ArenaMemory(bytes, "memory without reuse", device);
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

void bind_storages(Bound& bound, const Arenas& arenas, const RuntimeOptions& options) {
  const Program& program = bound.planned.program;
  bound.storages.resize(program.storages.size());
  for (std::size_t i = 0; i < program.storages.size(); ++i) {
    const std::int64_t offset = bound.planned.offsets[i];
    switch (program.storages[i].arena) {
      case Arena::persistent: bound.storages[i] = arenas.persistent.data() + offset; break;
      case Arena::input: bound.storages[i] = arenas.input.data() + offset; break;
      case Arena::data: bound.storages[i] = arenas.data.data() + offset; break;
      case Arena::transient: bound.storages[i] = arenas.transient.data() + (options.reuse_memory ? offset : 0); break;
      case Arena::host: bound.storages[i] = arenas.host.data() + (options.reuse_memory ? offset : 0); break;
    }
  }
  if (!options.reuse_memory) bind_apart(bound, options.device);
}

void bind_calls(Bound& bound, const DevicePointer& device) {
  const std::vector<Step>& steps = bound.planned.program.steps;
  std::size_t operands = 0;
  for (const Step& step : steps) operands += step.operands.size();
  bound.operands.reserve(operands);  // calls point into it
  for (std::size_t i = 0; i < steps.size(); ++i) {
    ensure(static_cast<bool>(bound.planned.steps[i].run), "a program that runs has every step prepared for it");
    Call call{.step = &bound.planned.steps[i]};
    if (call.step->load) call.step->load();
    call.arguments.operands = bound.operands.data() + bound.operands.size();
    for (const Operand& operand : steps[i].operands) bound.operands.push_back(bound.address(operand.tensor));
    if (steps[i].has_workspace) call.arguments.workspace = bound.operands.back();
    if (device != nullptr) call.arguments.stream = device->stream(steps[i].queue);
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
constexpr std::uint8_t kPoison = 0xFF;

void poison(const Bound& bound, StorageId id) {
  bound.own.fill(bound.storages[id.index()], kPoison, bound.planned.program[id].size_bytes);
}

void poison_transient(const Bound& bound) {
  if (bound.own.size() > 0) bound.own.fill(bound.own.data(), kPoison, bound.own.size());
}

void poison_dead(const Bound& bound, std::size_t step) {
  if (bound.deaths.empty()) return;
  for (const StorageId id : bound.deaths[step]) poison(bound, id);
}

/// The first element of a step's outputs that is not finite. `fetch` gives the bytes of an operand in this process.
template <class Fetch>
std::optional<NotFinite> first_not_finite(const Bound& bound, const Step& step, const Fetch& fetch) {
  const Program& program = bound.planned.program;
  const std::size_t count = step.operands.size() - (step.has_workspace ? 1 : 0);
  for (std::size_t i = 0; i < count; ++i) {
    if (step.operands[i].access == Access::in) continue;
    const TensorInfo& tensor = program[step.operands[i].tensor];
    const auto bad = find_not_finite(tensor, fetch(step.operands[i].tensor));
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
  RuntimeOptions options;
  Arenas arenas;
  std::unique_ptr<Staging> staging;  // of a device
  std::vector<StagedInput> staged;   // behind its input arena
  std::int64_t input_bytes = 0;      // of the arena itself
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
  /// Where a tensor lies that is kept between runs, packed; null when there is none of this name.
  struct Kept {
    std::byte* data = nullptr;
    std::int64_t bytes = 0;
    Arena arena = Arena::persistent;
  };
  [[nodiscard]] Kept kept(std::string_view tensor) const {
    const auto at = names.find(tensor);
    if (at == names.end()) return {};
    const auto& [bound, id] = at->second;
    const Program& program = bound->planned.program;
    const Arena arena = program.storage_of(id).arena;
    if (is_shared_over_step(arena) || !is_packed(program[id])) return {};
    return {static_cast<std::byte*>(bound->address(id)), extent_bytes(program[id]), arena};
  }
  /// Where a batch's tensor may wait on a device while another is computed; null for what does not.
  [[nodiscard]] std::byte* ahead_of(std::string_view tensor) const {
    const auto at = std::ranges::find(staged, tensor, &StagedInput::tensor);
    return at == staged.end() ? nullptr : arenas.input.data() + input_bytes + at->offset;
  }
  Kept posted;  // in this process, where a run is over when it returns

  /// Runs a step, or enqueues it. Throws Error G… for what the device says against it.
  void launch(const Bound& bound, std::size_t step) const;
  /// Runs all steps; `look(i)` once step i is done.
  template <class Look>
  void each_step(Bound& bound, const Look& look) {
    Device* const device = options.device.get();
    if (device != nullptr)
      guarded([&] {
        staging->next_run();
        device->wait();
      });
    bound.ran = true;
    poison_transient(bound);
    for (std::size_t i = 0; i < bound.calls.size(); ++i) {
      launch(bound, i);
      if (device != nullptr) wait_for_step(bound, i);
      look(i);
      poison_dead(bound, i);
    }
  }
  void wait_for_step(const Bound& bound, std::size_t step) const;
  /// What the device says against anything but one step: a kernel's fault shows with whatever waits for it.
  template <class Call>
  void guarded(const Call& call) const {
    try {
      call();
    } catch (const DeviceFailure& failure) {
      throw Error(device_stopped(options.device->name(), failure));
    }
  }
  void enqueue(Bound& bound);
  [[nodiscard]] std::vector<double> time_on_device(Bound& bound);
  void enqueue_steps(const Bound& bound) const;
  [[nodiscard]] Bound& bound(int program) {
    ensure(program >= 0 && program < static_cast<int>(programs.size()), "a plan runs the programs that it has");
    return *programs[static_cast<std::size_t>(program)];
  }
};

namespace {

/// Tells of too little memory before any of it is taken: what was free when the plan was made may have gone since.
/// `host`: of the arena in host memory, which here is the same memory.
void require_free(std::int64_t on_device, std::int64_t host, const Device* device) {
  const std::int64_t arenas = device != nullptr ? on_device : on_device + host;
  const std::int64_t free_bytes = device != nullptr ? device->memory().free_bytes : cpu_memory().free_bytes;
  if (arenas <= free_bytes) return;
  throw Error({.code = "M301",
               .where = "memory.budget",
               .what = fmt::format("the arenas need {}, {} has {} free now", format_bytes(arenas),
                                   device != nullptr ? device->name() : "the system", format_bytes(free_bytes)),
               .fix = "memory.budget = \"90%\""});
}

/// What a device says against a step, with the step.
Error device_error(const Bound& bound, std::size_t index, const Device& device, const DeviceFailure& failure) {
  const Program& program = bound.planned.program;
  const Step& step = program.steps[index];
  const Shape& shape = program[step.operands.front().tensor].shape;
  const std::string layer = program.layer_name(step.layer);
  const std::string why = failure.what();
  std::string what = fmt::format("step {}, {} of {} by {}: {}", index, to_string(step.op), to_string(shape),
                                 bound.planned.steps[index].algorithm, why);
  if (what.size() > kMostWhat)
    what = fmt::format("step {}, {}: {}", index, to_string(step.op), why).substr(0, kMostWhat);
  return Error({.code = failure.of_memory ? "M304" : "G921",
                .where = layer.empty() ? std::string(device.name()) : layer,
                .what = std::move(what),
                .fix = std::string(failure.of_memory ? kWhoHoldsMemory : kCheckSteps)});
}

}  // namespace

void Runtime::State::launch(const Bound& bound, std::size_t step) const {
  Device* const device = options.device.get();
  if (device == nullptr) return run_call(bound, step);
  const Step& what = bound.planned.program.steps[step];
  try {
    if (what.queue != kMainQueue) device->fork(what.queue);
    if (what.op == Op::wait) device->join();
    run_call(bound, step);
    if (const auto failure = device->take_failure()) throw *failure;
  } catch (const DeviceFailure& failure) {
    throw device_error(bound, step, *device, failure);
  }
}

void Runtime::State::wait_for_step(const Bound& bound, std::size_t step) const {
  try {
    options.device->wait();
  } catch (const DeviceFailure& failure) {
    throw device_error(bound, step, *options.device, failure);
  }
}

void Runtime::State::enqueue_steps(const Bound& bound) const {
  poison_transient(bound);
  for (std::size_t i = 0; i < bound.calls.size(); ++i) {
    launch(bound, i);
    poison_dead(bound, i);
  }
}

/// The first time step by step, for then libraries load what they need; the second time recorded.
void Runtime::State::enqueue(Bound& bound) {
  guarded([&] {
    staging->next_run();
    if (options.graphs && bound.ran && bound.graph == nullptr)
      bound.graph = options.device->record([&] { enqueue_steps(bound); });
    bound.ran = true;
    if (bound.graph == nullptr) return enqueue_steps(bound);
    bound.graph->launch();
  });
}

Runtime::Runtime(const Plan& plan, const RuntimeOptions& options) : state_(std::make_unique<State>()) {
  ensure(!plan.programs.empty(), "only a plan that fits is run");
  State& state = *state_;
  state.options = options;
  const DevicePointer& device = options.device;
  const std::int64_t transient = options.reuse_memory ? plan.transient_bytes : 0;
  const std::int64_t host = options.reuse_memory ? plan.host_bytes : 0;
  std::vector<const Program*> programs;
  for (const PlannedProgram& planned : plan.programs) programs.push_back(&planned.program);
  if (device != nullptr) state.staged = staged_inputs(programs);
  state.input_bytes = plan.input_bytes;
  const std::int64_t input = plan.input_bytes + (device != nullptr ? staged_bytes(programs) : 0);
  state.guarded([&] { require_free(plan.persistent_bytes + transient + input + plan.data_bytes, host, device.get()); });
  state.arenas = {.persistent = ArenaMemory(plan.persistent_bytes, "persistent arena", device),
                  .transient = ArenaMemory(transient, "transient arena", device),
                  .input = ArenaMemory(input, "input arena", device),
                  .data = ArenaMemory(plan.data_bytes, "arena of kept images", device),
                  .host = ArenaMemory(host, "host arena", device, ArenaMemory::Kind::host)};
  state.arena_bytes = state.arenas.persistent.taken_bytes() + state.arenas.transient.taken_bytes() +
                      state.arenas.input.taken_bytes() + state.arenas.data.taken_bytes() +
                      state.arenas.host.taken_bytes();
  if (device != nullptr) state.staging = std::make_unique<Staging>(device, plan.input_bytes);
  for (const PlannedProgram& planned : plan.programs) {
    auto bound = std::make_unique<Bound>();
    bound->planned = planned;
    bind_storages(*bound, state.arenas, options);
    bind_calls(*bound, device);
    if (options.late_queues) put_off(*bound);
    state.arena_bytes += bound->own.taken_bytes();
    state.index_names(*bound);
    state.programs.push_back(std::move(bound));
  }
}

Runtime::~Runtime() = default;

void Runtime::run(int program) {
  Bound& bound = state_->bound(program);
  if (state_->options.device != nullptr) return state_->enqueue(bound);
  StepPool pool(std::exchange(bound.ran, true) ? StepMemory::pool : StepMemory::heap);
  poison_transient(bound);
  for (std::size_t i = 0; i < bound.calls.size(); ++i) {
    run_call(bound, i);
    pool.end_step();
    poison_dead(bound, i);
  }
}

bool Runtime::settled(int program) const {
  const Bound& bound = state_->bound(program);
  return state_->options.device == nullptr || bound.graph != nullptr || (bound.ran && !state_->options.graphs);
}

std::optional<NotFinite> Runtime::run_watched(int program) {
  State& state = *state_;
  Bound& bound = state.bound(program);
  std::vector<std::byte> copy;
  const auto fetch = [&](TensorId tensor) -> const std::byte* {
    const auto* data = static_cast<const std::byte*>(bound.address(tensor));
    if (state.staging == nullptr) return data;
    copy.resize(static_cast<std::size_t>(extent_bytes(bound.planned.program[tensor])));
    state.staging->read(copy, data);
    return copy.data();
  };
  std::optional<NotFinite> first;
  state.each_step(bound, [&](std::size_t i) {
    if (!first) first = first_not_finite(bound, bound.planned.program.steps[i], fetch);
  });
  return first;
}

void Runtime::run_showing(int program, std::string_view prefix, const Look& look) {
  State& state = *state_;
  Bound& bound = state.bound(program);
  const Program& steps = bound.planned.program;
  std::unordered_map<std::size_t, std::size_t> last_writer;  // by tensor
  for (std::size_t i = 0; i < steps.steps.size(); ++i) {
    for (const Operand& operand : steps.steps[i].operands) {
      const TensorInfo& tensor = steps[operand.tensor];
      if (operand.access != Access::in && tensor.name.starts_with(prefix) && tensor.dtype == DType::f32 &&
          is_packed(tensor))
        last_writer[operand.tensor.index()] = i;
    }
  }
  std::vector<float> copy;
  state.each_step(bound, [&](std::size_t i) {
    for (const Operand& operand : steps.steps[i].operands) {
      const auto writer = last_writer.find(operand.tensor.index());
      if (operand.access == Access::in || writer == last_writer.end() || writer->second != i) continue;
      const TensorInfo& tensor = steps[operand.tensor];
      const auto* data = static_cast<const std::byte*>(bound.address(operand.tensor));
      const auto count = static_cast<std::size_t>(tensor.shape.elements());
      if (state.staging == nullptr) {
        look(tensor.name, {reinterpret_cast<const float*>(data), count});
        continue;
      }
      copy.resize(count);
      state.staging->read(std::as_writable_bytes(std::span(copy)), data);
      look(tensor.name, copy);
    }
  });
}

/// On a device by its own clock: steps follow each other without the host between them.
std::vector<double> Runtime::State::time_on_device(Bound& bound) {
  Device& device = *options.device;
  std::vector<double> seconds(bound.calls.size());
  guarded([&] {
    staging->next_run();
    device.wait();
    bound.ran = true;
    poison_transient(bound);
    device.stamp(0);
    for (std::size_t i = 0; i < bound.calls.size(); ++i) {
      launch(bound, i);
      poison_dead(bound, i);
      device.stamp(i + 1);
    }
    device.wait();
    for (std::size_t i = 0; i < seconds.size(); ++i) seconds[i] = device.seconds_between(i, i + 1);
  });
  return seconds;
}

std::vector<double> Runtime::run_in_a_row(int program, std::size_t times, const std::function<void()>& before) {
  std::vector<double> seconds(times);
  Device* const device = state_->options.device.get();
  const auto stamp = [&](std::size_t index) {
    if (device != nullptr) state_->guarded([&] { device->stamp(index); });
  };
  stamp(0);
  for (std::size_t i = 0; i < times; ++i) {
    if (before) before();
    const Clock::time_point begin = Clock::now();
    run(program);
    seconds[i] = std::chrono::duration<double>(Clock::now() - begin).count();
    stamp(i + 1);
  }
  if (device == nullptr) return seconds;
  wait();
  state_->guarded([&] {
    for (std::size_t i = 0; i < times; ++i) seconds[i] = device->seconds_between(i, i + 1);
  });
  return seconds;
}

void Runtime::wait() {
  if (state_->options.device != nullptr) state_->guarded([&] { state_->options.device->wait(); });
}

std::vector<double> Runtime::run_timed(int program) {
  Bound& bound = state_->bound(program);
  if (state_->options.device != nullptr) return state_->time_on_device(bound);
  std::vector<double> seconds(bound.calls.size());
  Clock::time_point begin = Clock::now();
  state_->each_step(bound, [&](std::size_t i) {
    const Clock::time_point now = Clock::now();
    seconds[i] = std::chrono::duration<double>(now - std::exchange(begin, now)).count();
  });
  return seconds;
}

const TensorInfo* Runtime::find(std::string_view tensor) const {
  const auto at = state_->names.find(tensor);
  if (at == state_->names.end()) return nullptr;
  const auto& [bound, id] = at->second;
  return &bound->planned.program[id];
}

std::span<std::byte> Runtime::bytes(std::string_view tensor) {
  if (state_->options.device != nullptr) return {};
  const State::Kept kept = state_->kept(tensor);
  return {kept.data, static_cast<std::size_t>(kept.bytes)};
}

std::int64_t Runtime::size_bytes(std::string_view tensor) const { return state_->kept(tensor).bytes; }

void Runtime::write(std::string_view tensor, std::span<const std::byte> from, std::int64_t offset_bytes) {
  State::Kept kept = state_->kept(tensor);
  ensure(offset_bytes >= 0 && std::cmp_less_equal(from.size(), kept.bytes - offset_bytes),
         "what is written fits the tensor");
  kept.data += offset_bytes;
  if (from.empty()) return;
  Staging* const staging = state_->staging.get();
  if (staging == nullptr) {
    std::memcpy(kept.data, from.data(), from.size());
  } else {
    state_->guarded([&] {
      if (kept.arena != Arena::input) return staging->write(kept.data, from);
      staging->write_input(kept.data, kept.data - state_->arenas.input.data(), from, state_->ahead_of(tensor));
    });
  }
}

void Runtime::read(std::string_view tensor, std::span<std::byte> to) {
  const State::Kept kept = state_->kept(tensor);
  ensure(std::cmp_less_equal(to.size(), kept.bytes), "what is read lies in the tensor");
  if (to.empty()) return;
  if (state_->staging == nullptr) {
    std::memcpy(to.data(), kept.data, to.size());
  } else {
    state_->guarded([&] { state_->staging->read(to, kept.data); });
  }
}

void Runtime::post(std::string_view tensor) {
  const State::Kept kept = state_->kept(tensor);
  if (state_->staging == nullptr) {
    state_->posted = kept;
  } else {
    state_->guarded([&] { state_->staging->post_result(kept.data, kept.bytes); });
  }
}

void Runtime::take(std::span<std::byte> to) {
  if (state_->staging == nullptr) {
    std::memcpy(to.data(), state_->posted.data, to.size());
  } else {
    state_->guarded([&] { std::memcpy(to.data(), state_->staging->take_result().data(), to.size()); });
  }
}

void Runtime::rewrite_previous_inputs() {
  if (state_->staging != nullptr) state_->guarded([&] { state_->staging->rewrite_previous(); });
}

std::int64_t Runtime::arena_bytes() const { return state_->arena_bytes; }

}  // namespace snug
