#include "ops/op.h"

#include "base/ensure.h"
#include "ops/definitions.h"

namespace snug {

std::string_view to_string(NodeOp op) {
  switch (op) {
    case NodeOp::input: return "input";
    case NodeOp::conv: return "conv";
    case NodeOp::dense: return "dense";
    case NodeOp::batchnorm: return "batchnorm";
    case NodeOp::activation: return "activation";
    case NodeOp::softmax: return "softmax";
    case NodeOp::maxpool: return "maxpool";
    case NodeOp::avgpool: return "avgpool";
    case NodeOp::adaptive_avgpool: return "adaptive_avgpool";
    case NodeOp::flatten: return "flatten";
    case NodeOp::dropout: return "dropout";
    case NodeOp::add: return "add";
    case NodeOp::concat: return "concat";
    case NodeOp::scale_channels: return "scale_channels";
  }
  return "?";
}

const OpDefinition& op_definition(NodeOp op) {
  switch (op) {
    case NodeOp::input: break;
    case NodeOp::conv: return kConv;
    case NodeOp::dense: return kDense;
    case NodeOp::batchnorm: return kBatchNorm;
    case NodeOp::activation: return kActivation;
    case NodeOp::softmax: return kSoftmax;
    case NodeOp::maxpool: return kMaxPool;
    case NodeOp::avgpool: return kAveragePool;
    case NodeOp::adaptive_avgpool: return kAdaptiveAveragePool;
    case NodeOp::flatten: return kFlatten;
    case NodeOp::dropout: return kDropout;
    case NodeOp::add: return kAdd;
    case NodeOp::concat: return kConcat;
    case NodeOp::scale_channels: return kScaleChannels;
  }
  fail("the input has no definition", __FILE__, __LINE__);
}

TensorId OpContext::tensor(std::string_view purpose, const Shape& shape, Role role) const {
  return tensor(purpose, shape, role, dtype);
}

TensorId OpContext::tensor(std::string_view purpose, const Shape& shape, Role role, DType element) const {
  return builder.add_tensor({.name = node.path + ":" + std::string(purpose) + suffix,
                             .shape = shape,
                             .dtype = element,
                             .role = role,
                             .layer = layer});
}

void OpContext::step(Op op, Phase phase, Attributes attributes, std::vector<Operand> operands,
                     std::vector<Alternative> saved) const {
  const Phase actual = training ? phase : Phase::eval;
  builder.add_step({.op = op,
                    .phase = actual,
                    .attributes = std::move(attributes),
                    .operands = std::move(operands),
                    .layer = layer,
                    .saved = std::move(saved)});
}

std::int64_t window_extent(const Window& window, int axis, std::int64_t input) {
  const auto a = static_cast<std::size_t>(axis);
  const std::int64_t padded = input + window.pad_begin[a] + window.pad_end[a];
  const std::int64_t reach = window.dilation[a] * (window.kernel[a] - 1) + 1;
  return padded < reach ? 0 : (padded - reach) / window.stride[a] + 1;
}

}  // namespace snug
