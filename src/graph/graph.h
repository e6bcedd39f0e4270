// The network: layers as the user wrote them, and the primitive nodes they stand for, with all shapes known.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/shape.h"
#include "ops/node.h"
#include "snug/config.h"

namespace snug {

/// A layer as written, after repeats are unrolled: a convolution with its norm and activation is one.
struct Layer {
  std::string path;
  std::string type;  ///< "conv", "depthwise", "dense", "maxpool", "avgpool", "global_avgpool", "adaptive_avgpool",
                     ///< "flatten", "dropout", "batchnorm", "activation", "residual" (sum and activation), "branches"
                     ///< (the joining), "squeeze_excite"
  Position where;
  Shape output;
};

struct Graph {
  std::array<std::int64_t, 3> input{};
  std::vector<Node> nodes;  ///< in an order in which inputs come first; nodes[0] is the input
  std::vector<Layer> layers;
  NodeId output;          ///< the last node
  bool complete = false;  ///< no layer was at fault
  [[nodiscard]] const Node& operator[](NodeId id) const { return nodes[id.index()]; }
};

/// Expands and infers. Problems (kernel larger than input, shapes that do not agree, …) are appended to `findings`,
/// one per cause, with the layer's place and the arithmetic; the graph then ends before the faulty layer.
[[nodiscard]] Graph build_graph(const ModelConfig& model, std::vector<Diagnostic>& findings);

/// Which nodes are frozen: `names` are layer paths (a path freezes everything below it) or "backbone" (all but the last
/// layer with parameters). A name that matches nothing is a finding at `where`.
[[nodiscard]] std::vector<bool> frozen_nodes(const Graph& graph, std::span<const std::string> names,
                                             const Position& where, std::vector<Diagnostic>& findings);

/// Where the loss is taken: a final softmax or sigmoid is fused into the loss, so that training works on logits.
struct FinalLayer {
  NodeId logits;                          ///< the node whose output the loss reads
  bool softmax = false, sigmoid = false;  ///< the last node was one of these and is left out
};
[[nodiscard]] FinalLayer final_layer(const Graph& graph, Loss loss);

/// Forward FLOP of one image (2 × multiply-add) of a node: convolutions, dense; everything else 0.
[[nodiscard]] std::int64_t forward_flops(const Graph& graph, const Node& node);
/// Trainable parameters of a node.
[[nodiscard]] std::int64_t parameter_count(const Node& node);

}  // namespace snug
