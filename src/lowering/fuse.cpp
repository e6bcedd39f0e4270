// Batchnorm, the sum behind it and the activation behind that as one step: each sweep less is a read and a write of a
// whole activation less.
#include <algorithm>
#include <optional>
#include <vector>

#include "lowering/lines.h"
#include "lowering/lowering.h"
#include "ops/op.h"

namespace snug {

namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

/// Who reads what a storage holds, besides the step that made it.
struct Readers {
  std::vector<std::size_t> steps;         ///< by operand, in order
  std::vector<std::size_t> alternatives;  ///< steps that may choose to read it
};

/// Takes out the steps that are part of others now, and what only they used.
void drop_steps(Program& program, const std::vector<bool>& gone) {
  std::vector<Step> kept;
  kept.reserve(program.steps.size());
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    if (!gone[i]) kept.push_back(std::move(program.steps[i]));
  }
  program.steps = std::move(kept);
  drop_unused(program);
}

class Fusion {
 public:
  explicit Fusion(Program& program)
      : program_(program), gone_(program.steps.size(), false), users_(program.storages.size()) {
    for (std::size_t i = 0; i < program.steps.size(); ++i) note_users(i);
  }

  void run() {
    for (std::size_t i = 0; i < program_.steps.size(); ++i) {
      const Op op = program_.steps[i].op;
      if (op == Op::batchnorm_forward || op == Op::batchnorm_inference) fuse(i);
    }
    drop_steps(program_, gone_);
  }

 private:
  [[nodiscard]] Step& step(std::size_t i) { return program_.steps[i]; }
  [[nodiscard]] StorageId storage_of(TensorId tensor) const { return program_[tensor].view.storage; }

  /// The steps that name a tensor in this storage, in order.
  [[nodiscard]] std::vector<std::size_t> users(StorageId storage) const {
    std::vector<std::size_t> steps = users_[storage.index()];
    std::ranges::sort(steps);
    const auto repeated = std::ranges::unique(steps);
    steps.erase(repeated.begin(), repeated.end());
    std::erase_if(steps, [&](std::size_t i) { return gone_[i]; });
    return steps;
  }

  void note_users(std::size_t i) {
    for (const Operand& operand : step(i).operands) users_[storage_of(operand.tensor).index()].push_back(i);
    for (const Alternative& other : step(i).saved) users_[storage_of(other.tensor).index()].push_back(i);
  }

  void replace(std::size_t i, Step by) {
    step(i) = std::move(by);
    note_users(i);
  }

  [[nodiscard]] Readers readers(TensorId tensor, std::size_t maker) const {
    Readers found;
    const StorageId storage = storage_of(tensor);
    for (const std::size_t i : users(storage)) {
      if (i == maker) continue;
      for (const Operand& operand : program_.steps[i].operands) {
        if (storage_of(operand.tensor) == storage) found.steps.push_back(i);
      }
      for (const Alternative& alternative : program_.steps[i].saved) {
        if (storage_of(alternative.tensor) == storage) found.alternatives.push_back(i);
      }
    }
    return found;
  }

  static constexpr std::size_t kOutput = 5;  // among the operands of a norm that is not fused yet; its mean follows

  static bool is_unfused(const Step& norm) {
    const auto& attributes = std::get<BatchNormAttributes>(norm.attributes);
    return !attributes.residual && !attributes.activation;
  }

  void fuse(std::size_t norm) {
    if (!is_unfused(step(norm))) return;
    const TensorId y = step(norm).operands[kOutput].tensor;
    const Readers of_y = readers(y, norm);
    if (of_y.steps.size() != 1) return;
    const std::size_t next = of_y.steps.front();
    if (step(next).op == Op::activation_forward) {
      if (step(next).operands[0].tensor == y) fuse_activation(norm, next, of_y);
    } else if (step(next).op == Op::add && step(next).phase == step(norm).phase && of_y.alternatives.empty()) {
      fuse_sum(norm, next);
    }
  }

  /// The steps of a backward pass through norm and activation: activation_backward, and batchnorm_backward that reads
  /// what it writes.
  struct Backward {
    std::size_t activation = kNone, norm = kNone;
  };

