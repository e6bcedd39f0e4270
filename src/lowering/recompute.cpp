#include "lowering/recompute.h"

#include <algorithm>
#include <utility>

#include "base/ensure.h"

namespace snug {

namespace {

/// Whether a second run of the step leaves nothing behind but its outputs.
bool can_run_again(const Step& step) {
  if (step.phase != Phase::forward || step.queue != kMainQueue) return false;
  // Without what moves the running statistics: as batchnorm_apply, and as a convolution that measures nothing.
  if (step.op == Op::batchnorm_forward || step.op == Op::conv1x1_forward) return true;
  return std::ranges::none_of(step.operands, [](const Operand& operand) { return operand.access == Access::inout; });
}

void add_once(std::vector<std::int32_t>& list, std::int32_t value) {
  if (std::ranges::find(list, value) == list.end()) list.push_back(value);
}

/// Operands by which steps touch storages.
void note(const Program& program, const Step& step, std::vector<std::int32_t>& reads,
          std::vector<std::int32_t>& writes) {
  for (const Operand& operand : step.operands) {
    const std::int32_t storage = program[operand.tensor].view.storage.value;
    if (operand.access != Access::out) add_once(reads, storage);
    if (operand.access != Access::in) add_once(writes, storage);
  }
}

}  // namespace

Step step_again(const Step& step) {
  Step again = step;
  again.phase = Phase::backward;
  if (step.op == Op::conv1x1_forward && std::get<Conv1x1Attributes>(step.attributes).statistics) {
    auto& conv = std::get<Conv1x1Attributes>(again.attributes);
    conv.statistics = false;
    const auto running = again.operands.begin() + (conv.norm ? 6 : 2);
    again.operands.pop_back();  // inverse_std, mean
    again.operands.pop_back();
    again.operands.erase(running, running + 2);
  }
  if (step.op != Op::batchnorm_forward) return again;
  const bool residual = std::get<BatchNormAttributes>(step.attributes).residual;
  const std::size_t output = residual ? 6 : 5;
  again.op = Op::batchnorm_apply;
  again.operands = {step.operands[0],
                    step.operands[1],
                    step.operands[2],
                    {step.operands[output + 1].tensor, Access::in},
                    {step.operands[output + 2].tensor, Access::in}};
  if (residual) again.operands.push_back(step.operands[5]);
  again.operands.push_back(step.operands[output]);
  return again;
}

RecomputeModel::RecomputeModel(const Program& program) {
  enum : char { kUntouched, kMade, kNever };
  std::vector<char> state(program.storages.size(), kUntouched);
  std::vector<char> wanted(program.storages.size(), 0);
  std::vector<char> wanted_forward(program.storages.size(), 0);
  std::vector<std::vector<std::int32_t>> makers(program.storages.size());
  const auto at = [](std::int32_t storage) { return static_cast<std::size_t>(storage); };
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    const Step& step = program.steps[i];
    ensure(step.saved.empty(), "what is read is known before a schedule is made");
    std::vector<std::int32_t> reads;
    std::vector<std::int32_t> writes;
    std::vector<std::int32_t> reads_again;
    std::vector<std::int32_t> writes_again;
    note(program, step, reads, writes);
    if (can_run_again(step)) note(program, step_again(step), reads_again, writes_again);
    const bool backward = step.phase == Phase::backward;
    for (const std::int32_t storage : writes) {
      // A join whose first channels are read before its last are written: its parts depend on itself.
      if (wanted_forward[at(storage)] != 0) state[at(storage)] = kNever;
      const bool made_again = std::ranges::find(writes_again, storage) != writes_again.end();
      state[at(storage)] = made_again && state[at(storage)] != kNever ? kMade : kNever;
      makers[at(storage)].push_back(static_cast<std::int32_t>(i));
    }
    for (const std::int32_t storage : reads) {
      (backward ? wanted : wanted_forward)[at(storage)] = 1;
      if (!backward && step.phase != Phase::forward) state[at(storage)] = kNever;  // an update reads it
    }
    reads_.add(reads);
    writes_.add(writes);
    reads_again_.add(reads_again);
    writes_again_.add(writes_again);
    is_backward_.push_back(backward ? 1 : 0);
  }
  nothing_.assign(program.storages.size(), 0);
  for (std::size_t s = 0; s < program.storages.size(); ++s) {
    makers_.add(makers[s]);
    if (state[s] != kMade || program.storages[s].arena != Arena::transient) continue;
    if (wanted[s] != 0) {
      candidates_.push_back(static_cast<std::int32_t>(s));
    } else {
      nothing_[s] = 1;
    }
  }
}

