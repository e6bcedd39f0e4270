#include "backend/cuda/cudnn_problem.h"

#include <array>

#include "base/ensure.h"

namespace snug::cudnn {

namespace {

DataType data_type(DType dtype) {
  switch (dtype) {
    case DType::bf16: return DATA_BFLOAT16;
    case DType::f16: return DATA_HALF;
    default: ensure(dtype == DType::f32, "convolutions are in fp32, bf16 or fp16"); return DATA_FLOAT;
  }
}

enum class Where : std::uint8_t { memory, engine };  ///< an engine's own tensors are in fp32, and have no address

/// n, h, w, c or k, h, w, c as cuDNN counts axes (n, c, h, w), with the strides that leave channels innermost.
Object tensor(const Library& library, const Convolution& c, const std::array<std::int64_t, 4>& extents, std::int64_t id,
              Where where = Where::memory) {
  const auto [n, h, w, channels] = extents;
  const std::array dimensions{n, channels, h, w};
  const std::array strides{h * w * channels, std::int64_t{1}, w * channels, channels};
  Object object(library, BACKEND_TENSOR);
  object.set_enum(ATTR_TENSOR_DATA_TYPE, TYPE_DATA_TYPE, where == Where::engine ? DATA_FLOAT : data_type(c.dtype));
  object.set(ATTR_TENSOR_DIMENSIONS, dimensions);
  object.set(ATTR_TENSOR_STRIDES, strides);
  object.set(ATTR_TENSOR_UNIQUE_ID, id);
  object.set(ATTR_TENSOR_BYTE_ALIGNMENT, c.alignment);
  const bool is_virtual = where == Where::engine;
  if (is_virtual) object.set(ATTR_TENSOR_IS_VIRTUAL, TYPE_BOOLEAN, 1, &is_virtual);
  return object;
}

Object window(const Library& library, const Window& window) {
  Object object(library, BACKEND_CONVOLUTION);
  object.set_enum(ATTR_CONVOLUTION_COMP_TYPE, TYPE_DATA_TYPE, DATA_FLOAT);
  object.set_enum(ATTR_CONVOLUTION_CONV_MODE, TYPE_CONVOLUTION_MODE, CROSS_CORRELATION);
  object.set(ATTR_CONVOLUTION_SPATIAL_DIMS, std::int64_t{2});
  object.set(ATTR_CONVOLUTION_DILATIONS, window.dilation);
  object.set(ATTR_CONVOLUTION_FILTER_STRIDES, window.stride);
  object.set(ATTR_CONVOLUTION_PRE_PADDINGS, window.pad_begin);
  object.set(ATTR_CONVOLUTION_POST_PADDINGS, window.pad_end);
  return object;
}

/// The attributes of one kind of operation, in the order alpha, beta, window, x, w, y.
struct OperationNames {
  Descriptor type;
  std::array<Attribute, 6> attributes;
};

OperationNames names_of(ConvolutionKind kind) {
  switch (kind) {
    case ConvolutionKind::forward:
      return {BACKEND_OPERATION_CONVOLUTION_FORWARD,
              {ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
               ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, ATTR_OPERATION_CONVOLUTION_FORWARD_X,
               ATTR_OPERATION_CONVOLUTION_FORWARD_W, ATTR_OPERATION_CONVOLUTION_FORWARD_Y}};
    case ConvolutionKind::backward_data:
      return {BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA,
              {ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
               ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
               ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY}};
    case ConvolutionKind::backward_weights: break;
  }
  return {BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER,
          {ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
           ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
           ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY}};
}

}  // namespace

Problem::Problem(const Library& library, const Convolution& c, const Target& target)
    : library_(library),
      convolution_(c),
      target_(target),
      x_(tensor(library, c, c.x, kTensorX)),
      w_(tensor(library, c, c.w, kTensorW)),
      y_(tensor(library, c, c.y, kTensorY)),
      window_(window(library, c.window)),
      operation_(library, names_of(c.kind).type),
      graph_(library, BACKEND_OPERATIONGRAPH) {
  if (!x_.finalize() || !w_.finalize() || !y_.finalize() || !window_.finalize()) return;
  const bool epilogue = c.bias || c.relu;
  const Object* const sums = epilogue ? add_intermediate() : &y_;
  if (sums == nullptr) return;
  const OperationNames names = names_of(c.kind);
  operation_.set(names.attributes[0], 1.0F);
  operation_.set(names.attributes[1], 0.0F);
  const std::array<const Object*, 4> parts{&window_, &x_, &w_, sums};
  for (std::size_t i = 0; i < parts.size(); ++i) operation_.set(names.attributes[i + 2], *parts[i]);
  if (!operation_.finalize()) return;
  operations_.push_back(operation_.handle());
  if (epilogue && !add_epilogue(*sums)) return;
  graph_.set(ATTR_OPERATIONGRAPH_OPS, TYPE_BACKEND_DESCRIPTOR, operations_);
  if (target.handle != nullptr) graph_.set(ATTR_OPERATIONGRAPH_HANDLE, TYPE_HANDLE, 1, &target.handle);
  sound_ = graph_.finalize();
}

const Object* Problem::add_intermediate() {
  const auto id = kTensorBias + 1 + static_cast<std::int64_t>(epilogue_.size());
  Object& object = epilogue_.emplace_back(tensor(library_, convolution_, convolution_.y, id, Where::engine));
  return object.finalize() ? &object : nullptr;
}

bool Problem::add_pointwise(PointwiseMode mode, const Object& from, const Object* with, const Object& to) {
  Object& function = epilogue_.emplace_back(library_, BACKEND_POINTWISE);
  function.set_enum(ATTR_POINTWISE_MODE, TYPE_POINTWISE_MODE, mode);
  function.set_enum(ATTR_POINTWISE_MATH_PREC, TYPE_DATA_TYPE, DATA_FLOAT);
  if (!function.finalize()) return false;
  Object& operation = epilogue_.emplace_back(library_, BACKEND_OPERATION_POINTWISE);
  operation.set(ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, function);
  operation.set(ATTR_OPERATION_POINTWISE_XDESC, from);
  if (with != nullptr) operation.set(ATTR_OPERATION_POINTWISE_BDESC, *with);
  operation.set(ATTR_OPERATION_POINTWISE_YDESC, to);
  operations_.push_back(operation.handle());
  return operation.finalize();
}

bool Problem::add_epilogue(const Object& sums) {
  const Convolution& c = convolution_;
  const Object* last = &sums;
  if (c.bias) {
    Object& bias = epilogue_.emplace_back(tensor(library_, c, {1, 1, 1, c.y[3]}, kTensorBias));
    const Object* const biased = c.relu ? add_intermediate() : &y_;
    if (!bias.finalize() || biased == nullptr || !add_pointwise(POINTWISE_ADD, sums, &bias, *biased)) return false;
    last = biased;
  }
  return !c.relu || add_pointwise(POINTWISE_RELU_FWD, *last, nullptr, y_);
}

std::vector<Object> Problem::configurations(HeuristicMode mode) const {
  Object heuristic(library_, BACKEND_ENGINEHEUR);
  heuristic.set(ATTR_ENGINEHEUR_OPERATION_GRAPH, graph_);
  heuristic.set_enum(ATTR_ENGINEHEUR_MODE, TYPE_HEUR_MODE, mode);
  if (target_.properties != nullptr) heuristic.set(ATTR_ENGINEHEUR_DEVICEPROP, *target_.properties);
  if (!heuristic.finalize()) return {};
  std::vector<Object> found;
  const std::size_t count = heuristic.count(ATTR_ENGINEHEUR_RESULTS);
  for (std::size_t i = 0; i < count; ++i) found.emplace_back(library_, BACKEND_ENGINECFG);
  const std::size_t got = heuristic.get(ATTR_ENGINEHEUR_RESULTS, found);
  while (found.size() > got) found.pop_back();
  return found;
}

}  // namespace snug::cudnn
