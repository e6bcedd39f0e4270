#include "lowering/parameters.h"

#include <algorithm>

namespace snug {

namespace {

// 16 elements: 64 bytes in fp32, a cache line, and more than any vector load asks for.
constexpr std::int64_t kAlignmentElements = 16;

int group_of(const Parameter& parameter, bool frozen, bool decay_all) {
  if (!parameter.trainable()) return kStatistics;
  if (frozen) return kFrozen;
  return parameter.decays() || decay_all ? kDecay : kPlain;
}

}  // namespace

ParameterLayout layout_parameters(const Graph& graph, const LoweringOptions& options) {
  ParameterLayout layout{.groups = {{.name = "decay", .segments = {}, .elements = 0},
                                    {.name = "plain", .segments = {}, .elements = 0},
                                    {.name = "frozen", .segments = {}, .elements = 0},
                                    {.name = "statistics", .segments = {}, .elements = 0}},
                         .places = std::vector<std::vector<ParameterPlace>>(graph.nodes.size())};
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const bool frozen = !options.frozen.empty() && options.frozen[n];
    for (const Parameter& parameter : graph.nodes[n].parameters) {
      const int index = group_of(parameter, frozen, options.train.decay_norm_and_bias);
      ParameterGroup& group = layout.groups[static_cast<std::size_t>(index)];
      const std::int64_t count = parameter.shape.elements();
      const std::int64_t begin = (group.elements + kAlignmentElements - 1) / kAlignmentElements * kAlignmentElements;
      group.segments.push_back({.begin = begin, .count = count});
      group.elements = begin + count;
      layout.places[n].push_back({.group = index, .element = begin});
    }
  }
  return layout;
}

ParameterTensors add_parameter_tensors(ProgramBuilder& builder, const Graph& graph, const ParameterLayout& layout,
                                       std::initializer_list<int> groups, const ProgramBuilder::NewTensor& like,
                                       std::string_view prefix) {
  ParameterTensors tensors;
  tensors.flat.resize(layout.groups.size());
  for (const int index : groups) {
    const ParameterGroup& group = layout.groups[static_cast<std::size_t>(index)];
    if (group.elements == 0) continue;
    ProgramBuilder::NewTensor flat = like;
    flat.name = like.name + "." + group.name;
    flat.shape = {group.elements};
    tensors.flat[static_cast<std::size_t>(index)] = builder.add_tensor(flat);
  }
  tensors.by_node.resize(graph.nodes.size());
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    tensors.by_node[n].resize(node.parameters.size());
    for (std::size_t p = 0; p < node.parameters.size(); ++p) {
      const ParameterPlace& place = layout.places[n][p];
      const TensorId flat = tensors.flat[static_cast<std::size_t>(place.group)];
      if (!flat.valid()) continue;
      ProgramBuilder::NewTensor view = like;
      view.name = std::string(prefix) + node.parameters[p].name;
      view.shape = node.parameters[p].shape;
      view.layer = node.layer;
      tensors.by_node[n][p] =
          builder.add_view(view, builder.program()[flat].view.storage, place.element * size_bytes(like.dtype));
    }
  }
  return tensors;
}

}  // namespace snug
