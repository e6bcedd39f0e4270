// Composite layers: groups, repeats, residuals, branches, squeeze-excite.
#include <utility>

#include <fmt/format.h>

#include "graph/builder.h"
#include "graph/findings.h"

namespace snug {

namespace {

/// "denselayer{}" with the number of the turn; the number alone by default.
std::string turn_name(const LayerNames& names, std::int64_t turn) {
  std::string number = std::to_string(names.first + turn);
  if (!names.turn) return number;
  std::string name = *names.turn;
  const std::size_t braces = name.find("{}");
  return braces == std::string::npos ? name : name.replace(braces, 2, number);
}

/// The rate of a residual in its turn: linear from the first turn of the repeat to the last.
double drop_rate(const ResidualLayer& residual, const Scope& scope) {
  if (!residual.stochastic_depth_last || scope.turns < 2) return residual.stochastic_depth;
  const double part = static_cast<double>(scope.turn) / static_cast<double>(scope.turns - 1);
  return residual.stochastic_depth + (*residual.stochastic_depth_last - residual.stochastic_depth) * part;
}

}  // namespace

GraphBuilder::Result GraphBuilder::expand(const Written& layer, const BlockLayer& block, NodeId input) {
  if (block.repeat == 0) {
    return expand_list(block.layers, input,
                       {.prefix = layer.path, .turn = layer.scope.turn, .turns = layer.scope.turns});
  }
  NodeId last = input;
  for (std::int64_t turn = 0; turn < block.repeat; ++turn) {
    const Result next = expand_list(
        block.layers, last,
        {.prefix = join_path(layer.path, turn_name(layer.config.names, turn)), .turn = turn, .turns = block.repeat});
    if (!next) return next;
    last = *next;
  }
  return last;
}

GraphBuilder::Result GraphBuilder::expand(const Written& layer, const ResidualLayer& residual, NodeId input) {
  const LayerNames& names = layer.config.names;
  const auto inside = [&layer](std::string_view part) {
    return Scope{.prefix = join_path(layer.path, part), .turn = layer.scope.turn, .turns = layer.scope.turns};
  };
  if (residual.stochastic_depth_last && layer.scope.turns == 0) {
    const std::string what =
        fmt::format("stochastic_depth = [{}, {}] runs over the turns of a repeat, but there is none",
                    residual.stochastic_depth, *residual.stochastic_depth_last);
    return fault(finding("A108", place(layer.config, "stochastic_depth"), layer_text(layer.path, what),
                         fmt::format("stochastic_depth = {}", *residual.stochastic_depth_last)));
  }
  const std::size_t first_node = graph_.nodes.size();
  const Result body = expand_list(residual.body, input, inside(names.body_name.value_or("body")));
  const bool strides = strides_between(first_node);
  const Result shortcut = expand_list(residual.shortcut, input, inside(names.shortcut_name.value_or("shortcut")));
  if (!body || !shortcut) return {};
  if (shape(*body) != shape(*shortcut)) {
    return fault(residual_finding(layer, shape(input), shape(*body), shape(*shortcut), strides));
  }

  const LayerId id = begin_layer(layer);
  Result last = body;
  if (const double rate = drop_rate(residual, layer.scope); rate > 0) {
    last = add(layer, {.op = NodeOp::dropout,
                       .attributes = DropoutAttributes{.rate = rate, .per_sample = true},
                       .inputs = {*last},
                       .path = join_path(layer.path, "stochastic_depth")});
  }
  if (last) last = add(layer, {.op = NodeOp::add, .inputs = {*last, *shortcut}, .path = layer.path});
  if (last) last = add_activation(layer, residual.activation, *last);
  if (last) end_layer(id, *last);
  return last;
}

/// Whether a window added since `first_node` skips pixels.
bool GraphBuilder::strides_between(std::size_t first_node) const {
  constexpr std::array<std::int64_t, 2> kEvery{1, 1};
  for (std::size_t i = first_node; i < graph_.nodes.size(); ++i) {
    const Attributes& attributes = graph_.nodes[i].attributes;
    if (const auto* conv = std::get_if<ConvAttributes>(&attributes); conv && conv->window.stride != kEvery) return true;
    if (const auto* pool = std::get_if<PoolAttributes>(&attributes); pool && pool->window.stride != kEvery) return true;
  }
  return false;
}

GraphBuilder::Result GraphBuilder::expand(const Written& layer, const BranchesLayer& branches, NodeId input) {
  const LayerNames& names = layer.config.names;
  std::vector<NodeId> ends;
  bool sound = true;
  for (std::size_t i = 0; i < branches.branches.size(); ++i) {
    const std::string part = i < names.branch_names.size() ? names.branch_names[i] : fmt::format("branch{}", i);
    const Result end =
        expand_list(branches.branches[i], input,
                    {.prefix = join_path(layer.path, part), .turn = layer.scope.turn, .turns = layer.scope.turns});
    if (end) ends.push_back(*end);
    sound = sound && end;  // the other branches are looked at too: their faults are their own
  }
  if (!sound) return {};
  const LayerId id = begin_layer(layer);
  Result last = ends.front();
  if (ends.size() > 1) last = add(layer, {.op = NodeOp::concat, .inputs = std::move(ends), .path = layer.path});
  if (last) end_layer(id, *last);
  return last;
}

GraphBuilder::Result GraphBuilder::add_pointwise(const Written& layer, std::string path, NodeId input,
                                                 std::int64_t filters) {
  return add(layer, {.op = NodeOp::conv,
                     .attributes = ConvAttributes{.bias = true},
                     .channels = filters,
                     .inputs = {input},
                     .path = std::move(path)});
}

GraphBuilder::Result GraphBuilder::expand(const Written& layer, const SqueezeExciteLayer& squeeze, NodeId input) {
  const LayerId id = begin_layer(layer);
  const LayerNames& names = layer.config.names;
  const std::int64_t channels = shape(input).back();
  Result last = add_pool(layer, join_path(layer.path, "squeeze"), input, {1, 1, channels});
  if (last) {
    last = add_pointwise(layer, join_path(layer.path, names.reduce_name.value_or("reduce")), *last, squeeze.reduced);
  }
  if (last) last = add_activation(layer, squeeze.activation, *last);
  if (last) last = add_pointwise(layer, join_path(layer.path, names.expand_name.value_or("expand")), *last, channels);
  if (last) last = add_activation(layer, Activation::sigmoid, *last);
  if (last) last = add(layer, {.op = NodeOp::scale_channels, .inputs = {input, *last}, .path = layer.path});
  if (last) end_layer(id, *last);
  return last;
}

}  // namespace snug
