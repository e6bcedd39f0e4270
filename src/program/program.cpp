#include "program/program.h"

#include <algorithm>

#include "base/ensure.h"

namespace snug {

std::string_view to_string(Role role) {
  switch (role) {
    case Role::weight: return "weight";
    case Role::master: return "master";
    case Role::optimizer: return "optimizer";
    case Role::statistic: return "statistic";
    case Role::gradient: return "gradient";
    case Role::activation: return "activation";
    case Role::workspace: return "workspace";
    case Role::input: return "input";
  }
  return "?";
}

std::string_view to_string(Phase phase) {
  switch (phase) {
    case Phase::forward: return "forward";
    case Phase::backward: return "backward";
    case Phase::update: return "update";
    case Phase::eval: return "eval";
  }
  return "?";
}

std::string_view to_string(Arena arena) {
  switch (arena) {
    case Arena::persistent: return "persistent";
    case Arena::transient: return "transient";
    case Arena::input: return "input";
    case Arena::data: return "data";
    case Arena::host: return "host";
  }
  return "?";
}

TensorId Program::find(std::string_view name) const {
  const auto found = std::ranges::find(tensors, name, &TensorInfo::name);
  return found == tensors.end() ? TensorId{} : TensorId{found - tensors.begin()};
}

std::array<std::int64_t, kMaxRank> packed_strides(const Shape& shape) {
  std::array<std::int64_t, kMaxRank> strides{};
  std::int64_t stride = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    strides[static_cast<std::size_t>(axis)] = stride;
    stride *= shape[axis];
  }
  return strides;
}

bool is_packed(const TensorInfo& tensor) { return tensor.view.strides == packed_strides(tensor.shape); }

std::int64_t channel_pitch(const TensorInfo& tensor) {
  const int last = tensor.shape.rank() - 1;
  if (last <= 0) return tensor.shape.elements();
  const auto& strides = tensor.view.strides;
  const std::int64_t pitch = strides[static_cast<std::size_t>(last - 1)];
  if (strides[static_cast<std::size_t>(last)] != 1) return 0;
  std::int64_t expected = pitch;
  for (int axis = last - 1; axis >= 0; --axis) {
    if (strides[static_cast<std::size_t>(axis)] != expected) return 0;
    expected *= tensor.shape[axis];
  }
  return pitch;
}

bool may_be_pitched(const Step& step, std::size_t operand) {
  const auto* norm = std::get_if<BatchNormAttributes>(&step.attributes);
  const std::size_t residual = norm != nullptr && norm->residual ? 1 : 0;
  switch (step.op) {
    case Op::copy: return operand < 2;
    case Op::activation_backward: return operand == 0 || operand == 2;  // dy, what is saved
    case Op::batchnorm_forward:
    case Op::batchnorm_apply:
    case Op::batchnorm_inference: return operand == 0;
    case Op::batchnorm_backward: return operand == 5 + residual || operand == 8 + 2 * residual;  // dx, what is saved
    case Op::batchnorm_inference_backward: return operand == 4 || operand == 7;
    case Op::batchnorm_statistics:
    case Op::conv1x1_forward:
    case Op::conv1x1_backward_weights: return operand == 0;
    case Op::batchnorm_backward_apply: return operand == 5 || operand == 6;  // x, dx
    case Op::conv1x1_backward_data: return operand == (std::get<Conv1x1Attributes>(step.attributes).addend ? 3U : 2U);
    default: return false;  // libraries, and kernels that nobody asked it of
  }
}

std::int64_t extent_bytes(const TensorInfo& tensor) {
  if (tensor.shape.elements() == 0) return 0;
  std::int64_t last = 0;
  for (int axis = 0; axis < tensor.shape.rank(); ++axis) {
    last += (tensor.shape[axis] - 1) * tensor.view.strides[static_cast<std::size_t>(axis)];
  }
  return (last + 1) * size_bytes(tensor.dtype);
}

TensorId ProgramBuilder::add_tensor(const NewTensor& tensor) {
  return add_view(tensor, add_storage({tensor.name, tensor.shape.elements() * size_bytes(tensor.dtype), tensor.arena}),
                  0);
}

TensorId ProgramBuilder::add_view(const NewTensor& tensor, StorageId storage, std::int64_t offset_bytes) {
  return add_info({.name = tensor.name,
                   .shape = tensor.shape,
                   .dtype = tensor.dtype,
                   .role = tensor.role,
                   .layer = tensor.layer,
                   .view = {storage, offset_bytes, packed_strides(tensor.shape)}});
}

TensorId ProgramBuilder::add_channel_slice(TensorId whole, std::int64_t begin, std::int64_t count, std::string name) {
  TensorInfo slice = program_[whole];
  ensure(begin >= 0 && begin + count <= slice.shape.back(), "a channel slice lies inside its tensor");
  slice.name = std::move(name);
  slice.shape[slice.shape.rank() - 1] = count;
  slice.view.offset_bytes += begin * size_bytes(slice.dtype);
  return add_info(std::move(slice));
}

TensorId ProgramBuilder::add_batch_slice(TensorId whole, std::int64_t begin, std::int64_t count, std::string name) {
  TensorInfo slice = program_[whole];
  ensure(slice.shape.rank() > 0 && begin >= 0 && begin + count <= slice.shape[0],
         "a batch slice lies inside its tensor");
  slice.name = std::move(name);
  slice.shape[0] = count;
  slice.view.offset_bytes += begin * slice.view.strides[0] * size_bytes(slice.dtype);
  return add_info(std::move(slice));
}

StorageId ProgramBuilder::add_storage(Storage storage) {
  program_.storages.push_back(std::move(storage));
  return StorageId{static_cast<std::int64_t>(program_.storages.size()) - 1};
}

TensorId ProgramBuilder::add_info(TensorInfo tensor) {
  program_.tensors.push_back(std::move(tensor));
  return TensorId{static_cast<std::int64_t>(program_.tensors.size()) - 1};
}

StepId ProgramBuilder::add_step(Step step) {
  program_.steps.push_back(std::move(step));
  return StepId{static_cast<std::int64_t>(program_.steps.size()) - 1};
}

}  // namespace snug
