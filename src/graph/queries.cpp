// Questions about a finished graph: what is frozen, where the loss is taken, what it costs.
#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "graph/findings.h"
#include "graph/graph.h"

namespace snug {

namespace {

/// Whether `path` is `name` or lies below it.
bool below(std::string_view path, std::string_view name) {
  return path.starts_with(name) && (path.size() == name.size() || path[name.size()] == '.');
}

/// The last layer that has parameters; not valid without one.
LayerId last_trained_layer(const Graph& graph) {
  LayerId last;
  for (const Node& node : graph.nodes) {
    if (!node.parameters.empty()) last = node.layer;
  }
  return last;
}

std::vector<std::string> paths_of(const Graph& graph) {
  std::vector<std::string> paths{"backbone"};
  for (const Node& node : graph.nodes) {
    if (node.parameters.empty()) continue;
    paths.push_back(node.path);
    for (std::size_t dot = node.path.find('.'); dot != std::string::npos; dot = node.path.find('.', dot + 1)) {
      paths.push_back(node.path.substr(0, dot));
    }
  }
  return paths;
}

}  // namespace

std::vector<bool> frozen_nodes(const Graph& graph, std::span<const std::string> names, const Position& where,
                               std::vector<Diagnostic>& findings) {
  std::vector<bool> frozen(graph.nodes.size(), false);
  const LayerId last = last_trained_layer(graph);
  for (const std::string& name : names) {
    bool matched = name == "backbone";
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      const Node& node = graph.nodes[i];
      if (node.parameters.empty()) continue;
      const bool named = name == "backbone"
                             ? node.layer != last
                             : below(node.path, name) || below(graph.layers[node.layer.index()].path, name);
      if (!named) continue;
      frozen[i] = true;
      matched = true;
    }
    if (matched) continue;
    const std::vector<std::string> paths = paths_of(graph);
    findings.push_back(finding(
        "T120", where, fmt::format("freeze names '{}', but no layer with parameters has this path", elide(name, 60)),
        fmt::format("freeze = [\"{}\"]", nearest(name, paths).value_or("backbone"))));
  }
  return frozen;
}

FinalLayer final_layer(const Graph& graph, Loss loss) {
  const Node& last = graph[graph.output];
  const bool crossentropy = loss == Loss::sparse_categorical_crossentropy || loss == Loss::categorical_crossentropy;
  if (last.op == NodeOp::softmax && crossentropy) return {.logits = last.inputs[0], .softmax = true};
  const auto* activation = std::get_if<ActivationAttributes>(&last.attributes);
  if (activation != nullptr && activation->function == ActivationFunction::sigmoid &&
      loss == Loss::binary_crossentropy) {
    return {.logits = last.inputs[0], .sigmoid = true};
  }
  return {.logits = graph.output};
}

std::int64_t forward_flops(const Graph& /*graph*/, const Node& node) {
  if (node.op != NodeOp::conv && node.op != NodeOp::dense) return 0;
  const std::int64_t places = node.output.elements() / node.channels;  // at which the whole weight is applied
  return 2 * places * node.parameters.front().shape.elements();
}

std::int64_t parameter_count(const Node& node) {
  std::int64_t count = 0;
  for (const Parameter& parameter : node.parameters) {
    if (parameter.trainable()) count += parameter.shape.elements();
  }
  return count;
}

}  // namespace snug
