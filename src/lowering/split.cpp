#include "lowering/split.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "lowering/lowering.h"

namespace snug {

namespace {

/// Steps that treat every sample of the batch alone (weight gradients are sums over them).
bool is_per_sample(Op op) {
  switch (op) {
    case Op::normalize_input:
    case Op::conv_forward:
    case Op::conv_backward_data:
    case Op::conv_backward_weights:
    case Op::dense_forward:
    case Op::dense_backward_data:
    case Op::dense_backward_weights:
    case Op::batchnorm_apply:
    case Op::batchnorm_inference:
    case Op::batchnorm_inference_backward:
    case Op::activation_forward:
    case Op::activation_backward:
    case Op::softmax_forward:
    case Op::softmax_backward:
    case Op::maxpool_forward:
    case Op::maxpool_backward:
    case Op::avgpool_forward:
    case Op::avgpool_backward:
    case Op::adaptive_avgpool_forward:
    case Op::adaptive_avgpool_backward:
    case Op::add:
    case Op::copy:
    case Op::scale_channels:
    case Op::scale_channels_backward:
    case Op::dropout_forward:
    case Op::dropout_backward: return true;
    case Op::batchnorm_forward:
    case Op::batchnorm_backward:
    case Op::batchnorm_statistics:
    case Op::batchnorm_backward_apply:
    case Op::batchnorm_maxpool_forward:
    case Op::batchnorm_maxpool_backward:
    case Op::conv1x1_forward:
    case Op::conv1x1_backward_data:
    case Op::conv1x1_backward_weights:
    case Op::cast:
    case Op::fill:
    case Op::weight_sum:
    case Op::softmax_crossentropy:
    case Op::softmax_crossentropy_rows:
    case Op::sigmoid_crossentropy:
    case Op::mean_squared_error:
    case Op::add_stats:
    case Op::scale_gradient:
    case Op::update_loss_scale:
    case Op::gradient_norm:
    case Op::sgd_update:
    case Op::adam_update:
    case Op::ema_update:
    case Op::wait: return false;
  }
  return false;
}

/// Which steps a split covers.
struct Front {
  std::size_t forward_begin = 0, forward_end = 0;    ///< steps [begin, end)
  std::size_t backward_begin = 0, backward_end = 0;  ///< likewise
  [[nodiscard]] bool holds(std::size_t step) const {
    return (step >= forward_begin && step < forward_end) || (step >= backward_begin && step < backward_end);
  }
};

/// Finds what can be split.
class Fronts {
 public:
  explicit Fronts(const Program& program) : program_(program) {
    for (const std::string_view name : {exchange::kImages, exchange::kPlaces})
      if (const TensorId input = program.find(name); input.valid()) batch_ = program[input].shape[0];
    for (std::size_t i = 0; i < program.steps.size(); ++i) {
      const Step& step = program.steps[i];
      if (step.op == Op::normalize_input) {
        parts_ += 1;
        begin_ = i;
      }
      if (step.phase == Phase::backward) backward_end_ = i + 1;
    }
  }

  [[nodiscard]] std::vector<std::string> points() const {
    std::vector<std::string> names;
    if (parts_ != 1) return names;
    for (std::size_t i = begin_; i < program_.steps.size(); ++i) {
      const Step& step = program_.steps[i];
      if (step.phase != Phase::forward || !is_per_sample(step.op)) break;
      for (const Operand& operand : step.operands) {
        if (operand.access != Access::out) continue;
        const StorageId storage = program_[operand.tensor].view.storage;
        if (find_front(storage)) names.push_back(program_[storage].name);
      }
    }
    return names;
  }

  /// The front that ends at this storage, if there is one.
  [[nodiscard]] std::optional<Front> find(std::string_view until) const {
    for (std::size_t s = 0; s < program_.storages.size() && parts_ == 1; ++s) {
      if (program_.storages[s].name == until) return find_front(StorageId{static_cast<std::int64_t>(s)});
    }
    return std::nullopt;
  }

  [[nodiscard]] std::int64_t batch() const { return batch_; }

 private:
  [[nodiscard]] StorageId storage_of(const Operand& operand) const { return program_[operand.tensor].view.storage; }

