// Expansion: from the list of layers to nodes in an order in which inputs come first.
#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "graph/builder.h"
#include "graph/findings.h"

namespace snug {

namespace {

constexpr std::size_t kMaxNodes = 100'000;  // far above any network; a repeat of a billion ends here

double elements(const Shape& shape) {
  double product = 1;
  for (const std::int64_t extent : shape.extents()) product *= static_cast<double>(extent);
  return product;
}

std::string input_text(const std::array<std::int64_t, 3>& input) {
  return fmt::format("[{}, {}, {}]", input[0], input[1], input[2]);
}

}  // namespace

std::string join_path(std::string_view prefix, std::string_view part) {
  if (prefix.empty()) return std::string(part);
  if (part.empty()) return std::string(prefix);
  return fmt::format("{}.{}", prefix, part);
}

Graph build_graph(const ModelConfig& model, std::vector<Diagnostic>& findings) {
  return GraphBuilder(model, findings).build();
}

Graph GraphBuilder::build() {
  graph_.input = model_.input;
  graph_.nodes.push_back(
      {.op = NodeOp::input, .output = {model_.input[0], model_.input[1], model_.input[2]}, .path = "input"});
  graph_.output = NodeId(0);
  const Position where = model_.layers.empty() ? Position{.file = model_.file.empty() ? "model.layers" : model_.file}
                                               : model_.layers.front().where;
  if (std::ranges::any_of(model_.input, [](std::int64_t extent) { return extent <= 0; }) ||
      elements(graph_.nodes.front().output) > kMaxElements) {
    findings_.push_back(finding("A110", where,
                                fmt::format("model.input = {} is not an image size", input_text(model_.input)),
                                "input = [32, 32, 3]   # height, width, channels"));
    return std::move(graph_);
  }
  if (model_.layers.empty()) {
    findings_.push_back(finding("A110", where, "the model has no layers", "layers = [ { dense = 10 } ]"));
    return std::move(graph_);
  }
  graph_.complete = expand_list(model_.layers, NodeId(0), {}).has_value();
  graph_.output = NodeId(static_cast<std::int64_t>(graph_.nodes.size()) - 1);
  name_nodes_apart();
  return std::move(graph_);
}

GraphBuilder::Result GraphBuilder::expand_list(const LayerList& layers, NodeId input, const Scope& scope) {
  NodeId last = input;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const Result next = expand_layer(layers[i], std::to_string(i), last, scope);
    if (!next) return {};
    last = *next;
  }
  return last;
}

GraphBuilder::Result GraphBuilder::expand_layer(const LayerConfig& layer, std::string_view part, NodeId input,
                                                const Scope& scope) {
  const Written written{layer, scope, join_path(scope.prefix, layer.names.name ? *layer.names.name : part)};
  if (auto wrong = value_finding(written)) return fault(*std::move(wrong));
  const Result output = std::visit([&](const auto& what) { return expand(written, what, input); }, layer.what);
  if (!output) drop_unfinished();
  return output;
}

GraphBuilder::Result GraphBuilder::add(const Written& layer, Node node) {
  if (graph_.nodes.size() >= kMaxNodes) {
    return fault(finding("A111", layer.config.where, fmt::format("the model has more than {} operations", kMaxNodes),
                         "repeat = 10"));
  }
  std::vector<Shape> inputs;
  inputs.reserve(node.inputs.size());
  for (const NodeId input : node.inputs) inputs.push_back(shape(input));
  const OpDefinition& definition = op_definition(node.op);
  const ShapeResult result = definition.shape(node, inputs);
  if (const auto* problem = std::get_if<ShapeProblem>(&result)) {
    return fault(shape_finding(layer, node, inputs, *problem));
  }
  node.output = std::get<Shape>(result);
  node.parameters = definition.parameters(node, inputs);
  double largest = elements(node.output);
  for (const Parameter& parameter : node.parameters) largest = std::max(largest, elements(parameter.shape));
  if (largest > kMaxElements) return fault(size_finding(layer, largest));
  const std::vector<Shape>& pieces = node.inputs.empty() ? flattened_[0] : flattened_[node.inputs.front().index()];
  if (node.op == NodeOp::dense) node.parameters.front().flattened_from = pieces;
  if (node.op == NodeOp::batchnorm) {
    for (Parameter& parameter : node.parameters) parameter.flattened_from = pieces;
  }
  if (!claim_names(layer, node)) return {};
  node.layer = layer_;
  flattened_.push_back(flattened_from(node));
  graph_.nodes.push_back(std::move(node));
  return NodeId(static_cast<std::int64_t>(graph_.nodes.size()) - 1);
}

