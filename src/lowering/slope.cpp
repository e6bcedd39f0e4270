// relu, then max pooling: the gradient goes to each window's largest value alone, and its slope can be read off the
// pool's output. Taken there, before the gradient is spread, it needs a quarter of the work, and the map between the
// two need not be kept.
#include <algorithm>
#include <vector>

#include "lowering/lowering.h"

namespace snug {

namespace {

class SlopeBehindPool {
 public:
  explicit SlopeBehindPool(Program& program) : program_(program), users_(program.storages.size()) {
    for (std::size_t i = 0; i < program.steps.size(); ++i) {
      for (const Operand& operand : program.steps[i].operands) note(operand.tensor, i);
      for (const Alternative& alternative : program.steps[i].saved) note(alternative.tensor, i);
    }
  }

  void run() {
    const std::size_t count = program_.steps.size();
    for (std::size_t i = 0; i < count; ++i) {
      if (program_.steps[i].op == Op::maxpool_forward) exchange(i);
    }
    drop_unused(program_);
  }

 private:
  [[nodiscard]] StorageId storage_of(TensorId tensor) const { return program_[tensor].view.storage; }
  void note(TensorId tensor, std::size_t step) {
    std::vector<std::size_t>& steps = users_[storage_of(tensor).index()];
    if (steps.empty() || steps.back() != step) steps.push_back(step);
  }
  [[nodiscard]] const std::vector<std::size_t>& users(TensorId tensor) const {
    return users_[storage_of(tensor).index()];
  }

  /// Whether the slope is 0 or 1, so that taking it before or after sums of gradients makes the same bits.
  static bool is_step_function(const Step& step) {
    const auto* activation = std::get_if<ActivationAttributes>(&step.attributes);
    return activation != nullptr &&
           (activation->function == ActivationFunction::relu || activation->function == ActivationFunction::relu6);
  }

  void exchange(std::size_t pool) {
    const TensorId x = program_.steps[pool].operands[0].tensor;
    const TensorId y = program_.steps[pool].operands[1].tensor;
    const TensorId index = program_.steps[pool].operands[2].tensor;
    const std::vector<std::size_t>& of_index = users(index);
    if (of_index.size() != 2 || program_.steps[of_index[1]].op != Op::maxpool_backward) return;
    const std::size_t spread = of_index[1];
    const TensorId spread_out = program_.steps[spread].operands[2].tensor;
    const std::vector<std::size_t>& of_spread = users(spread_out);
    if (of_spread.size() != 2) return;
    const std::size_t slope = of_spread[1];
    Step& backward = program_.steps[slope];
    if (backward.op != Op::activation_backward || backward.operands[0].tensor != spread_out ||
        !is_step_function(backward)) {
      return;
    }
    const bool of_this_map = std::ranges::any_of(backward.saved, [&](const Alternative& alternative) {
      return alternative.kind == Saved::output && alternative.tensor == x;
    });
    const bool read_by_pool_alone = std::ranges::all_of(users(x), [&](std::size_t step) {
      const Op op = program_.steps[step].op;
      return step == pool || step == slope || op == Op::activation_forward;
    });
    if (!of_this_map || !read_by_pool_alone) return;

    const TensorInfo& dy = program_[program_.steps[spread].operands[0].tensor];
    const ProgramBuilder::NewTensor like{.name = program_[y].name + ":slope",
                                         .shape = dy.shape,
                                         .dtype = dy.dtype,
                                         .role = dy.role,
                                         .layer = backward.layer};
    const TensorId sloped = ProgramBuilder(program_).add_tensor(like);
    Step first = program_.steps[slope];
    first.operands = {program_.steps[spread].operands[0], {sloped, Access::out}};
    first.saved = {{Saved::output, y}};
    Step second = program_.steps[spread];
    second.operands[0].tensor = sloped;
    second.operands[2].tensor = program_.steps[slope].operands[1].tensor;
    program_.steps[spread] = std::move(first);
    program_.steps[slope] = std::move(second);
  }

  Program& program_;
  std::vector<std::vector<std::size_t>> users_;  // by storage: steps that name it, in order
};

}  // namespace

void take_slope_behind_pool(Program& program) { SlopeBehindPool(program).run(); }

}  // namespace snug