  /// The steps from the input to the one that completes `boundary`, and their backward steps, if they can be split:
  /// every one per sample, and nothing but `boundary` and its gradient goes in or out.
  [[nodiscard]] std::optional<Front> find_front(StorageId boundary) const {
    if (program_[boundary].arena != Arena::transient) return std::nullopt;
    Front front{.forward_begin = begin_, .backward_end = backward_end_};
    for (std::size_t i = begin_; i < program_.steps.size() && program_.steps[i].phase == Phase::forward; ++i) {
      const bool writes = std::ranges::any_of(program_.steps[i].operands, [&](const Operand& operand) {
        return operand.access != Access::in && storage_of(operand) == boundary;
      });
      if (writes) front.forward_end = i + 1;
    }
    std::vector<char> made(program_.storages.size(), 0);
    for (std::size_t i = front.forward_begin; i < front.forward_end; ++i) {
      if (!is_per_sample(program_.steps[i].op)) return std::nullopt;
      for (const Operand& operand : program_.steps[i].operands) {
        if (operand.access != Access::in) made[storage_of(operand).index()] = 1;
      }
    }
    if (!only_boundary_leaves(front, boundary, made)) return std::nullopt;
    return backward_of(front);
  }

  /// Whether forward steps behind the front read nothing of it but `boundary`.
  [[nodiscard]] bool only_boundary_leaves(const Front& front, StorageId boundary, const std::vector<char>& made) const {
    for (std::size_t i = front.forward_end; i < program_.steps.size(); ++i) {
      if (program_.steps[i].phase != Phase::forward) continue;
      for (const Operand& operand : program_.steps[i].operands) {
        const StorageId storage = storage_of(operand);
        if (storage != boundary && made[storage.index()] != 0) return false;
      }
    }
    return true;
  }

  /// Backward steps come in the layers' reverse order: those of the front's layers are the last ones.
  [[nodiscard]] std::optional<Front> backward_of(Front front) const {
    std::vector<char> layers(program_.layers.size(), 0);
    for (std::size_t i = front.forward_begin; i < front.forward_end; ++i) {
      if (program_.steps[i].layer.valid()) layers[program_.steps[i].layer.index()] = 1;
    }
    for (std::size_t i = front.forward_end; i < program_.steps.size(); ++i) {
      const Step& step = program_.steps[i];
      // A layer on both sides of the boundary (a convolution with its activation) cannot be told apart by name.
      if (step.phase == Phase::forward && step.layer.valid() && layers[step.layer.index()] != 0) return std::nullopt;
    }
    front.backward_begin = backward_end_;
    while (front.backward_begin > front.forward_end) {
      const Step& step = program_.steps[front.backward_begin - 1];
      if (step.phase != Phase::backward || !step.layer.valid() || layers[step.layer.index()] == 0) break;
      if (!is_per_sample(step.op)) return std::nullopt;
      --front.backward_begin;
    }
    for (std::size_t i = front.forward_end; i < front.backward_begin; ++i) {
      const Step& step = program_.steps[i];
      if (step.phase == Phase::backward && step.layer.valid() && layers[step.layer.index()] != 0) return std::nullopt;
    }
    return samples_alone(front) ? std::optional(front) : std::nullopt;
  }

  /// Whether every transient tensor of the front is one row a sample, or a gradient of weights.
  [[nodiscard]] bool samples_alone(const Front& front) const {
    for (std::size_t i = 0; i < program_.steps.size(); ++i) {
      if (!front.holds(i)) continue;
      for (const Operand& operand : program_.steps[i].operands) {
        const TensorInfo& tensor = program_[operand.tensor];
        if (program_[tensor.view.storage].arena != Arena::transient || tensor.role == Role::gradient) continue;
        if (tensor.shape[0] != batch_) return false;
      }
    }
    return true;
  }

  const Program& program_;
  std::int64_t batch_ = 0;
  int parts_ = 0;  // micro-batches that the program has already
  std::size_t begin_ = 0, backward_end_ = 0;
};

/// Replaces the steps of a front by those of its slices.
class Splitter {
 public:
  Splitter(Program& program, std::int64_t batch) : program_(program), batch_(batch) {}

  void run(const Front& front, std::int64_t parts) {
    classify(front);
    const std::vector<std::int64_t> sizes = split_batch(batch_, parts);
    std::vector<Step> steps;
    const auto take = [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) steps.push_back(program_.steps[i]);
    };
    slices_.resize(sizes.size());
    std::vector<std::int64_t> firsts(sizes.size(), 0);
    for (std::size_t i = 1; i < sizes.size(); ++i) firsts[i] = firsts[i - 1] + sizes[i - 1];
    take(0, front.forward_begin);
    for (std::size_t part = 0; part < sizes.size(); ++part) {
      for (std::size_t i = front.forward_begin; i < front.forward_end; ++i) {
        steps.push_back(sliced(program_.steps[i], part, firsts[part], sizes[part], false));
      }
    }
    take(front.forward_end, front.backward_begin);
    for (std::size_t part = sizes.size(); part-- > 0;) {  // the last slice's maps are still there
      for (std::size_t i = front.backward_begin; i < front.backward_end; ++i) {
        steps.push_back(sliced(program_.steps[i], part, firsts[part], sizes[part], part + 1 < sizes.size()));
      }
    }
    take(front.backward_end, program_.steps.size());
    program_.steps = std::move(steps);
    drop_unused(program_);
  }

