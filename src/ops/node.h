// A primitive operation of a network on one image, with its parameters: what ops know and graphs are made of.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/shape.h"
#include "program/attributes.h"

namespace snug {

enum class NodeOp : std::uint8_t {
  input,             ///< the normalised images
  conv,              ///< ConvAttributes; depthwise: groups = input channels
  dense,             ///< DenseAttributes
  batchnorm,         ///< BatchNormAttributes
  activation,        ///< ActivationAttributes
  softmax,           ///< over channels
  maxpool,           ///< PoolAttributes
  avgpool,           ///< PoolAttributes
  adaptive_avgpool,  ///< output size is the node's output shape; global pooling gives [c]
  flatten,           ///< [h, w, c] → [h·w·c]: a view
  dropout,           ///< DropoutAttributes (seed, layer and sample_offset are filled in by the lowering)
  add,               ///< two inputs of one shape
  concat,            ///< inputs joined by channels
  scale_channels,    ///< inputs x [h, w, c] and s [1, 1, c]
};
[[nodiscard]] std::string_view to_string(NodeOp op);

enum class ParameterKind : std::uint8_t {
  conv_weight,
  dense_weight,
  bias,
  norm_weight,
  norm_bias,
  running_mean,
  running_var
};

/// One named tensor of a checkpoint. `shape` is how the program holds it: convolutions OHWI, dense (out, in).
struct Parameter {
  std::string name;  ///< path and suffix: "layer1.0.conv1.weight"
  ParameterKind kind = ParameterKind::conv_weight;
  Shape shape;
  std::int64_t fan_in = 0, fan_out = 0;  ///< of weights, for the initialiser
  /// Of dense weights and norms behind flatten: the pieces that their columns or channels stand for, in order. [h, w,
  /// c] is a flattened map, which checkpoints hold in (c, h, w) order; [n] are values of no map. Empty: none is one.
  std::vector<Shape> flattened_from;
  /// Trained by the optimizer (running statistics are not).
  [[nodiscard]] bool trainable() const {
    return kind != ParameterKind::running_mean && kind != ParameterKind::running_var;
  }
  /// Whether weight decay applies by default: weights of conv and dense only.
  [[nodiscard]] bool decays() const {
    return kind == ParameterKind::conv_weight || kind == ParameterKind::dense_weight;
  }
};

/// A primitive operation on one image; shapes have no batch axis.
struct Node {
  NodeOp op = NodeOp::input;
  Attributes attributes;
  std::int64_t channels = 0;  ///< filters of conv, units of dense
  std::vector<NodeId> inputs;
  Shape output;  ///< [h, w, c] or [units]
  std::vector<Parameter>
      parameters;    ///< in operand order: weight, bias; norms: weight, bias, running_mean, running_var
  std::string path;  ///< of the node's own tensors: "layer1.0.bn1"
  LayerId layer;
};

}  // namespace snug
