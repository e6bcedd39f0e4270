// What tests of lowering build their networks of.
#pragma once

#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "graph/graph.h"
#include "snug/config.h"

namespace snug::test {

LayerConfig layer(auto what) { return {.where = {}, .keys = {}, .names = {}, .what = std::move(what)}; }

/// The layers on images of 8×8×3, with a mean over pixels and five outputs behind them.
inline Graph net_of(LayerList layers) {
  layers.push_back(layer(GlobalAveragePoolLayer{}));
  layers.push_back(layer(DenseLayer{.units = 5}));
  std::vector<Diagnostic> findings;
  Graph graph = build_graph({.input = {8, 8, 3}, .layers = std::move(layers)}, findings);
  EXPECT_TRUE(findings.empty());
  return graph;
}

}  // namespace snug::test
