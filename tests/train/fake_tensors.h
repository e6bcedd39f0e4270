#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "lowering/lowering.h"
#include "train/parameters.h"

namespace snug {

/// Tensors by name without a runtime.
class FakeTensors : public TensorStore {
 public:
  /// Every parameter of `graph`, with a second tensor under each of `prefixes` for those that are trained.
  FakeTensors(const Graph& graph, const std::vector<std::string_view>& prefixes) {
    for (const Parameter* parameter : all_parameters(graph)) {
      const auto elements = static_cast<std::size_t>(parameter->shape.elements());
      values_[parameter->name].resize(elements);
      if (!parameter->trainable()) continue;
      for (const std::string_view prefix : prefixes) values_[std::string(prefix) + parameter->name].resize(elements);
    }
  }
  /// Different numbers everywhere.
  void count_up(float start) {
    for (auto& [name, values] : values_)
      for (float& value : values) value = start++;
  }
  [[nodiscard]] std::int64_t elements(std::string_view name) const override {
    const auto found = values_.find(name);
    return found == values_.end() ? 0 : std::ssize(found->second);
  }
  [[nodiscard]] std::span<const float> read(std::string_view name) override {
    const auto found = values_.find(name);
    return found == values_.end() ? std::span<const float>() : std::span<const float>(found->second);
  }
  void write(std::string_view name, std::span<const float> values) override {
    std::vector<float>& own = values_.find(name)->second;
    ASSERT_EQ(values.size(), own.size()) << name;
    own.assign(values.begin(), values.end());
  }
  [[nodiscard]] const std::map<std::string, std::vector<float>, std::less<>>& values() const { return values_; }

 private:
  std::map<std::string, std::vector<float>, std::less<>> values_;
};

/// A graph by hand: a grouped convolution with a norm, and a dense layer behind flatten.
inline Graph small_graph() {
  Graph graph;
  graph.input = {2, 3, 4};
  graph.nodes.resize(4);
  graph.nodes[1].op = NodeOp::conv;
  graph.nodes[1].layer = LayerId(0);
  graph.nodes[1].parameters = {
      {.name = "c.weight", .kind = ParameterKind::conv_weight, .shape = {4, 1, 2, 2}, .fan_in = 4, .fan_out = 8}};
  graph.nodes[2].op = NodeOp::batchnorm;
  graph.nodes[2].layer = LayerId(0);
  graph.nodes[2].parameters = {{.name = "n.weight", .kind = ParameterKind::norm_weight, .shape = {4}},
                               {.name = "n.bias", .kind = ParameterKind::norm_bias, .shape = {4}},
                               {.name = "n.running_mean", .kind = ParameterKind::running_mean, .shape = {4}},
                               {.name = "n.running_var", .kind = ParameterKind::running_var, .shape = {4}}};
  graph.nodes[3].op = NodeOp::dense;
  graph.nodes[3].layer = LayerId(1);
  graph.nodes[3].parameters = {{.name = "d.weight",
                                .kind = ParameterKind::dense_weight,
                                .shape = {2, 24},
                                .fan_in = 24,
                                .fan_out = 2,
                                .flattened_from = {{2, 3, 4}}},
                               {.name = "d.bias", .kind = ParameterKind::bias, .shape = {2}}};
  graph.output = NodeId(3);
  return graph;
}

}  // namespace snug
