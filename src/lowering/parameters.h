// The parameters of a graph as flat groups: where each one lies, in every program of a run alike.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "lowering/lowering.h"
#include "program/program.h"

namespace snug {

/// Parameters that one update step treats alike lie in one storage, at equal offsets (in elements) in the storages of
/// their weights, gradients, moments and averages.
struct ParameterGroup {
  std::string name;           ///< "decay", "plain" (no weight decay), "frozen", "statistics"
  Segments segments;          ///< the weights of conv and dense first
  std::int64_t elements = 0;  ///< with the padding between segments
  std::size_t weights = 0;    ///< segments that are weights of conv and dense: the head of the group
};

/// One parameter of a node in its group.
struct ParameterPlace {
  int group = -1;            ///< index into ParameterLayout::groups
  std::int64_t element = 0;  ///< of its first value in the group
};

struct ParameterLayout {
  std::vector<ParameterGroup> groups;               ///< kDecay, kPlain, kFrozen, kStatistics; may be empty
  std::vector<std::vector<ParameterPlace>> places;  ///< by node and parameter
};
inline constexpr int kDecay = 0, kPlain = 1, kFrozen = 2, kStatistics = 3;

/// The layout depends on the graph, on what is frozen and on decay_norm_and_bias alone.
[[nodiscard]] ParameterLayout layout_parameters(const Graph& graph, const LoweringOptions& options);

/// The tensors of a program for one purpose (weights, gradients, a moment), by node and parameter; not valid where the
/// purpose does not exist (running statistics have no gradient).
struct ParameterTensors {
  std::vector<std::vector<TensorId>> by_node;
  std::vector<TensorId> flat;  ///< by group: the whole group as one vector; not valid for empty or absent groups
};

/// Adds a storage per group in `groups` and a view per parameter in it. Tensors are named `prefix` + the parameter's
/// name, storages `storage_prefix` + the group's name.
[[nodiscard]] ParameterTensors add_parameter_tensors(ProgramBuilder& builder, const Graph& graph,
                                                     const ParameterLayout& layout, std::initializer_list<int> groups,
                                                     const ProgramBuilder::NewTensor& like, std::string_view prefix);

/// Adds copies of the weights of conv and dense in another type, at the elements of their masters: tensors named
/// "copy:" + the parameter's name in storages "copies." + the group's name. Others have none. The steps that fill the
/// copies from `masters` are added in `phase`.
[[nodiscard]] ParameterTensors add_weight_copies(ProgramBuilder& builder, const Graph& graph,
                                                 const ParameterLayout& layout, const ParameterTensors& masters,
                                                 DType dtype, Phase phase);

}  // namespace snug
