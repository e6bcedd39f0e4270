// The independent checker of programs: what a pass may break is found here, before anything is planned.
#include <algorithm>

#include <fmt/format.h>

#include "program/program.h"

namespace snug {

namespace {

bool flag(const Attributes& attributes, bool ConvAttributes::*conv, bool DenseAttributes::*dense) {
  if (const auto* c = std::get_if<ConvAttributes>(&attributes)) return c->*conv;
  if (const auto* d = std::get_if<DenseAttributes>(&attributes)) return d->*dense;
  return false;
}

std::string conv1x1_signature(const Step& step) {
  const auto* conv = std::get_if<Conv1x1Attributes>(&step.attributes);
  if (conv == nullptr) return "";
  if (step.op == Op::conv1x1_backward_weights) return std::string("iiiiii") + (conv->accumulate ? "m" : "o");
  if (step.op == Op::conv1x1_backward_data)
    return std::string(7 + (conv->addend ? 1 : 0) + (conv->residual ? 1 : 0), 'i') + "oo";
  return std::string(conv->norm ? 6 : 2, 'i') + (conv->statistics ? "mmooo" : "o");
}

/// The accesses that op_list.h asks for, one letter an operand: i in, o out, m inout.
std::string signature(const Step& step) {
  const bool bias = flag(step.attributes, &ConvAttributes::bias, &DenseAttributes::bias);
  const bool accumulate = flag(step.attributes, &ConvAttributes::accumulate, &DenseAttributes::accumulate);
  const auto* norm = std::get_if<BatchNormAttributes>(&step.attributes);
  const auto* loss = std::get_if<LossAttributes>(&step.attributes);
  const auto* update = std::get_if<UpdateAttributes>(&step.attributes);
  const auto* input = std::get_if<NormalizeAttributes>(&step.attributes);
  const std::string dx = norm != nullptr && norm->accumulate_dx ? "m" : "o";
  const std::string sums = norm != nullptr && norm->accumulate ? "mm" : "oo";
  const std::string residual = norm != nullptr && norm->residual ? "i" : "";
  const std::string gradient = loss != nullptr && loss->gradient ? "o" : "";
  const std::string factors =
      update != nullptr ? std::string(std::size_t{update->clip_norm > 0} + std::size_t{update->scaled}, 'i') : "";
  switch (step.op) {
    case Op::normalize_input: return input != nullptr && input->gathered ? "iiiio" : "iiio";
    case Op::conv_forward:
    case Op::dense_forward: return bias ? "iiio" : "iio";
    case Op::conv_backward_data:
    case Op::dense_backward_data: return "iio";
    case Op::conv_backward_weights:
    case Op::dense_backward_weights: return std::string("ii") + std::string(bias ? 2 : 1, accumulate ? 'm' : 'o');
    case Op::batchnorm_forward: return "iiimm" + residual + "ooo";
    case Op::batchnorm_apply:
    case Op::batchnorm_inference: return "iiiii" + residual + "o";
    case Op::batchnorm_backward: return "iiiii" + residual + dx + sums + (residual.empty() ? "" : "o");
    case Op::batchnorm_inference_backward: return "iiii" + dx + sums;
    case Op::batchnorm_statistics: return "immoo";
    case Op::batchnorm_backward_apply: return "iiiiii" + dx + sums;
    case Op::batchnorm_maxpool_forward: return "iiiiioo";
    case Op::batchnorm_maxpool_backward: {
      const auto* pooled = std::get_if<NormPoolAttributes>(&step.attributes);
      return pooled != nullptr && pooled->accumulate ? "iiiiiiiomm" : "iiiiiiiooo";
    }
    case Op::conv1x1_forward:
    case Op::conv1x1_backward_data:
    case Op::conv1x1_backward_weights: return conv1x1_signature(step);
    case Op::activation_forward:
    case Op::activation_backward:
    case Op::softmax_forward:
    case Op::avgpool_forward:
    case Op::avgpool_backward:
    case Op::adaptive_avgpool_forward:
    case Op::adaptive_avgpool_backward:
    case Op::copy:
    case Op::cast: return "io";
    case Op::softmax_backward:
    case Op::maxpool_backward:
    case Op::add:
    case Op::scale_channels:
    case Op::dropout_forward:
    case Op::dropout_backward:
    case Op::weight_sum: return "iio";
    case Op::maxpool_forward: return "ioo";
    case Op::scale_channels_backward: return "iiioo";
    case Op::fill: return "o";
    case Op::softmax_crossentropy:
    case Op::softmax_crossentropy_rows: return (loss != nullptr && loss->class_weights ? "iiiim" : "iim") + gradient;
    case Op::sigmoid_crossentropy:
    case Op::mean_squared_error: return "iim" + gradient;
    case Op::add_stats:
    case Op::update_loss_scale: return "im";
    case Op::scale_gradient: return "mi";
    case Op::gradient_norm: {
      const auto* norm_attributes = std::get_if<GradientNormAttributes>(&step.attributes);
      return norm_attributes != nullptr && norm_attributes->accumulate ? "imm" : "imo";
    }
    case Op::sgd_update: return "iii" + factors + (update != nullptr && update->momentum > 0 ? "mm" : "m");
    case Op::adam_update: return "iii" + factors + "mmm";
    case Op::ema_update: return "iim";
    case Op::wait: return std::string(step.operands.size(), 'i');
  }
  return "";
}

char letter(Access access) {
  switch (access) {
    case Access::in: return 'i';
    case Access::out: return 'o';
    case Access::inout: return 'm';
  }
  return '?';
}

/// Ops whose backward step reads something of the forward pass.
bool reads_saved(Op op) {
  return op == Op::activation_backward || op == Op::batchnorm_backward || op == Op::batchnorm_inference_backward;
}

class Verifier {
 public:
  explicit Verifier(const Program& program) : program_(program), written_(program.storages.size(), false) {}