/// The pieces of a flat output: see Parameter::flattened_from. `node` is not in the graph yet.
std::vector<Shape> GraphBuilder::flattened_from(const Node& node) const {
  if (node.output.rank() != 1) return {};
  const auto of_input = [&](std::size_t i) { return flattened_[node.inputs[i].index()]; };
  switch (node.op) {
    case NodeOp::flatten: {
      const Shape& input = shape(node.inputs[0]);
      return input.rank() == 3 ? std::vector{input} : of_input(0);
    }
    case NodeOp::batchnorm:
    case NodeOp::activation:
    case NodeOp::softmax:
    case NodeOp::dropout: return of_input(0);
    case NodeOp::add: return of_input(0) == of_input(1) ? of_input(0) : std::vector<Shape>{};
    case NodeOp::concat: return joined_from(node);
    case NodeOp::input:
    case NodeOp::conv:
    case NodeOp::dense:
    case NodeOp::maxpool:
    case NodeOp::avgpool:
    case NodeOp::adaptive_avgpool:
    case NodeOp::scale_channels: return {};
  }
  return {};
}

/// The pieces of all inputs; nothing where none of them is a flattened map.
std::vector<Shape> GraphBuilder::joined_from(const Node& concat) const {
  std::vector<Shape> pieces;
  bool maps = false;
  for (const NodeId input : concat.inputs) {
    const std::vector<Shape>& own = flattened_[input.index()];
    maps = maps || !own.empty();
    if (own.empty()) pieces.push_back(shape(input));
    pieces.insert(pieces.end(), own.begin(), own.end());
  }
  if (!maps) pieces.clear();
  return pieces;
}

/// Two tensors of a checkpoint cannot have one name.
bool GraphBuilder::claim_names(const Written& layer, const Node& node) {
  for (const Parameter& parameter : node.parameters) {
    const Position where = place(layer.config, "name");
    const auto [first, inserted] = parameter_names_.emplace(parameter.name, where);
    if (inserted) continue;
    const std::string what =
        fmt::format("its tensor '{}' has the name of one at line {}", elide(parameter.name, 60), first->second.line);
    fault(finding("A107", where, layer_text(layer.path, what),
                  fmt::format("name = \"{}_2\"   # a name of its own", layer.config.names.name.value_or("layer"))));
    return false;
  }
  return true;
}

/// Nodes without parameters may share a path (names may be empty); tensors are named by it, so it is made unique.
void GraphBuilder::name_nodes_apart() {
  std::set<std::string, std::less<>> taken;
  for (const Node& node : graph_.nodes) {
    if (!node.parameters.empty()) taken.insert(node.path);
  }
  for (Node& node : graph_.nodes) {
    if (!node.parameters.empty()) continue;
    std::string path = node.path;
    for (int number = 2; !taken.insert(path).second; ++number) path = fmt::format("{}#{}", node.path, number);
    node.path = std::move(path);
  }
}

LayerId GraphBuilder::begin_layer(const Written& layer) {
  graph_.layers.push_back({.path = layer.path.empty() ? std::string(layer_type(layer.config)) : layer.path,
                           .type = std::string(layer_type(layer.config)),
                           .where = layer.config.where});
  layer_ = LayerId(static_cast<std::int64_t>(graph_.layers.size()) - 1);
  return layer_;
}

void GraphBuilder::end_layer(LayerId id, NodeId output) { graph_.layers[id.index()].output = shape(output); }

GraphBuilder::Result GraphBuilder::fault(Diagnostic diagnostic) {
  findings_.push_back(std::move(diagnostic));
  return {};
}

/// The layer at fault and what it has added already do not stay in the graph.
void GraphBuilder::drop_unfinished() {
  while (!graph_.layers.empty() && graph_.layers.back().output.rank() == 0) {
    const LayerId id(static_cast<std::int64_t>(graph_.layers.size()) - 1);
    std::erase_if(graph_.nodes, [id](const Node& node) { return node.layer == id; });
    graph_.layers.pop_back();
  }
  flattened_.resize(graph_.nodes.size());
}

}  // namespace snug