  /// The backward step of the norm that made `mean`, or kNone.
  [[nodiscard]] std::size_t backward_of(const Step& norm) const {
    if (norm.op != Op::batchnorm_forward) return kNone;
    const TensorId mean = norm.operands[kOutput + 1].tensor;
    for (const std::size_t i : users(storage_of(mean))) {
      if (program_.steps[i].op == Op::batchnorm_backward) return i;
    }
    return kNone;
  }

  /// The activation_backward whose result the norm's backward step reads.
  [[nodiscard]] std::optional<Backward> backward_through(const Step& norm) const {
    const std::size_t of_norm = backward_of(norm);
    if (of_norm == kNone) return std::nullopt;
    const TensorId gradient = program_.steps[of_norm].operands[0].tensor;
    for (const std::size_t i : users(storage_of(gradient))) {
      const Step& candidate = program_.steps[i];
      if (candidate.op == Op::activation_backward && candidate.operands[1].tensor == gradient)
        return Backward{i, of_norm};
    }
    return std::nullopt;
  }

  /// Whether every step in `steps` may also read something else than what `storage` holds; then it does.
  bool drop_alternatives(const std::vector<std::size_t>& steps, StorageId storage) {
    const auto reads_it = [&](const Alternative& alternative) { return storage_of(alternative.tensor) == storage; };
    for (const std::size_t i : steps) {
      if (std::ranges::all_of(step(i).saved, reads_it)) return false;
    }
    for (const std::size_t i : steps) std::erase_if(step(i).saved, reads_it);
    return true;
  }

  /// y = activation(norm(x)). The slope is had again from x, which backward reads anyway.
  void fuse_activation(std::size_t norm, std::size_t activation, const Readers& of_norm) {
    const TensorId y = step(activation).operands[1].tensor;
    const auto function = std::get<ActivationAttributes>(step(activation).attributes).function;
    const std::optional<Backward> backward = backward_through(step(norm));
    if (backward) {
      const TensorId between = step(backward->activation).operands[1].tensor;
      const bool only_theirs =
          readers(between, backward->activation).steps == std::vector{backward->norm} &&
          std::ranges::all_of(of_norm.alternatives, [&](std::size_t i) { return i == backward->activation; });
      if (!only_theirs) return;
      step(backward->norm).operands[0] = step(backward->activation).operands[0];
      note_users(backward->norm);
      std::get<BatchNormAttributes>(step(backward->norm).attributes).activation = function;
      gone_[backward->activation] = true;
    } else if (!drop_alternatives(of_norm.alternatives, storage_of(step(norm).operands[kOutput].tensor))) {
      return;
    }
    std::get<BatchNormAttributes>(step(norm).attributes).activation = function;
    step(norm).operands[kOutput].tensor = y;
    note_users(norm);
    gone_[activation] = true;
  }

  /// y = activation(norm(x) + residual), or without the activation. The fused step stands where the last of them stood:
  /// there the residual is known.
  void fuse_sum(std::size_t norm, std::size_t sum) {
    const Step& add = step(sum);
    const std::size_t own = add.operands[0].tensor == step(norm).operands[kOutput].tensor ? 0 : 1;
    const TensorId residual = add.operands[1 - own].tensor;
    TensorId y = add.operands[2].tensor;
    if (add.operands[own].tensor != step(norm).operands[kOutput].tensor || !is_packed(program_[residual])) return;
    std::size_t place = sum;
    const Readers of_sum = readers(y, sum);
    std::optional<ActivationFunction> function;
    if (const std::size_t next = of_sum.steps.size() == 1 ? of_sum.steps.front() : kNone;
        next != kNone && step(next).op == Op::activation_forward && step(next).operands[0].tensor == y &&
        fuse_slope(norm, next, of_sum)) {
      function = std::get<ActivationAttributes>(step(next).attributes).function;
      y = step(next).operands[1].tensor;
      gone_[sum] = true;
      place = next;
    }
    Step fused = step(norm);
    auto& attributes = std::get<BatchNormAttributes>(fused.attributes);
    fused.operands[kOutput].tensor = y;
    fused.operands.insert(fused.operands.begin() + 5, {residual, Access::in});
    attributes.residual = true;
    attributes.activation = function;
    replace(place, std::move(fused));
    gone_[norm] = true;
  }