void RecomputeModel::schedule(const std::vector<char>& dropped, Schedule& out) const {
  out.steps.clear();
  out.made.assign(dropped.size(), 0);
  const auto missing = [&](std::int32_t storage) {
    const auto at = static_cast<std::size_t>(storage);
    return dropped[at] != 0 && out.made[at] == 0;
  };
  const auto mark_made = [&](std::int32_t storage) { out.made[static_cast<std::size_t>(storage)] = 1; };
  // Depth first, without recursion on the machine's stack: networks of a thousand layers are dropped whole.
  // Pending: a storage, and whether what its makers read has been asked for.
  const auto make = [&](std::int32_t wanted) {
    out.pending.emplace_back(wanted, false);
    while (!out.pending.empty()) {
      const auto [storage, asked] = out.pending.back();
      if (!missing(storage)) {
        out.pending.pop_back();
        continue;
      }
      if (!asked) {
        out.pending.back().second = true;
        for (const std::int32_t maker : makers_[storage]) {
          for (const std::int32_t input : reads_once_more(maker)) {
            if (input != storage && missing(input)) out.pending.emplace_back(input, false);
          }
        }
        continue;
      }
      out.pending.pop_back();
      for (const std::int32_t maker : makers_[storage]) {
        out.steps.push_back({maker, true});
        // A step's other outputs come with it, unless they have other makers too.
        for (const std::int32_t output : writes_once_more(maker)) {
          if (makers_[output].size() == 1) mark_made(output);
        }
      }
      mark_made(storage);
    }
  };
  for (std::size_t i = 0; i < is_backward_.size(); ++i) {
    const auto step = static_cast<std::int32_t>(i);
    if (is_backward_[i] != 0) {
      for (const std::int32_t input : reads(step)) {
        if (missing(input)) make(input);
      }
    }
    out.steps.push_back({step, false});
  }
}

namespace {

/// Makes the second version of tensors and storages as steps ask for them.
class Copies {
 public:
  Copies(Program& program, std::vector<char> dropped)
      : program_(program),
        dropped_(std::move(dropped)),
        storages_(program.storages.size()),
        tensors_(program.tensors.size()),
        spare_(program.tensors.size()) {}

  [[nodiscard]] bool is_dropped(TensorId tensor) const { return dropped_[program_[tensor].view.storage.index()] != 0; }

  /// The tensor in the second version of its storage.
  TensorId second(TensorId tensor) {
    if (!tensors_[tensor.index()].valid()) {
      TensorInfo info = program_[tensor];
      StorageId& storage = storages_[info.view.storage.index()];
      if (!storage.valid()) storage = add_storage(program_[info.view.storage]);
      tensors_[tensor.index()] = add(info, storage, ":again");
    }
    return tensors_[tensor.index()];
  }

  /// Where a step writes what nobody reads the second time.
  TensorId spare(TensorId tensor) {
    if (!spare_[tensor.index()].valid()) {
      const TensorInfo info = program_[tensor];
      Storage storage = program_[info.view.storage];
      storage.name += ":spare";
      spare_[tensor.index()] = add(info, ProgramBuilder(program_).add_storage(std::move(storage)), ":spare");
    }
    return spare_[tensor.index()];
  }

 private:
  StorageId add_storage(Storage storage) {
    storage.name += ":again";
    return ProgramBuilder(program_).add_storage(std::move(storage));
  }
  TensorId add(TensorInfo info, StorageId storage, std::string_view suffix) {
    info.name += suffix;
    info.view.storage = storage;
    return ProgramBuilder(program_).add_info(std::move(info));
  }

  Program& program_;
  std::vector<char> dropped_;        // by storage of the program as it was
  std::vector<StorageId> storages_;  // by storage: its second version
  std::vector<TensorId> tensors_, spare_;
};

}  // namespace

void recompute(Program& program, const Dropped& dropped) {
  if (dropped.empty()) return;
  const RecomputeModel model(program);
  std::vector<char> chosen = model.nothing();
  for (const std::int32_t candidate : model.candidates()) {
    const auto index = static_cast<std::size_t>(candidate);
    chosen[index] = dropped.contains(program.storages[index].name) ? 1 : 0;
  }
  RecomputeModel::Schedule order;
  model.schedule(chosen, order);

  Copies copies(program, chosen);
  std::vector<Step> steps;
  steps.reserve(order.steps.size());
  for (const ScheduledStep& item : order.steps) {
    const Step& original = program.steps[static_cast<std::size_t>(item.step)];
    Step step = item.again ? step_again(original) : original;
    for (Operand& operand : step.operands) {
      if (model.reads_again(item) && copies.is_dropped(operand.tensor)) {
        operand.tensor = copies.second(operand.tensor);
      } else if (item.again && operand.access == Access::out) {
        operand.tensor = copies.spare(operand.tensor);
      }
    }
    steps.push_back(std::move(step));
  }
  program.steps = std::move(steps);
  drop_unused(program);
}

}  // namespace snug
