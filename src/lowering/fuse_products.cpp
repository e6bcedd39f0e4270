// 1×1 convolutions with what stands around them as one step: an activation is then neither written for a convolution to
// read, nor read again for its statistics or for the sums of its gradient. Of an activation of N elements this saves
//
//   the statistics of the norm behind the convolution     a read
//   norm and activation before it                         a write and a read (a write more, where it is made again)
//   the slope and the sums of the norm before it, in the data gradient     a read; of a sum of gradients that it ends,
//                                                          as in residual blocks, two reads and two writes
//
// A library has no such kernels in bf16, and ours multiply more slowly than it does. So each is asked for: whether the
// backend has it, and whether the steps take less time than before.
#include <algorithm>
#include <initializer_list>
#include <optional>
#include <utility>
#include <vector>

#include "lowering/lowering.h"

namespace snug {

namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

bool is_pointwise(const Step& step, Op op) {
  if (step.op != op) return false;
  const auto& conv = std::get<ConvAttributes>(step.attributes);
  return conv.window == Window{} && conv.groups == 1 && !conv.bias && !conv.activation;
}

/// What the kernels can do on the way in and out of a product.
bool is_line(const std::optional<ActivationFunction>& function) {
  if (!function) return true;
  switch (*function) {
    case ActivationFunction::relu:
    case ActivationFunction::relu6:
    case ActivationFunction::leaky_relu: return true;
    case ActivationFunction::silu:
    case ActivationFunction::gelu:
    case ActivationFunction::sigmoid:
    case ActivationFunction::tanh: return false;
  }
  return false;
}

/// A step of the program and what is to stand in its place; nothing: it is part of another one.
struct Change {
  std::size_t step = 0;
  std::optional<Step> by{};
};

class Fusion {
 public:
  Fusion(Program& program, const ProductFusion& may)
      : program_(program), may_(may), gone_(program.steps.size(), false), users_(program.storages.size()) {
    for (std::size_t i = 0; i < program.steps.size(); ++i) note_users(i);
  }