  /// The backward step of the activation that made `y`, if `y` is enough for it; else kNone.
  [[nodiscard]] std::size_t slope_of(TensorId y) const {
    for (const std::size_t i : users(storage_of(y))) {
      const Step& candidate = program_.steps[i];
      if (candidate.op == Op::activation_backward &&
          std::ranges::any_of(candidate.saved, [&](const Alternative& alternative) {
            return alternative.kind == Saved::output && alternative.tensor == y;
          }))
        return i;
    }
    return kNone;
  }

  /// Prepares the backward pass of activation(norm(x) + residual): the norm's step takes the slope from y and hands on
  /// the gradient of the sum. Or nothing depends on it.
  bool fuse_slope(std::size_t norm, std::size_t activation, const Readers& of_sum) {
    const TensorId y = step(activation).operands[1].tensor;
    const StorageId sum = storage_of(step(activation).operands[0].tensor);
    const std::size_t of_norm = backward_of(step(norm));
    const std::size_t slope = slope_of(y);
    const bool joins =
        slope != kNone && of_norm != kNone && step(of_norm).operands[0].tensor == step(slope).operands[1].tensor;
    if (!joins) return drop_alternatives(of_sum.alternatives, sum);
    if (!std::ranges::all_of(of_sum.alternatives, [&](std::size_t i) { return i == slope; })) return false;
    Step fused = step(of_norm);
    auto& attributes = std::get<BatchNormAttributes>(fused.attributes);
    attributes.residual = true;
    attributes.activation = std::get<ActivationAttributes>(step(slope).attributes).function;
    fused.operands[0] = step(slope).operands[0];
    const Operand gradient = step(slope).operands[1];
    fused.operands.insert(fused.operands.begin() + 5, {y, Access::in});
    fused.operands.push_back(gradient);
    replace(slope, std::move(fused));  // before everything else that reads the gradient of the sum
    gone_[of_norm] = true;
    return true;
  }

  Program& program_;
  std::vector<bool> gone_;                       ///< by step: part of another one now
  std::vector<std::vector<std::size_t>> users_;  ///< by storage: the steps that name it, and some that did
};

}  // namespace

void fuse_batchnorm(Program& program) { Fusion(program).run(); }

namespace {

bool ends_a_convolution(const Step& activation) {
  return activation.op == Op::activation_forward &&
         is_of_lines(std::get<ActivationAttributes>(activation.attributes).function);
}

}  // namespace

void fuse_conv_activation(Program& program) {
  std::vector<std::vector<std::size_t>> readers(program.storages.size());       // steps that read it
  std::vector<std::vector<std::size_t>> alternatives(program.storages.size());  // steps that may choose to
  const auto storage = [&](TensorId tensor) { return program[tensor].view.storage.index(); };
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    for (const Operand& operand : program.steps[i].operands) {
      if (operand.access != Access::out) readers[storage(operand.tensor)].push_back(i);
    }
    for (const Alternative& other : program.steps[i].saved) alternatives[storage(other.tensor)].push_back(i);
  }
  std::vector<bool> gone(program.steps.size(), false);
  for (Step& conv : program.steps) {
    if (conv.op != Op::conv_forward) continue;
    Operand& y = conv.operands.back();
    const std::size_t between = storage(y.tensor);
    if (readers[between].size() != 1) continue;
    const std::size_t next = readers[between].front();
    Step& activation = program.steps[next];
    if (!ends_a_convolution(activation) || activation.phase != conv.phase) continue;
    const auto reads_between = [&](const Alternative& other) { return storage(other.tensor) == between; };
    for (const std::size_t i : alternatives[between]) std::erase_if(program.steps[i].saved, reads_between);
    std::get<ConvAttributes>(conv.attributes).activation =
        std::get<ActivationAttributes>(activation.attributes).function;
    y.tensor = activation.operands[1].tensor;
    gone[next] = true;
  }
  drop_steps(program, gone);
}

}  // namespace snug