  std::vector<std::string> run() {
    for (std::size_t i = 0; i < program_.tensors.size(); ++i) check_tensor(program_.tensors[i]);
    if (!problems_.empty()) return problems_;
    for (std::size_t i = 0; i < program_.storages.size(); ++i) {
      // What the host or an earlier step of the training wrote is there from the start.
      written_[i] = !is_shared_over_step(program_.storages[i].arena);
    }
    on_host_.assign(program_.storages.size(), false);
    for (std::size_t i = 0; i < program_.steps.size(); ++i) {
      check_step(i, program_.steps[i]);
    }
    for (const InFlight& use : in_flight_) report(use.step, program_[use.tensor].name + " is never waited for");
    return problems_;
  }

 private:
  void report(std::size_t step, const std::string& what) {
    problems_.push_back(fmt::format("step {} ({}): {}", step, to_string(program_.steps[step].op), what));
  }

  void check_tensor(const TensorInfo& tensor) {
    const StorageId storage = tensor.view.storage;
    if (!storage.valid() || storage.index() >= program_.storages.size()) {
      problems_.push_back("tensor " + tensor.name + ": no such storage");
      return;
    }
    const std::int64_t end = tensor.view.offset_bytes + extent_bytes(tensor);
    if (tensor.view.offset_bytes < 0 || end > program_[storage].size_bytes) {
      problems_.push_back(fmt::format("tensor {}: bytes {} to {} lie outside its storage of {}", tensor.name,
                                      tensor.view.offset_bytes, end, program_[storage].size_bytes));
    }
    if (tensor.view.offset_bytes % size_bytes(tensor.dtype) != 0) {
      problems_.push_back("tensor " + tensor.name + ": misaligned");
    }
    if (tensor.layer.valid() && tensor.layer.index() >= program_.layers.size()) {
      problems_.push_back("tensor " + tensor.name + ": no such layer");
    }
  }

