// Short ways to write layers in tests.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"
#include "snug/config.h"

namespace snug::test {

template <class What>
LayerConfig layer(What what, LayerNames names = {}) {
  LayerConfig config{.where = {.file = "net.toml", .line = 1, .column = 1}, .names = std::move(names)};
  config.what = std::move(what);
  return config;
}

/// The layer with a place of its own, and keys that stand behind it.
template <class What>
LayerConfig layer_at(int line, std::vector<std::string> keys, What what, LayerNames names = {}) {
  LayerConfig config = layer(std::move(what), std::move(names));
  config.where = {.file = "net.toml", .line = line, .column = 3};
  int column = 3;
  for (const std::string& key : keys) config.keys[key] = {.file = "net.toml", .line = line, .column = column += 10};
  return config;
}

inline LayerNames named(std::string name) { return {.name = std::move(name)}; }

struct Built {
  Graph graph;
  std::vector<Diagnostic> findings;
};
inline Built build(std::array<std::int64_t, 3> input, LayerList layers) {
  Built built;
  built.graph = build_graph({.input = input, .layers = std::move(layers)}, built.findings);
  return built;
}

/// The names of all parameters and running statistics in order.
inline std::vector<std::string> parameter_names(const Graph& graph) {
  std::vector<std::string> names;
  for (const Node& node : graph.nodes) {
    for (const Parameter& parameter : node.parameters) names.push_back(parameter.name);
  }
  return names;
}
inline std::int64_t parameters(const Graph& graph) {
  std::int64_t count = 0;
  for (const Node& node : graph.nodes) count += parameter_count(node);
  return count;
}
inline std::int64_t flops(const Graph& graph) {
  std::int64_t count = 0;
  for (const Node& node : graph.nodes) count += forward_flops(graph, node);
  return count;
}

}  // namespace snug::test
