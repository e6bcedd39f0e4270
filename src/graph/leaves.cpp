// Leaf layers: what a layer that holds no others becomes.
#include <utility>

#include "graph/builder.h"
#include "graph/findings.h"

namespace snug {

namespace {

ActivationFunction function_of(Activation activation) {
  switch (activation) {
    case Activation::relu6: return ActivationFunction::relu6;
    case Activation::leaky_relu: return ActivationFunction::leaky_relu;
    case Activation::silu: return ActivationFunction::silu;
    case Activation::gelu: return ActivationFunction::gelu;
    case Activation::sigmoid: return ActivationFunction::sigmoid;
    case Activation::tanh: return ActivationFunction::tanh;
    case Activation::identity:  // these two are no activation node
    case Activation::softmax:
    case Activation::relu: return ActivationFunction::relu;
  }
  return ActivationFunction::relu;
}

struct TypeName {
  std::string_view operator()(const ConvLayer& conv) const { return conv.depthwise ? "depthwise" : "conv"; }
  std::string_view operator()(const DenseLayer&) const { return "dense"; }
  std::string_view operator()(const PoolLayer& pool) const { return pool.average ? "avgpool" : "maxpool"; }
  std::string_view operator()(const GlobalAveragePoolLayer&) const { return "global_avgpool"; }
  std::string_view operator()(const AdaptiveAveragePoolLayer&) const { return "adaptive_avgpool"; }
  std::string_view operator()(const FlattenLayer&) const { return "flatten"; }
  std::string_view operator()(const DropoutLayer&) const { return "dropout"; }
  std::string_view operator()(const BatchNormLayer&) const { return "batchnorm"; }
  std::string_view operator()(const ActivationLayer&) const { return "activation"; }
  std::string_view operator()(const ResidualLayer&) const { return "residual"; }
  std::string_view operator()(const BranchesLayer&) const { return "branches"; }
  std::string_view operator()(const BlockLayer& block) const { return block.repeat > 0 ? "repeat" : "block"; }
  std::string_view operator()(const SqueezeExciteLayer&) const { return "squeeze_excite"; }
};

}  // namespace

std::string_view layer_type(const LayerConfig& layer) { return std::visit(TypeName{}, layer.what); }

GraphBuilder::Result GraphBuilder::expand(const Written& layer, const ConvLayer& conv, NodeId input) {
  const LayerId id = begin_layer(layer);
  const Shape in = shape(input);
  const std::int64_t filters = conv.depthwise ? in.back() * conv.multiplier : conv.filters;
  const std::int64_t groups = conv.depthwise ? in.back() : conv.groups;
  const double weights = static_cast<double>(conv.kernel[0] * conv.kernel[1]) * static_cast<double>(in.back()) /
                         static_cast<double>(groups) * static_cast<double>(filters);
  if (weights > kMaxElements) return fault(size_finding(layer, weights));
  ConvAttributes attributes{.groups = groups, .bias = conv.bias.value_or(!conv.norm)};
  if (in.rank() == 3) {  // flat data has no window: the shape rule says so
    attributes.window = resolve_window({conv.kernel, conv.stride, conv.dilation, conv.padding}, in);
  }
  Result last =
      add(layer,
          {.op = NodeOp::conv, .attributes = attributes, .channels = filters, .inputs = {input}, .path = layer.path});
  if (last && conv.norm) {
    const LayerNames& names = layer.config.names;
    last = add_norm(layer, names.norm_name ? join_path(layer.scope.prefix, *names.norm_name) : layer.path + ".norm",
                    *last);
  }
  if (last) last = add_activation(layer, conv.activation, *last);
  if (last) end_layer(id, *last);
  return last;
}

GraphBuilder::Result GraphBuilder::expand(const Written& layer, const DenseLayer& dense, NodeId input) {
  const LayerId id = begin_layer(layer);
  Result last = add(layer, {.op = NodeOp::dense,
                            .attributes = DenseAttributes{.bias = dense.bias},
                            .channels = dense.units,
                            .inputs = {input},
                            .path = layer.path});
  if (last) last = add_activation(layer, dense.activation, *last);
  if (last) end_layer(id, *last);
  return last;
}

GraphBuilder::Result GraphBuilder::expand(const Written& layer, const PoolLayer& pool, NodeId input) {
  const LayerId id = begin_layer(layer);
  PoolAttributes attributes;
  if (shape(input).rank() == 3) {
    attributes.window = resolve_window({pool.size, pool.stride, {1, 1}, pool.padding, pool.ceil}, shape(input));
  }
  const Result last = add(layer, {.op = pool.average ? NodeOp::avgpool : NodeOp::maxpool,
                                  .attributes = attributes,
                                  .inputs = {input},
                                  .path = layer.path});
  if (last) end_layer(id, *last);
  return last;
}

/// `output` is what the op is told to give; its channels are the input's.
GraphBuilder::Result GraphBuilder::add_pool(const Written& layer, std::string path, NodeId input, const Shape& output) {
  return add(layer, {.op = NodeOp::adaptive_avgpool, .inputs = {input}, .output = output, .path = std::move(path)});
}

GraphBuilder::Result GraphBuilder::expand(const Written& layer, const GlobalAveragePoolLayer&, NodeId input) {
  const LayerId id = begin_layer(layer);
  const Result last = add_pool(layer, layer.path, input, {shape(input).back()});
  if (last) end_layer(id, *last);
  return last;
}

GraphBuilder::Result GraphBuilder::expand(const Written& layer, const AdaptiveAveragePoolLayer& pool, NodeId input) {
  const LayerId id = begin_layer(layer);
  const Result last = add_pool(layer, layer.path, input, {pool.size[0], pool.size[1], shape(input).back()});
  if (last) end_layer(id, *last);
  return last;
}

GraphBuilder::Result GraphBuilder::expand(const Written& layer, const FlattenLayer&, NodeId input) {
  const LayerId id = begin_layer(layer);
  const Result last = add(layer, {.op = NodeOp::flatten, .inputs = {input}, .path = layer.path});
  if (last) end_layer(id, *last);
  return last;
}

GraphBuilder::Result GraphBuilder::expand(const Written& layer, const DropoutLayer& dropout, NodeId input) {
  const LayerId id = begin_layer(layer);
  Result last = input;
  if (dropout.rate > 0) {  // 0 is valid and does nothing
    last = add(layer, {.op = NodeOp::dropout,
                       .attributes = DropoutAttributes{.rate = dropout.rate},
                       .inputs = {input},
                       .path = layer.path});
  }
  if (last) end_layer(id, *last);
  return last;
}

GraphBuilder::Result GraphBuilder::add_norm(const Written& layer, std::string path, NodeId input) {
  return add(layer, {.op = NodeOp::batchnorm,
                     .attributes = BatchNormAttributes{.momentum = model_.bn_momentum},
                     .inputs = {input},
                     .path = std::move(path)});
}

GraphBuilder::Result GraphBuilder::expand(const Written& layer, const BatchNormLayer& norm, NodeId input) {
  const LayerId id = begin_layer(layer);
  Result last = add_norm(layer, layer.path, input);
  if (last) last = add_activation(layer, norm.activation, *last);
  if (last) end_layer(id, *last);
  return last;
}

GraphBuilder::Result GraphBuilder::expand(const Written& layer, const ActivationLayer& activation, NodeId input) {
  const LayerId id = begin_layer(layer);
  const Result last = add_activation(layer, activation.activation, input);
  if (last) end_layer(id, *last);
  return last;
}

/// The activation of a layer, inside its path; the layer itself where it is nothing else.
GraphBuilder::Result GraphBuilder::add_activation(const Written& layer, Activation activation, NodeId input) {
  if (activation == Activation::identity) return input;
  const bool alone = std::holds_alternative<ActivationLayer>(layer.config.what);
  Node node{.op = NodeOp::softmax,
            .inputs = {input},
            .path = alone ? layer.path : join_path(layer.path, to_string(activation))};
  if (activation != Activation::softmax) {
    node.op = NodeOp::activation;
    node.attributes = ActivationAttributes{.function = function_of(activation)};
  }
  return add(layer, std::move(node));
}

}  // namespace snug
