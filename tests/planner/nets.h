// Small networks for tests of planning and running.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/ensure.h"
#include "graph/graph.h"
#include "snug/config.h"

namespace snug::test {

template <class T>
LayerConfig layer(T what) {
  LayerConfig made;
  made.what = std::move(what);
  return made;
}

inline LayerConfig conv(std::int64_t filters, bool norm = false, Activation activation = Activation::relu,
                        std::int64_t stride = 1) {
  ConvLayer made;
  made.filters = filters;
  made.kernel = {3, 3};
  made.stride = {stride, stride};
  made.padding.kind = Padding::Kind::same;
  made.norm = norm;
  made.activation = activation;
  return layer(made);
}

inline LayerConfig residual(LayerList body, LayerList shortcut = {}) {
  ResidualLayer made;
  made.body = std::move(body);
  made.shortcut = std::move(shortcut);
  made.activation = Activation::relu;
  return layer(std::move(made));
}

inline LayerConfig dense(std::int64_t units, Activation activation = Activation::identity) {
  DenseLayer made;
  made.units = units;
  made.activation = activation;
  return layer(made);
}

inline Graph graph_of(const ModelConfig& model) {
  std::vector<Diagnostic> findings;
  Graph graph = build_graph(model, findings);
  ensure(findings.empty(), findings.empty() ? "" : findings.front().what);
  return graph;
}

/// 12×12×3 → 5 classes: two convolutions, a residual block, pooling, dense. `norm`: with batch norms.
inline Graph small_net(bool norm) {
  ModelConfig model;
  model.input = {12, 12, 3};
  model.layers = {conv(8, norm),
                  layer(PoolLayer{}),
                  residual({conv(8, norm), conv(8, norm, Activation::identity)}),
                  conv(16, norm, Activation::relu, 2),
                  layer(GlobalAveragePoolLayer{}),
                  dense(5)};
  return graph_of(model);
}

/// Branches, dropout, squeeze-excite, average pooling, other activations, flatten.
inline Graph odd_net() {
  ModelConfig model;
  model.input = {8, 10, 2};
  BranchesLayer branches;
  branches.branches = {{}, {conv(6, true, Activation::silu)}, {conv(4, false, Activation::gelu)}};
  SqueezeExciteLayer gate;
  gate.reduced = 3;
  PoolLayer average;
  average.average = true;
  DropoutLayer dropout;
  dropout.rate = 0.3;
  model.layers = {layer(std::move(branches)),
                  layer(gate),
                  residual({conv(12, true)}),
                  layer(average),
                  conv(7, true, Activation::leaky_relu),
                  layer(FlattenLayer{}),
                  layer(dropout),
                  dense(9, Activation::tanh),
                  dense(4)};
  return graph_of(model);
}

}  // namespace snug::test