 private:
  /// Storages that no step outside of the front touches get a slice of their own.
  void classify(const Front& front) {
    inner_.assign(program_.storages.size(), 1);
    for (std::size_t i = 0; i < program_.steps.size(); ++i) {
      if (front.holds(i)) continue;
      for (const Operand& operand : program_.steps[i].operands) inner_[storage_of(operand).index()] = 0;
    }
    for (std::size_t s = 0; s < program_.storages.size(); ++s) {
      if (program_.storages[s].arena != Arena::transient) inner_[s] = 0;
    }
  }

  struct Slice {
    std::unordered_map<std::int32_t, StorageId> storages;
    std::unordered_map<std::int32_t, TensorId> tensors;
  };

  [[nodiscard]] bool is_sample_data(const TensorInfo& tensor) const {
    if (tensor.role == Role::gradient) return false;
    const Storage& storage = program_[tensor.view.storage];
    return storage.arena == Arena::transient ||
           (storage.arena == Arena::input && (storage.name == exchange::kImages || storage.name == exchange::kPlaces));
  }

  TensorId sliced_tensor(TensorId whole, std::size_t part, std::int64_t first, std::int64_t rows) {
    if (!is_sample_data(program_[whole])) return whole;
    Slice& slice = slices_[part];
    if (const auto known = slice.tensors.find(whole.value); known != slice.tensors.end()) return known->second;
    TensorInfo info = program_[whole];
    const std::string suffix = "[" + std::to_string(part) + "]";
    info.name += suffix;
    info.shape[0] = rows;
    const StorageId storage = info.view.storage;
    if (inner_[storage.index()] != 0) {
      auto [at, is_new] = slice.storages.try_emplace(storage.value);
      if (is_new) {
        Storage own = program_[storage];
        own.name += suffix;
        own.size_bytes = own.size_bytes / batch_ * rows;
        at->second = ProgramBuilder(program_).add_storage(std::move(own));
      }
      info.view.storage = at->second;
    } else {
      info.view.offset_bytes += first * info.view.strides[0] * size_bytes(info.dtype);
    }
    const TensorId made = ProgramBuilder(program_).add_info(std::move(info));
    slice.tensors.emplace(whole.value, made);
    return made;
  }

  Step sliced(Step step, std::size_t part, std::int64_t first, std::int64_t rows, bool accumulate) {
    for (Operand& operand : step.operands) {
      if (accumulate && operand.access == Access::out && program_[operand.tensor].role == Role::gradient) {
        operand.access = Access::inout;
      }
      operand.tensor = sliced_tensor(operand.tensor, part, first, rows);
    }
    if (auto* dropout = std::get_if<DropoutAttributes>(&step.attributes)) dropout->sample_offset += first;
    if (!accumulate) return step;
    if (auto* conv = std::get_if<ConvAttributes>(&step.attributes)) {
      conv->accumulate = step.op == Op::conv_backward_weights;
    } else if (auto* dense = std::get_if<DenseAttributes>(&step.attributes)) {
      dense->accumulate = step.op == Op::dense_backward_weights;
    } else if (auto* norm = std::get_if<BatchNormAttributes>(&step.attributes)) {
      norm->accumulate = step.op == Op::batchnorm_inference_backward;
    }
    return step;
  }

  [[nodiscard]] StorageId storage_of(const Operand& operand) const { return program_[operand.tensor].view.storage; }

  Program& program_;
  std::int64_t batch_ = 0;
  std::vector<char> inner_;  // by storage
  std::vector<Slice> slices_;
};

}  // namespace

std::vector<std::string> split_points(const Program& program) { return Fronts(program).points(); }

void split_front(Program& program, const Split& split) {
  if (split.parts <= 1) return;
  const Fronts fronts(program);
  if (const auto front = fronts.find(split.until)) Splitter(program, fronts.batch()).run(*front, split.parts);
}

}  // namespace snug
