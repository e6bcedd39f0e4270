// F: the last layer against the loss.
#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "base/text.h"
#include "check/families.h"

namespace snug {

namespace {

/// Positions of the layer that made a node.
const Layer& layer_of(const Graph& graph, NodeId id) { return graph.layers[graph[id].layer.index()]; }

/// Whether a node hands on its input's values, changed one by one or averaged: no weights lie between.
bool passes_on(NodeOp op) {
  switch (op) {
    case NodeOp::activation:
    case NodeOp::softmax:
    case NodeOp::maxpool:
    case NodeOp::avgpool:
    case NodeOp::adaptive_avgpool:
    case NodeOp::flatten:
    case NodeOp::dropout: return true;
    case NodeOp::input:
    case NodeOp::conv:
    case NodeOp::dense:
    case NodeOp::batchnorm:
    case NodeOp::add:
    case NodeOp::concat:
    case NodeOp::scale_channels: return false;
  }
  return false;
}

bool is_function(const Node& node, ActivationFunction function) {
  const auto* activation = std::get_if<ActivationAttributes>(&node.attributes);
  return activation != nullptr && activation->function == function;
}

bool has_parameters(const Graph& graph) {
  return std::ranges::any_of(graph.nodes, [](const Node& node) { return !node.parameters.empty(); });
}

/// Of a layer's own key, or of a layer that is nothing else.
std::string leave_out_activation(const Layer& layer, std::string_view name = {}) {
  if (layer.type == "activation") return "leave out this layer";
  return name.empty() ? "leave out the activation of this layer"
                      : fmt::format("leave out activation = \"{}\" of this layer", name);
}

/// The softmax or sigmoid that the values at `id` have been through since the last weights; not valid if none.
NodeId squashed_by(const Graph& graph, NodeId id) {
  while (passes_on(graph[id].op)) {
    if (graph[id].op == NodeOp::softmax || is_function(graph[id], ActivationFunction::sigmoid)) return id;
    id = graph[id].inputs[0];
  }
  return {};
}

/// What the loss itself puts on the values, and the loss for the other.
struct LossFunction {
  std::string_view own, other, other_loss;
};
LossFunction function_of(Loss loss) {
  if (is_crossentropy(loss)) return {"softmax", "sigmoid", "binary_crossentropy"};
  return {"sigmoid", "softmax", "categorical_crossentropy"};
}

void check_squashed(const Config& config, const Graph& graph, const Ending& ending, Findings& findings) {
  const NodeId found = squashed_by(graph, ending.logits);
  if (!found.valid()) return;
  const LossFunction function = function_of(config.train.loss);
  const std::string_view name = graph[found].op == NodeOp::softmax ? "softmax" : "sigmoid";
  const Layer& layer = layer_of(graph, found);
  if (name == function.own) {
    findings.push_back(
        finding("F103", layer.where,
                layer_text(layer.path, fmt::format("{} is applied twice before {}: values from 0 to 1 go "
                                                   "into another {}",
                                                   name, to_string(config.train.loss), name)),
                leave_out_activation(layer, name)));
    return;
  }
  findings.push_back(finding(
      "F102", layer.where,
      layer_text(layer.path,
                 fmt::format("ends in {}, but {} is a loss for {}", name, to_string(config.train.loss), function.own)),
      fmt::format("activation = \"{}\"   # or loss = \"{}\"", function.own, function.other_loss)));
}

void check_last_activation(const Config& config, const Graph& graph, Findings& findings) {
  NodeId id = graph.output;
  const bool squashed = graph[id].op == NodeOp::softmax || is_function(graph[id], ActivationFunction::sigmoid);
  if (squashed) id = graph[id].inputs[0];
  const Node& last = graph[id];
  if (last.op != NodeOp::activation || is_function(last, ActivationFunction::sigmoid)) return;
  const Layer& layer = layer_of(graph, id);
  findings.push_back(finding("F106", layer.where,
                             layer_text(layer.path, fmt::format("the network ends in an activation that limits what {} "
                                                                "can be given",
                                                                to_string(config.train.loss))),
                             leave_out_activation(layer), Severity::warning));
}

/// Values of a rectifier that are pooled into logits: published networks do it (SqueezeNet), and it costs the negative
/// half.
void check_pooled_activation(const Config& config, const Graph& graph, const Ending& ending, Findings& findings) {
  NodeId id = ending.logits;
  bool pooled = false;
  while (passes_on(graph[id].op) && graph[id].op != NodeOp::activation && graph[id].op != NodeOp::softmax) {
    pooled = pooled || graph[id].op == NodeOp::adaptive_avgpool || graph[id].op == NodeOp::avgpool;
    id = graph[id].inputs[0];
  }
  const bool rectifier =
      is_function(graph[id], ActivationFunction::relu) || is_function(graph[id], ActivationFunction::relu6);
  if (!pooled || !rectifier) return;
  const Layer& layer = layer_of(graph, id);
  findings.push_back(
      finding("F108", layer.where,
              layer_text(layer.path, fmt::format("the {} outputs for {} are pooled behind relu: none can "
                                                 "be below 0",
                                                 ending.outputs, to_string(config.train.loss))),
              "leave out activation = \"relu\" of this layer", Severity::note));
}

void check_last_dropout(const Graph& graph, Findings& findings) {
  const Node& last = graph[graph.output];
  const auto* dropout = std::get_if<DropoutAttributes>(&last.attributes);
  if (last.op != NodeOp::dropout || dropout == nullptr) return;
  const Layer& layer = layer_of(graph, graph.output);
  findings.push_back(finding("F110", layer.where,
                             layer_text(layer.path, fmt::format("dropout = {} behind the last layer zeroes that share "
                                                                "of the outputs in training",
                                                                dropout->rate)),
                             "leave out this layer, or put it before the last one", Severity::warning));
}

}  // namespace

std::optional<Ending> ending_of(const Graph& graph, Loss loss) {
  if (!graph.complete || graph.layers.empty() || !graph[graph.output].layer.valid() || !has_parameters(graph))
    return {};
  Ending ending{.logits = final_layer(graph, loss).logits};
  ending.output = graph[ending.logits].output;
  if (ending.output.rank() == 1) ending.outputs = ending.output.back();
  NodeId weights = graph.output;
  while (passes_on(graph[weights].op)) weights = graph[weights].inputs[0];
  const bool has_weights = graph[weights].op == NodeOp::dense || graph[weights].op == NodeOp::conv;
  const Layer& layer = layer_of(graph, has_weights ? weights : graph.output);
  ending.where = layer.where;
  ending.type = layer.type;
  return ending;
}

std::optional<OutputRange> range_of(const Graph& graph) {
  if (!graph[graph.output].layer.valid()) return {};
  const Node& last = graph[graph.output];
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  const auto made = [&](double least, double most, std::string_view name) {
    const Layer& layer = layer_of(graph, graph.output);
    return OutputRange{least, most, std::string(name), leave_out_activation(layer, name), layer.where};
  };
  if (last.op == NodeOp::softmax) return made(0, 1, "softmax");
  if (is_function(last, ActivationFunction::sigmoid)) return made(0, 1, "sigmoid");
  if (is_function(last, ActivationFunction::tanh)) return made(-1, 1, "tanh");
  if (is_function(last, ActivationFunction::relu)) return made(0, kInfinite, "relu");
  if (is_function(last, ActivationFunction::relu6)) return made(0, 6, "relu6");
  return {};
}

std::string outputs_line(const Config& config, const Ending& ending, std::int64_t count) {
  if (!config.model.file.empty() || config.positions.contains("model.classes")) {
    return fmt::format("classes = {}   # in [model]", count);
  }
  return fmt::format("{{ {} = {} }}   # as the last layer", ending.type == "conv" ? "conv" : "dense", count);
}

std::optional<std::int64_t> known_classes(const std::optional<DataSource>& source) {
  if (!source) return {};
  switch (source->format) {
    case DataFormat::cifar10:
    case DataFormat::synthetic: return 10;
    case DataFormat::cifar100: return 100;
    case DataFormat::idx:
    case DataFormat::numpy:
    case DataFormat::folder:
    case DataFormat::csv:
    case DataFormat::pack: return {};
  }
  return {};
}

std::optional<Diagnostic> outputs_finding(const Config& config, const Ending& ending, std::int64_t classes) {
  if (ending.outputs == classes) return {};
  return finding("F104", ending.where,
                 fmt::format("the network has {} outputs, the data has {} classes", format_count(ending.outputs),
                             format_count(classes)),
                 outputs_line(config, ending, classes), ending.outputs < classes ? Severity::error : Severity::warning);
}

void check_loss(const Config& config, const Graph& graph, Findings& findings) {
  const Loss loss = config.train.loss;
  if (graph.complete && !has_parameters(graph)) {
    findings.push_back(
        finding("A202", graph.layers.back().where,
                fmt::format("none of the {} layers has parameters: there is nothing to train", graph.layers.size()),
                "{ dense = 10 }   # behind the last layer"));
    return;
  }
  const auto ending = ending_of(graph, loss);
  if (!ending) return;
  if (ending->outputs == 0) {
    findings.push_back(finding("F101", layer_of(graph, graph.output).where,
                               fmt::format("the network ends in {} (height×width×channels); {} needs one row of values",
                                           to_string(ending->output), to_string(loss)),
                               "{ global_avgpool = true }, { dense = 10 }   # as the last layers"));
    return;
  }
  check_last_dropout(graph, findings);
  if (loss == Loss::mse) return;
  if (is_crossentropy(loss) && ending->outputs == 1) {
    findings.push_back(finding("F105", ending->where,
                               fmt::format("{} compares classes, and the network has 1 output", to_string(loss)),
                               "loss = \"binary_crossentropy\"   # in [train], or an output for each class"));
    return;
  }
  check_squashed(config, graph, *ending, findings);
  check_last_activation(config, graph, findings);
  check_pooled_activation(config, graph, *ending, findings);
  if (!is_crossentropy(loss)) return;
  if (const auto classes = known_classes(config.data.train)) {
    if (auto found = outputs_finding(config, *ending, *classes)) findings.push_back(*std::move(found));
  }
}

}  // namespace snug
