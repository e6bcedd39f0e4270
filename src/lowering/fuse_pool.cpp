// A norm, relu and a max pool, as residual networks begin: the map between norm and pool is the largest that they have,
// and the pool leaves a quarter of it. With the pool in the norm's own sweeps it is not written, nor is its gradient:
// the pool's places say where that goes, and relu's slope is had again from the norm's input.
//
// Of a map of N elements this saves a write and a read of N on the way forward, and a write and two reads backward.
#include <algorithm>
#include <utility>
#include <vector>

#include "lowering/lowering.h"

namespace snug {

namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

class PoolFusion {
 public:
  PoolFusion(Program& program, const ProductFusion& may)
      : program_(program), may_(may), users_(program.storages.size()), gone_(program.steps.size(), false) {
    for (std::size_t i = 0; i < program.steps.size(); ++i) {
      for (const Operand& operand : program.steps[i].operands) note(operand.tensor, i);
      for (const Alternative& alternative : program.steps[i].saved) note(alternative.tensor, i);
    }
  }

  void run() {
    for (std::size_t i = 0; i < program_.steps.size(); ++i) {
      if (program_.steps[i].op == Op::maxpool_forward) fuse(i);
    }
    std::vector<Step> kept;
    for (std::size_t i = 0; i < program_.steps.size(); ++i) {
      if (!gone_[i]) kept.push_back(std::move(program_.steps[i]));
    }
    program_.steps = std::move(kept);
    drop_unused(program_);
  }

 private:
  [[nodiscard]] const Step& step(std::size_t i) const { return program_.steps[i]; }
  void note(TensorId tensor, std::size_t i) {
    std::vector<std::size_t>& steps = users_[program_[tensor].view.storage.index()];
    if (steps.empty() || steps.back() != i) steps.push_back(i);
  }
  /// The steps that name a tensor in the same storage, in order.
  [[nodiscard]] const std::vector<std::size_t>& users(TensorId tensor) const {
    return users_[program_[tensor].view.storage.index()];
  }
  /// The step of this kind that has the tensor as this operand, or kNone.
  [[nodiscard]] std::size_t user(TensorId tensor, Op op, std::size_t operand) const {
    for (const std::size_t i : users(tensor)) {
      if (step(i).op == op && step(i).operands[operand].tensor == tensor) return i;
    }
    return kNone;
  }

  static bool has_relu_alone(const Step& norm) {
    const auto& attributes = std::get<BatchNormAttributes>(norm.attributes);
    return attributes.activation == ActivationFunction::relu && !attributes.residual && !attributes.accumulate_dx;
  }

  /// The norm of this batch that made the pool's input, if nobody else reads it; whose statistics a convolution may
  /// have measured.
  [[nodiscard]] std::size_t norm_before(std::size_t pool) const {
    const std::vector<std::size_t>& of_map = users(step(pool).operands[0].tensor);
    if (of_map.size() != 2 || of_map[1] != pool) return kNone;
    const Step& norm = step(of_map[0]);
    const bool is_norm =
        norm.op == Op::batchnorm_forward || (norm.op == Op::batchnorm_apply && norm.phase == Phase::forward);
    const bool joins = is_norm && norm.operands[5].tensor == step(pool).operands[0].tensor && has_relu_alone(norm) &&
                       is_packed(program_[norm.operands[0].tensor]);
    return joins ? of_map[0] : kNone;
  }

