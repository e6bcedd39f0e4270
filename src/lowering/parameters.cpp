#include "lowering/parameters.h"

#include <algorithm>

namespace snug {

namespace {

// 16 elements: 64 bytes in fp32, a cache line, and more than any vector load asks for.
constexpr std::int64_t kAlignmentElements = 16;

bool is_weight(const Parameter& parameter) {
  return parameter.kind == ParameterKind::conv_weight || parameter.kind == ParameterKind::dense_weight;
}

int group_of(const Parameter& parameter, bool frozen, bool decay_all) {
  if (!parameter.trainable()) return kStatistics;
  if (frozen) return kFrozen;
  return parameter.decays() || decay_all ? kDecay : kPlain;
}

/// Appends a parameter to its group.
ParameterPlace place(ParameterLayout& layout, const Parameter& parameter, int index) {
  ParameterGroup& group = layout.groups[static_cast<std::size_t>(index)];
  const std::int64_t count = parameter.shape.elements();
  const std::int64_t begin = (group.elements + kAlignmentElements - 1) / kAlignmentElements * kAlignmentElements;
  group.segments.push_back({.begin = begin, .count = count});
  group.elements = begin + count;
  group.weights += is_weight(parameter) ? 1 : 0;
  return {.group = index, .element = begin};
}

}  // namespace

ParameterLayout layout_parameters(const Graph& graph, const LoweringOptions& options) {
  ParameterLayout layout{.groups = {{.name = "decay", .segments = {}},
                                    {.name = "plain", .segments = {}},
                                    {.name = "frozen", .segments = {}},
                                    {.name = "statistics", .segments = {}}},
                         .places = std::vector<std::vector<ParameterPlace>>(graph.nodes.size())};
  for (const bool weights : {true, false}) {
    for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
      const bool frozen = !options.frozen.empty() && options.frozen[n];
      const std::vector<Parameter>& parameters = graph.nodes[n].parameters;
      layout.places[n].resize(parameters.size());
      for (std::size_t p = 0; p < parameters.size(); ++p) {
        if (is_weight(parameters[p]) != weights) continue;
        const int index = group_of(parameters[p], frozen, options.train.decay_norm_and_bias);
        layout.places[n][p] = place(layout, parameters[p], index);
      }
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

namespace {

/// The head of a group with its weights, as the flat copy; and the step that fills it.
TensorId add_flat_copy(ProgramBuilder& builder, const ParameterGroup& group, TensorId master, DType dtype,
                       Phase phase) {
  const Segments weights(group.segments.begin(), group.segments.begin() + static_cast<std::ptrdiff_t>(group.weights));
  const Shape head{weights.back().begin + weights.back().count};
  const TensorInfo info = builder.program()[master];
  const TensorId from =
      builder.add_view({.name = info.name + ":head", .shape = head, .dtype = info.dtype, .role = info.role},
                       info.view.storage, info.view.offset_bytes);
  const TensorId copy = builder.add_tensor({.name = "copies." + group.name,
                                            .shape = head,
                                            .dtype = dtype,
                                            .role = Role::weight,
                                            .arena = Arena::persistent});
  builder.add_step({.op = Op::cast,
                    .phase = phase,
                    .attributes = CastAttributes{.segments = weights},
                    .operands = {{from}, {copy, Access::out}}});
  return copy;
}

}  // namespace

ParameterTensors add_weight_copies(ProgramBuilder& builder, const Graph& graph, const ParameterLayout& layout,
                                   const ParameterTensors& masters, DType dtype, Phase phase) {
  ParameterTensors copies;
  copies.flat.resize(layout.groups.size());
  for (std::size_t g = 0; g < layout.groups.size(); ++g) {
    if (layout.groups[g].weights == 0) continue;
    copies.flat[g] = add_flat_copy(builder, layout.groups[g], masters.flat[g], dtype, phase);
  }
  copies.by_node.resize(graph.nodes.size());
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const std::vector<Parameter>& parameters = graph.nodes[n].parameters;
    copies.by_node[n].resize(parameters.size());
    for (std::size_t p = 0; p < parameters.size(); ++p) {
      if (!is_weight(parameters[p])) continue;
      const ParameterPlace& place = layout.places[n][p];
      const TensorId flat = copies.flat[static_cast<std::size_t>(place.group)];
      copies.by_node[n][p] = builder.add_view({.name = "copy:" + parameters[p].name,
                                               .shape = parameters[p].shape,
                                               .dtype = dtype,
                                               .role = Role::weight,
                                               .layer = graph.nodes[n].layer},
                                              builder.program()[flat].view.storage, place.element * size_bytes(dtype));
    }
  }
  return copies;
}

}  // namespace snug