  void run() {
    for (std::size_t i = 0; i < program_.steps.size(); ++i) {
      if (is_pointwise(program_.steps[i], Op::conv_forward)) measure_output(i);
    }
    for (std::size_t i = 0; i < program_.steps.size(); ++i) normalize_input(i);
    for (std::size_t i = 0; i < program_.steps.size(); ++i) {
      if (program_.steps[i].op == Op::batchnorm_backward) sum_gradient(i);
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
  [[nodiscard]] std::vector<std::size_t>& users(TensorId tensor) {
    return users_[program_[tensor].view.storage.index()];
  }

  void note_users(std::size_t i) {
    for (const Operand& operand : step(i).operands) users(operand.tensor).push_back(i);
    for (const Alternative& other : step(i).saved) users(other.tensor).push_back(i);
  }

  /// The steps that read the tensor, in order, each once; `may`: those that may choose to.
  [[nodiscard]] std::vector<std::size_t> readers(TensorId tensor, bool may = false) {
    std::vector<std::size_t> found;
    for (const std::size_t i : users(tensor)) {
      const bool reads = may ? std::ranges::any_of(step(i).saved, [&](const auto& a) { return a.tensor == tensor; })
                             : std::ranges::any_of(step(i).operands, [&](const Operand& operand) {
                                 return operand.tensor == tensor && operand.access != Access::out;
                               });
      if (reads && !gone_[i]) found.push_back(i);
    }
    std::ranges::sort(found);
    const auto repeated = std::ranges::unique(found);
    found.erase(repeated.begin(), repeated.end());
    return found;
  }

  [[nodiscard]] std::size_t maker_of(TensorId tensor) {
    for (const std::size_t i : users(tensor)) {
      const bool writes = std::ranges::any_of(step(i).operands, [&](const Operand& operand) {
        return operand.tensor == tensor && operand.access != Access::in;
      });
      if (writes && !gone_[i]) return i;
    }
    return kNone;
  }

  /// Nothing but tensors that fill their storages: the program has not been joined in place yet.
  [[nodiscard]] bool is_whole(TensorId tensor) const {
    return is_packed(program_[tensor]) && program_.storage_of(tensor).arena == Arena::transient &&
           extent_bytes(program_[tensor]) == program_.storage_of(tensor).size_bytes;
  }

  [[nodiscard]] double seconds(const Step& one) const {
    Step settled = one;  // what is still to choose is read as well
    if (!one.saved.empty()) settled.operands.push_back({one.saved.front().tensor, Access::in});
    return may_.seconds(program_, settled);
  }

  /// Makes the changes if the backend can do the steps, and they are worth it.
  bool change(std::initializer_list<Change> changes) {
    double before = 0, after = 0;
    for (const Change& one : changes) {
      if (one.by && is_fused_product(one.by->op) && !may_.possible(program_, *one.by)) return false;
      if (!may_.seconds) continue;
      before += seconds(step(one.step));
      after += one.by ? seconds(*one.by) : 0;
    }
    if (after > before) return false;
    for (const Change& one : changes) {
      gone_[one.step] = !one.by;
      if (!one.by) continue;
      program_.steps[one.step] = *one.by;
      note_users(one.step);
    }
    return true;
  }

  /// y = conv(x), then a norm of y: the convolution measures what it writes.
  void measure_output(std::size_t conv) {
    const TensorId y = step(conv).operands[2].tensor;
    for (const std::size_t norm : readers(y)) {
      if (step(norm).op != Op::batchnorm_forward || step(norm).operands[0].tensor != y) continue;
      const auto& attributes = std::get<BatchNormAttributes>(step(norm).attributes);
      const std::vector<Operand>& operands = step(norm).operands;
      const std::size_t output = attributes.residual ? 6 : 5;
      Step measuring = step(conv);
      measuring.op = Op::conv1x1_forward;
      measuring.attributes =
          Conv1x1Attributes{.statistics = true, .epsilon = attributes.epsilon, .momentum = attributes.momentum};
      measuring.operands.insert(measuring.operands.begin() + 2, {operands[3], operands[4]});
      measuring.operands.insert(measuring.operands.end(), {operands[output + 1], operands[output + 2]});
      Step apply = step_again(step(norm));
      apply.phase = step(norm).phase;
      change({{conv, std::move(measuring)}, {norm, std::move(apply)}});
      return;
    }
  }

  /// a = activation(norm(z)), which a convolution and its weights' gradient alone read: they read z.
  void normalize_input(std::size_t conv) {
    const bool measures = step(conv).op == Op::conv1x1_forward && !gone_[conv];
    if (!measures && !is_pointwise(step(conv), Op::conv_forward)) return;
    const TensorId a = step(conv).operands[0].tensor;
    const std::size_t norm = maker_of(a);
    if (norm == kNone || !is_whole(a)) return;
    const bool forward = step(norm).op == Op::batchnorm_forward;
    if (!forward && (step(norm).op != Op::batchnorm_apply || step(norm).phase != Phase::forward)) return;
    const auto attributes = std::get<BatchNormAttributes>(step(norm).attributes);
    if (attributes.residual || !is_line(attributes.activation)) return;
    const std::vector<Operand> operands = step(norm).operands;
    const TensorId mean = operands[forward ? 6 : 3].tensor, inverse_std = operands[forward ? 7 : 4].tensor;
    const std::vector<Operand> vectors{operands[1], operands[2], {mean}, {inverse_std}};

    Step reading = step(conv);
    if (!measures) reading.attributes = Conv1x1Attributes{};
    reading.op = Op::conv1x1_forward;
    auto& fused = std::get<Conv1x1Attributes>(reading.attributes);
    fused.norm = true;
    fused.activation = attributes.activation;
    reading.operands[0] = operands[0];
    reading.operands.insert(reading.operands.begin() + 2, vectors.begin(), vectors.end());
    std::optional<Step> left;  // of the norm
    if (forward) {
      left = step(norm);
      left->op = Op::batchnorm_statistics;
      left->attributes = BatchNormAttributes{.epsilon = attributes.epsilon, .momentum = attributes.momentum};
      left->operands = {operands[0], operands[3], operands[4], operands[6], operands[7]};
    }
    read_norm_input(a, {conv, std::move(reading)}, {norm, std::move(left)}, vectors);
  }

  /// The same for the gradient of the weights, where there is one; then all three change or none.
  void read_norm_input(TensorId a, const Change& conv, const Change& norm, const std::vector<Operand>& vectors) {
    std::vector<std::size_t> others = readers(a);
    std::erase(others, conv.step);
    const std::vector<std::size_t> choosers = readers(a, true);
    const bool others_can = std::ranges::all_of(choosers, [&](std::size_t i) { return step(i).saved.size() > 1; });
    if (!others_can || others.size() > 1) return;
    bool done = false;
    if (others.empty()) {
      done = change({conv, norm});
    } else if (is_pointwise(step(others[0]), Op::conv_backward_weights)) {
      Step weights = step(others[0]);
      weights.op = Op::conv1x1_backward_weights;
      weights.attributes =
          Conv1x1Attributes{.norm = true,
                            .activation = std::get<Conv1x1Attributes>(conv.by->attributes).activation,
                            .accumulate = std::get<ConvAttributes>(step(others[0]).attributes).accumulate};
      weights.operands[0] = {conv.by->operands[0].tensor, Access::in};
      weights.operands.insert(weights.operands.begin() + 2, vectors.begin(), vectors.end());
      done = change({conv, norm, {others[0], std::move(weights)}});
    }
    if (!done) return;
    for (const std::size_t i : choosers)
      std::erase_if(program_.steps[i].saved, [&](const Alternative& other) { return other.tensor == a; });
  }

  /// A norm's gradient that comes out of the data gradient of a 1×1 convolution, or of a sum that such a one ends.
  void sum_gradient(std::size_t norm) {
    const auto attributes = std::get<BatchNormAttributes>(step(norm).attributes);
    const TensorId d = step(norm).operands[0].tensor;
    const bool unchanged = !attributes.residual && !attributes.activation;  // then it is also for others as it is
    if (!is_line(attributes.activation) || !is_whole(d) || !readers(d, true).empty()) return;
    if (!unchanged && readers(d) != std::vector{norm}) return;
    const std::size_t maker = maker_of(d);
    if (maker == kNone) return;
    if (is_pointwise(step(maker), Op::conv_backward_data)) {
      sum_in(norm, maker, maker, {});
    } else if (step(maker).op == Op::add) {
      for (const std::size_t own : {1U, 0U}) {
        const TensorId product = step(maker).operands[own].tensor, addend = step(maker).operands[1 - own].tensor;
        const std::size_t data = maker_of(product);
        const bool joins = data != kNone && is_pointwise(step(data), Op::conv_backward_data) && is_whole(product) &&
                           readers(product) == std::vector{maker} && readers(product, true).empty() &&
                           is_packed(program_[addend]);
        if (joins && sum_in(norm, data, maker, addend)) return;
      }
    }
  }

  /// `place`: the step where the gradient is complete, `data` or the sum behind it.
  bool sum_in(std::size_t norm, std::size_t data, std::size_t place, TensorId addend) {
    const auto input = std::ranges::find(step(norm).saved, Saved::input, &Alternative::kind);
    if (input == step(norm).saved.end()) return false;
    const Operand x{input->tensor, Access::in};
    const auto attributes = std::get<BatchNormAttributes>(step(norm).attributes);
    const std::vector<Operand> operands = step(norm).operands;
    const std::size_t first = attributes.residual ? 6 : 5;  // of the outputs
    const TensorId g = attributes.residual ? operands[first + 3].tensor : operands[0].tensor;
    const TensorInfo& mean = program_[operands[3].tensor];
    const TensorId sums = ProgramBuilder(program_).add_tensor(
        {.name = program_[g].name + ":sums", .shape = {2, mean.shape[0]}, .dtype = mean.dtype, .layer = mean.layer});
    users_.resize(program_.storages.size());

    Step summing = step(data);
    summing.op = Op::conv1x1_backward_data;
    summing.attributes = Conv1x1Attributes{
        .activation = attributes.activation, .addend = addend.valid(), .residual = attributes.residual};
    summing.operands = {step(data).operands[0], step(data).operands[1]};
    if (addend.valid()) summing.operands.push_back({addend, Access::in});
    summing.operands.insert(summing.operands.end(), {x, operands[1], operands[2], operands[3], operands[4]});
    if (attributes.residual) summing.operands.push_back(operands[5]);
    summing.operands.insert(summing.operands.end(), {{g, Access::out}, {sums, Access::out}});

    Step apply = step(norm);
    apply.op = Op::batchnorm_backward_apply;
    apply.saved.clear();
    auto& applied = std::get<BatchNormAttributes>(apply.attributes);
    applied.residual = false;
    applied.activation = {};
    apply.operands = {{g, Access::in}, operands[1],         operands[3],        operands[4], {sums, Access::in}, x,
                      operands[first], operands[first + 1], operands[first + 2]};
    if (place == data) return change({{data, std::move(summing)}, {norm, std::move(apply)}});
    return change({{data, {}}, {place, std::move(summing)}, {norm, std::move(apply)}});
  }

  Program& program_;
  const ProductFusion& may_;
  std::vector<bool> gone_;                       ///< by step: part of another one now
  std::vector<std::vector<std::size_t>> users_;  ///< by storage: the steps that name it, and some that did
};

}  // namespace

void fuse_products(Program& program, const ProductFusion& may) {
  if (may.possible) Fusion(program, may).run();
}

}  // namespace snug