  void check_step(std::size_t index, const Step& step) {
    std::string accesses;
    for (const Operand& operand : step.operands) {
      if (!operand.tensor.valid() || operand.tensor.index() >= program_.tensors.size()) {
        report(index, "an operand that does not exist");
        return;
      }
      accesses += letter(operand.access);
    }
    std::string expected = signature(step);
    if (reads_saved(step.op)) {
      if (step.saved.empty()) expected += 'i';
    } else if (!step.saved.empty()) {
      report(index, "has alternatives though its op reads none");
    }
    if (step.has_workspace) expected += 'm';
    if (accesses != expected) {
      report(index, fmt::format("operands are {}, the op list says {}", accesses, expected));
    }
    if (step.has_workspace && program_[step.operands.back().tensor].role != Role::workspace) {
      report(index, "its last operand is no workspace");
    }
    for (std::size_t i = 0; i < step.operands.size(); ++i) {
      const TensorInfo& tensor = program_[step.operands[i].tensor];
      if (!is_packed(tensor) && (!may_be_pitched(step, i) || channel_pitch(tensor) == 0)) {
        report(index, "cannot take " + tensor.name + " as a slice of channels");
      }
    }
    for (const Alternative& alternative : step.saved) check_read(index, alternative.tensor);
    for (const Operand& operand : step.operands) {
      if (operand.access != Access::out && program_[operand.tensor].role != Role::workspace) {
        check_read(index, operand.tensor);
      }
    }
    for (const Operand& operand : step.operands) {
      if (operand.access != Access::in) written_[program_[operand.tensor].view.storage.index()] = true;
    }
    check_updates(index, step);
    step.op == Op::wait ? close_waited(step) : check_queues(index, step);
  }

  /// Steps of different queues run at the same time until a wait.
  void check_queues(std::size_t index, const Step& step) {
    for (const Operand& operand : step.operands) {
      const StorageId storage = program_[operand.tensor].view.storage;
      for (const InFlight& other : in_flight_) {
        const bool apart = other.queue == step.queue || program_[other.tensor].view.storage != storage;
        if (apart || (operand.access == Access::in && !other.writes)) continue;
        report(index, fmt::format("touches {} while step {} may be at it", program_[operand.tensor].name, other.step));
      }
      if (operand.access != Access::out && on_host_[storage.index()]) {
        report(index, "reads " + program_[operand.tensor].name + " on the device, though it waits on the host");
      }
      if (operand.access == Access::out) on_host_[storage.index()] = false;
    }
    if (step.queue == kMainQueue) return;
    for (const Operand& operand : step.operands) {
      if (program_[operand.tensor].role == Role::workspace) continue;  // the step's own, and no wait names it
      in_flight_.push_back({index, operand.tensor, step.queue, operand.access != Access::in});
    }
  }

  void close_waited(const Step& wait) {
    for (const Operand& named : wait.operands) {
      std::erase_if(in_flight_, [&](const InFlight& use) {
        if (use.tensor != named.tensor) return false;
        // What was read to be copied to the host has left the device.
        const std::vector<Operand>& operands = program_.steps[use.step].operands;
        const bool to_host = program_.storage_of(operands.back().tensor).arena == Arena::host;
        if (to_host && !use.writes) on_host_[program_[use.tensor].view.storage.index()] = true;
        return true;
      });
    }
  }

  /// What an update has written is for the next step of the training: nothing but updates may read it in this one.
  void check_updates(std::size_t index, const Step& step) {
    for (const Operand& operand : step.operands) {
      const TensorInfo& tensor = program_[operand.tensor];
      if (tensor.role != Role::weight && tensor.role != Role::master) continue;
      const Bytes bytes{tensor.view.storage, tensor.view.offset_bytes, tensor.view.offset_bytes + extent_bytes(tensor)};
      if (step.phase == Phase::update) {
        if (operand.access != Access::in) updated_.push_back(bytes);
        continue;
      }
      const bool late = std::ranges::any_of(updated_, [&](const Bytes& other) {
        return other.storage == bytes.storage && other.begin < bytes.end && bytes.begin < other.end;
      });
      if (late) report(index, "comes after the update of " + tensor.name);
    }
  }

  void check_read(std::size_t index, TensorId tensor) {
    if (!written_[program_[tensor].view.storage.index()]) {
      report(index, "reads " + program_[tensor].name + " before anything wrote it");
    }
  }

  const Program& program_;
  struct Bytes {
    StorageId storage;
    std::int64_t begin = 0, end = 0;
  };

  /// An operand of a step on another queue that no wait has named yet.
  struct InFlight {
    std::size_t step = 0;
    TensorId tensor;
    std::uint8_t queue = kMainQueue;
    bool writes = false;
  };

  std::vector<bool> written_;  ///< by storage
  std::vector<bool> on_host_;  ///< by storage: its bytes were copied to the host, and it is free
  std::vector<InFlight> in_flight_;
  std::vector<Bytes> updated_;  ///< weights
  std::vector<std::string> problems_;
};

}  // namespace

std::vector<std::string> verify(const Program& program) { return Verifier(program).run(); }

}  // namespace snug
