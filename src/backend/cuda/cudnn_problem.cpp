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

/// n, h, w, c or k, h, w, c as cuDNN counts axes (n, c, h, w), with the strides that leave channels innermost.
Object tensor(const Library& library, const Convolution& c, const std::array<std::int64_t, 4>& extents,
              std::int64_t id) {
  const auto [n, h, w, channels] = extents;
  const std::array dimensions{n, channels, h, w};
  const std::array strides{h * w * channels, std::int64_t{1}, w * channels, channels};
  Object object(library, BACKEND_TENSOR);
  object.set_enum(ATTR_TENSOR_DATA_TYPE, TYPE_DATA_TYPE, data_type(c.dtype));
  object.set(ATTR_TENSOR_DIMENSIONS, dimensions);
  object.set(ATTR_TENSOR_STRIDES, strides);
  object.set(ATTR_TENSOR_UNIQUE_ID, id);
  object.set(ATTR_TENSOR_BYTE_ALIGNMENT, c.alignment);
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
  const OperationNames names = names_of(c.kind);
  operation_.set(names.attributes[0], 1.0F);
  operation_.set(names.attributes[1], 0.0F);
  const std::array<const Object*, 4> parts{&window_, &x_, &w_, &y_};
  for (std::size_t i = 0; i < parts.size(); ++i) operation_.set(names.attributes[i + 2], *parts[i]);
  if (!operation_.finalize()) return;
  graph_.set(ATTR_OPERATIONGRAPH_OPS, operation_);
  if (target.handle != nullptr) graph_.set(ATTR_OPERATIONGRAPH_HANDLE, TYPE_HANDLE, 1, &target.handle);
  sound_ = graph_.finalize();
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