  void fuse(std::size_t pool) {
    const std::size_t norm = norm_before(pool);
    if (norm == kNone) return;
    const bool measures = step(norm).op == Op::batchnorm_forward;
    const std::vector<Operand> of_norm = step(norm).operands, of_pool = step(pool).operands;
    const TensorId mean = of_norm[measures ? 6 : 3].tensor, inverse_std = of_norm[measures ? 7 : 4].tensor;
    const Window window = std::get<PoolAttributes>(step(pool).attributes).window;

    Step forward = step(pool);
    forward.op = Op::batchnorm_maxpool_forward;
    forward.attributes = NormPoolAttributes{.window = window};
    forward.operands = {of_norm[0], of_norm[1], of_norm[2], {mean}, {inverse_std}, of_pool[1], of_pool[2]};
    std::vector<std::pair<std::size_t, Step>> changes{{pool, std::move(forward)}};
    std::vector<std::size_t> without;
    if (measures) {
      Step statistics = step(norm);
      const auto& attributes = std::get<BatchNormAttributes>(step(norm).attributes);
      statistics.op = Op::batchnorm_statistics;
      statistics.attributes = BatchNormAttributes{.epsilon = attributes.epsilon, .momentum = attributes.momentum};
      statistics.operands = {of_norm[0], of_norm[3], of_norm[4], of_norm[6], of_norm[7]};
      changes.emplace_back(norm, std::move(statistics));
    } else {
      without.push_back(norm);
    }
    if (users(of_pool[2].tensor).size() > 1) {  // the places: backward reads them
      const std::size_t spread = user(of_pool[2].tensor, Op::maxpool_backward, 1);
      const std::size_t norm_backward = spread == kNone ? kNone : backward_behind(spread, of_norm[0].tensor, mean);
      if (norm_backward == kNone) return;
      const std::vector<Operand> of_spread = step(spread).operands, of_backward = step(norm_backward).operands;
      Step backward = step(norm_backward);
      backward.op = Op::batchnorm_maxpool_backward;
      backward.attributes = NormPoolAttributes{
          .window = window, .accumulate = std::get<BatchNormAttributes>(step(norm_backward).attributes).accumulate};
      backward.saved.clear();
      backward.operands = {
          of_spread[0],   {of_spread[1].tensor, Access::in}, of_backward[1], of_backward[2], of_backward[3],
          of_backward[4], {of_norm[0].tensor, Access::in},   of_backward[5], of_backward[6], of_backward[7]};
      changes.emplace_back(norm_backward, std::move(backward));
      without.push_back(spread);
    }
    change(changes, without);
  }

  /// The norm's backward step that alone reads what the pool's writes; it may read x.
  [[nodiscard]] std::size_t backward_behind(std::size_t spread, TensorId x, TensorId mean) const {
    const TensorId gradient = step(spread).operands[2].tensor;
    const std::vector<std::size_t>& of_gradient = users(gradient);
    if (of_gradient.size() != 2 || of_gradient[0] != spread) return kNone;
    const Step& norm = step(of_gradient[1]);
    const bool joins = norm.op == Op::batchnorm_backward && norm.operands[0].tensor == gradient &&
                       norm.operands[3].tensor == mean && has_relu_alone(norm) &&
                       std::ranges::any_of(norm.saved, [&](const Alternative& alternative) {
                         return alternative.kind == Saved::input && alternative.tensor == x;
                       });
    return joins ? of_gradient[1] : kNone;
  }

  [[nodiscard]] double seconds(const Step& one) const {
    Step settled = one;  // what is still to choose is read as well
    if (!one.saved.empty()) settled.operands.push_back({one.saved.front().tensor, Access::in});
    return may_.seconds(program_, settled);
  }

  /// Makes the changes if the backend can do the steps, and they take no longer.
  void change(const std::vector<std::pair<std::size_t, Step>>& changes, const std::vector<std::size_t>& without) {
    double before = 0, after = 0;
    for (const auto& [place, by] : changes) {
      if (is_pooled_norm(by.op) && !may_.possible(program_, by)) return;
      if (!may_.seconds) continue;
      before += seconds(step(place));
      after += seconds(by);
    }
    for (const std::size_t i : without) before += may_.seconds ? seconds(step(i)) : 0;
    if (after > before) return;
    for (const auto& [place, by] : changes) program_.steps[place] = by;
    for (const std::size_t i : without) gone_[i] = true;
  }

  Program& program_;
  const ProductFusion& may_;
  std::vector<std::vector<std::size_t>> users_;  ///< by storage: steps that name it, in order
  std::vector<bool> gone_;                       ///< by step: part of another one now
};

}  // namespace

void fuse_pool(Program& program, const ProductFusion& may) {
  if (may.possible) PoolFusion(program, may).run();
}

}  // namespace snug
