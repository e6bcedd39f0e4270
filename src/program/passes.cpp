// Program → Program passes that need no knowledge of ops beyond the op list.
#include <algorithm>
#include <array>

#include "base/ensure.h"
#include "program/program.h"

namespace snug {

namespace {

/// Of every storage: the last step that accesses it, −1 for none. Alternatives still open do not count.
std::vector<std::int64_t> last_accesses(const Program& program) {
  std::vector<std::int64_t> last(program.storages.size(), -1);
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    for (const Operand& operand : program.steps[i].operands) {
      last[program[operand.tensor].view.storage.index()] = static_cast<std::int64_t>(i);
    }
  }
  return last;
}

std::vector<std::int64_t> first_accesses(const Program& program) {
  std::vector<std::int64_t> first(program.storages.size(), static_cast<std::int64_t>(program.steps.size()));
  for (std::size_t i = program.steps.size(); i-- > 0;) {
    for (const Operand& operand : program.steps[i].operands) {
      first[program[operand.tensor].view.storage.index()] = static_cast<std::int64_t>(i);
    }
  }
  return first;
}

/// Whether `tensor` is the whole of its storage, so that overwriting it overwrites nothing else.
bool fills_storage(const Program& program, const TensorInfo& tensor) {
  return is_packed(tensor) && tensor.view.offset_bytes == 0 &&
         extent_bytes(tensor) == program[tensor.view.storage].size_bytes;
}

/// Whether another operand of the step lies in the same storage as operand `input`.
bool shared_within_step(const Program& program, const Step& step, std::size_t input) {
  const StorageId storage = program[step.operands[input].tensor].view.storage;
  for (std::size_t i = 0; i < step.operands.size(); ++i) {
    if (i != input && program[step.operands[i].tensor].view.storage == storage) return true;
  }
  return false;
}

}  // namespace

void drop_unused(Program& program) {
  std::vector<bool> used(program.storages.size(), false);
  for (const Step& step : program.steps) {
    for (const Operand& operand : step.operands) used[program[operand.tensor].view.storage.index()] = true;
    for (const Alternative& alternative : step.saved) used[program[alternative.tensor].view.storage.index()] = true;
  }
  std::vector<StorageId> storage_ids(program.storages.size());
  std::vector<Storage> storages;
  for (std::size_t i = 0; i < program.storages.size(); ++i) {
    // What the host exchanges or keeps stays, also when this program does not touch it.
    if (!used[i] && is_shared_over_step(program.storages[i].arena)) continue;
    storage_ids[i] = StorageId{static_cast<std::int64_t>(storages.size())};
    storages.push_back(std::move(program.storages[i]));
  }
  std::vector<TensorId> tensor_ids(program.tensors.size());
  std::vector<TensorInfo> tensors;
  for (std::size_t i = 0; i < program.tensors.size(); ++i) {
    const StorageId storage = storage_ids[program.tensors[i].view.storage.index()];
    if (!storage.valid()) continue;
    tensor_ids[i] = TensorId{static_cast<std::int64_t>(tensors.size())};
    tensors.push_back(std::move(program.tensors[i]));
    tensors.back().view.storage = storage;
  }
  for (Step& step : program.steps) {
    for (Operand& operand : step.operands) operand.tensor = tensor_ids[operand.tensor.index()];
    for (Alternative& alternative : step.saved) alternative.tensor = tensor_ids[alternative.tensor.index()];
  }
  program.storages = std::move(storages);
  program.tensors = std::move(tensors);
}

void choose_saved(Program& program) {
  std::vector<std::int64_t> last = last_accesses(program);
  // From the end, so that what a late step keeps alive is free for the earlier ones.
  for (std::size_t i = program.steps.size(); i-- > 0;) {
    Step& step = program.steps[i];
    if (step.saved.empty()) continue;
    const auto step_index = static_cast<std::int64_t>(i);
    const auto cost = [&](const Alternative& alternative) {
      const StorageId storage = program[alternative.tensor].view.storage;
      return last[storage.index()] >= step_index ? 0 : program[storage].size_bytes;
    };
    const auto best = std::ranges::min_element(step.saved, {}, cost);
    const Alternative chosen = *best;
    step.operands.push_back({chosen.tensor, Access::in});
    step.chosen = chosen.kind;
    step.saved.clear();
    std::int64_t& last_access = last[program[chosen.tensor].view.storage.index()];
    last_access = std::max(last_access, step_index);
  }
  drop_unused(program);
}

std::vector<InPlace> in_place_operands(const Step& step) {
  const auto* norm = std::get_if<BatchNormAttributes>(&step.attributes);
  const bool residual = norm != nullptr && norm->residual;
  switch (step.op) {
    case Op::activation_forward:
    case Op::activation_backward:
    case Op::softmax_forward: return {{.output = 1, .input = 0}};
    case Op::softmax_backward:
    case Op::dropout_forward:
    case Op::dropout_backward: return {{.output = 2, .input = 0}};
    case Op::add: return {{.output = 2, .input = 0}, {.output = 2, .input = 1}};
    case Op::batchnorm_apply:
    case Op::batchnorm_inference:
      if (residual) return {{.output = 6, .input = 0}, {.output = 6, .input = 5}};
      return {{.output = 5, .input = 0}};
    case Op::batchnorm_forward:  // its input is read again by the backward pass
      if (residual) return {{.output = 6, .input = 5}};
      return {};
    case Op::batchnorm_backward:
      if (norm != nullptr && norm->accumulate_dx) return {};
      if (residual) return {{.output = 9, .input = 0}};
      return {{.output = 5, .input = 0}};
    case Op::batchnorm_backward_apply:
      if (norm != nullptr && norm->accumulate_dx) return {};
      return {{.output = 6, .input = 0}};
    case Op::conv1x1_backward_data: {
      const auto& conv = std::get<Conv1x1Attributes>(step.attributes);
      if (!conv.addend) return {};
      return {{.output = conv.residual ? 9U : 8U, .input = 2}};
    }
    default: return {};  // every other op reads an element after it has written another one
  }
}

bool can_share_storage(const Program& program, const Step& step, const InPlace& pair) {
  const TensorInfo& y = program[step.operands[pair.output].tensor];
  const TensorInfo& x = program[step.operands[pair.input].tensor];
  return x.dtype == y.dtype && fills_storage(program, x) && fills_storage(program, y) &&
         program[x.view.storage].size_bytes == program[y.view.storage].size_bytes &&
         !shared_within_step(program, step, pair.input);
}

void alias_in_place(Program& program) {
  std::vector<std::int64_t> last = last_accesses(program);
  const std::vector<std::int64_t> first = first_accesses(program);

  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    const Step& step = program.steps[i];
    ensure(step.saved.empty(), "alternatives are chosen before storages are merged");
    for (const InPlace& pair : in_place_operands(step)) {
      const StorageId target = program[step.operands[pair.output].tensor].view.storage;
      const StorageId source = program[step.operands[pair.input].tensor].view.storage;
      const bool fresh =
          program[target].arena == Arena::transient && first[target.index()] == static_cast<std::int64_t>(i);
      const bool dies =
          program[source].arena == Arena::transient && last[source.index()] == static_cast<std::int64_t>(i);
      if (!fresh || !dies || !can_share_storage(program, step, pair)) continue;
      for (TensorInfo& tensor : program.tensors) {
        if (tensor.view.storage == target) tensor.view.storage = source;
      }
      last[source.index()] = last[target.index()];
      break;
    }
  }
  drop_unused(program);
}

}  // namespace snug
