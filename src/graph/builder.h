// Expands layers into nodes; the inside of build_graph.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"
#include "graph/windows.h"
#include "ops/op.h"

namespace snug {

/// Where a list of layers stands: what its paths begin with, and which turn of the innermost repeat it is.
struct Scope {
  std::string prefix;
  std::int64_t turn = 0, turns = 0;  ///< turns 0: in no repeat
};

/// A layer that is being expanded: as written, its scope, and its path.
struct Written {
  const LayerConfig& config;
  const Scope& scope;
  std::string path;
};

/// "a.b"; an empty part is dropped.
[[nodiscard]] std::string join_path(std::string_view prefix, std::string_view part);
/// The type of a layer as Layer::type has it.
[[nodiscard]] std::string_view layer_type(const LayerConfig& layer);

/// The finding for a shape problem at a node of `layer`: its code, and the key that it is about.
[[nodiscard]] Diagnostic shape_finding(const Written& layer, const Node& node, std::span<const Shape> inputs,
                                       const ShapeProblem& problem);
/// The finding for a residual whose sides differ, with the shortcut to insert if strides or channels are the cause.
[[nodiscard]] Diagnostic residual_finding(const Written& layer, const Shape& input, const Shape& body,
                                          const Shape& shortcut, bool body_strides);
/// Values that no shape rule looks at: padding of pools over half the window, numbers beyond any memory.
[[nodiscard]] std::optional<Diagnostic> value_finding(const Written& layer);

/// A finding for tensors that no memory holds (more than kMaxElements values).
[[nodiscard]] Diagnostic size_finding(const Written& layer, double elements);
inline constexpr double kMaxElements = 0x1p40;  // of one tensor: 4 TiB in fp32

class GraphBuilder {
 public:
  GraphBuilder(const ModelConfig& model, std::vector<Diagnostic>& findings) : model_(model), findings_(findings) {}
  [[nodiscard]] Graph build();

 private:
  /// The node that a layer or list ends in; nothing when a finding was made.
  using Result = std::optional<NodeId>;

  Result expand_list(const LayerList& layers, NodeId input, const Scope& scope);
  Result expand_layer(const LayerConfig& layer, std::string_view part, NodeId input, const Scope& scope);

  // Composite layers (composites.cpp)
  Result expand(const Written& layer, const BlockLayer& block, NodeId input);
  Result expand(const Written& layer, const ResidualLayer& residual, NodeId input);
  Result expand(const Written& layer, const BranchesLayer& branches, NodeId input);
  Result expand(const Written& layer, const SqueezeExciteLayer& squeeze, NodeId input);

  // Leaf layers (leaves.cpp)
  Result expand(const Written& layer, const ConvLayer& conv, NodeId input);
  Result expand(const Written& layer, const DenseLayer& dense, NodeId input);
  Result expand(const Written& layer, const PoolLayer& pool, NodeId input);
  Result expand(const Written& layer, const GlobalAveragePoolLayer& pool, NodeId input);
  Result expand(const Written& layer, const AdaptiveAveragePoolLayer& pool, NodeId input);
  Result expand(const Written& layer, const FlattenLayer& flatten, NodeId input);
  Result expand(const Written& layer, const DropoutLayer& dropout, NodeId input);
  Result expand(const Written& layer, const BatchNormLayer& norm, NodeId input);
  Result expand(const Written& layer, const ActivationLayer& activation, NodeId input);

  /// Adds the node of `op` at `path`, with its inferred shape and its parameters.
  Result add(const Written& layer, Node node);
  Result add_activation(const Written& layer, Activation activation, NodeId input);
  Result add_norm(const Written& layer, std::string path, NodeId input);
  Result add_pool(const Written& layer, std::string path, NodeId input, const Shape& output);
  Result add_pointwise(const Written& layer, std::string path, NodeId input, std::int64_t filters);

  LayerId begin_layer(const Written& layer);
  void end_layer(LayerId id, NodeId output);
  bool claim_names(const Written& layer, const Node& node);
  void name_nodes_apart();
  Result fault(Diagnostic diagnostic);
  void drop_unfinished();
  [[nodiscard]] Shape shape(NodeId id) const { return graph_[id].output; }
  [[nodiscard]] std::vector<Shape> flattened_from(const Node& node) const;
  [[nodiscard]] std::vector<Shape> joined_from(const Node& concat) const;
  [[nodiscard]] bool strides_between(std::size_t first_node) const;

  const ModelConfig& model_;
  std::vector<Diagnostic>& findings_;
  Graph graph_;
  LayerId layer_;                                  ///< of the nodes that are being added
  std::vector<std::vector<Shape>> flattened_{{}};  ///< by node, the input first: see Parameter::flattened_from
  std::map<std::string, Position, std::less<>> parameter_names_;
};

}  // namespace snug
