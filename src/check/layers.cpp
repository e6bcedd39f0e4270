// A: layers that can be computed and may not be meant.
#include <algorithm>
#include <map>
#include <string>

#include <fmt/format.h>

#include "base/text.h"
#include "check/families.h"

namespace snug {

namespace {

class LayerCheck {
 public:
  LayerCheck(const Graph& graph, Findings& findings)
      : graph_(graph), findings_(findings), readers_(graph.nodes.size()) {
    for (const Node& node : graph.nodes) {
      for (const NodeId input : node.inputs) ++readers_[input.index()];
      total_ += parameter_count(node);
    }
  }

  void look() {
    for (const Node& node : graph_.nodes) {
      if (!node.layer.valid()) continue;
      linear_pair(node);
      enormous_dense(node);
      skipping_stride(node);
      without_effect(node);
      norm_behind_norm(node);
      bias_before_norm(node);
    }
    for (auto& [code, told] : told_) {
      std::string text = told.what;
      if (told.places > 1) text += fmt::format(" (and {} layers more)", told.places - 1);
      told.finding.what = elide(layer_text(told.path, text), 160);
      findings_.push_back(std::move(told.finding));
    }
  }

 private:
  [[nodiscard]] const Layer& layer_of(const Node& node) const { return graph_.layers[node.layer.index()]; }
  [[nodiscard]] const Node& input_of(const Node& node) const { return graph_[node.inputs.front()]; }
  /// The first of its kind; the others have the same cause as a rule, and are counted.
  void tell(std::string_view code, const Node& node, std::string_view what, std::string fix, Severity severity) {
    const Layer& layer = layer_of(node);
    const auto [entry, is_new] = told_.try_emplace(std::string(code), Told{});
    if (layer.where.line == entry->second.last.line && layer.where.file == entry->second.last.file && !is_new) return;
    entry->second.last = layer.where;
    ++entry->second.places;
    if (!is_new) return;
    entry->second.path = layer.path;
    entry->second.what = what;
    entry->second.finding = finding(entry->first, layer.where, what, std::move(fix), severity);
  }

  /// What only hands values on and is linear.
  [[nodiscard]] static bool is_transparent(NodeOp op) {
    return op == NodeOp::flatten || op == NodeOp::dropout || op == NodeOp::avgpool || op == NodeOp::adaptive_avgpool;
  }
  [[nodiscard]] static bool is_pointwise(const Node& node) {
    const auto* conv = std::get_if<ConvAttributes>(&node.attributes);
    return conv != nullptr && conv->groups == 1 && conv->window.kernel == std::array<std::int64_t, 2>{1, 1};
  }

  /// Two dense layers, or two convolutions, with nothing between are one. A low rank, a depthwise pair and a 1×1 that
  /// follows a grouped one are meant.
  void linear_pair(const Node& node) {
    if (node.op != NodeOp::dense && node.op != NodeOp::conv) return;
    const Node* before = &input_of(node);
    while (is_transparent(before->op)) before = &input_of(*before);
    if (before->op != node.op || !before->layer.valid() || before->layer == node.layer) return;
    const auto* conv = std::get_if<ConvAttributes>(&node.attributes);
    const auto* other = std::get_if<ConvAttributes>(&before->attributes);
    if (conv != nullptr && (conv->groups > 1 || other->groups > 1)) return;
    const std::int64_t width = before->channels;
    const std::int64_t in = before->parameters.front().fan_in;
    if (width < in / 4 && width < node.channels) return;  // a bottleneck: a low rank is meant
    tell("A203", *before,
         fmt::format("{} and '{}' are linear with nothing between: two layers that are worth one",
                     layer_of(*before).type, elide(layer_of(node).path, 40)),
         "activation = \"relu\"", Severity::note);
  }

  void enormous_dense(const Node& node) {
    constexpr std::int64_t kLarge = 5'000'000;
    constexpr double kShare = 0.8;
    if (node.op != NodeOp::dense) return;
    const Node* before = &input_of(node);
    while (before->op == NodeOp::dropout || before->op == NodeOp::activation) before = &input_of(*before);
    const std::int64_t count = parameter_count(node);
    const double share = static_cast<double>(count) / static_cast<double>(std::max<std::int64_t>(1, total_));
    if (before->op != NodeOp::flatten || count < kLarge || share < kShare) return;
    tell("A204", node,
         fmt::format("dense {} behind flatten of {} values has {} of {} parameters ({:.0f} %)",
                     format_count(node.channels), format_count(before->output.elements()), format_count(count),
                     format_count(total_), 100 * share),
         "{ global_avgpool = true }   # instead of flatten, or more pooling before it", Severity::note);
  }

  void skipping_stride(const Node& node) {
    const Window* window = nullptr;
    if (const auto* conv = std::get_if<ConvAttributes>(&node.attributes)) window = &conv->window;
    if (const auto* pool = std::get_if<PoolAttributes>(&node.attributes)) window = &pool->window;
    if (window == nullptr || input_of(node).output.rank() != 3) return;
    const Shape& in = input_of(node).output;
    double read = 1;
    for (std::size_t axis = 0; axis < 2; ++axis) {
      if (in[static_cast<int>(axis)] <= window->kernel[axis]) continue;
      read *= std::min(1.0, static_cast<double>(window->kernel[axis]) / static_cast<double>(window->stride[axis]));
    }
    // 1×1 with stride 2 is how residual networks shorten.
    if (read > 0.3 || (is_pointwise(node) && window->stride == std::array<std::int64_t, 2>{2, 2})) return;
    tell("A205", node,
         fmt::format("kernel {}×{} with stride {}×{} reads {:.0f} % of its {}×{} input", window->kernel[0],
                     window->kernel[1], window->stride[0], window->stride[1], 100 * read, in[0], in[1]),
         fmt::format("stride = {}", std::max<std::int64_t>(1, window->kernel[0])), Severity::note);
  }

  /// Layers whose output is their input.
  void without_effect(const Node& node) {
    std::string what;
    const auto* pool = std::get_if<PoolAttributes>(&node.attributes);
    if (pool != nullptr && pool->window.kernel == std::array<std::int64_t, 2>{1, 1} &&
        pool->window.stride == std::array<std::int64_t, 2>{1, 1}) {
      what = fmt::format("{} of 1×1 hands its input on as it is", layer_of(node).type);
    }
    const auto* activation = std::get_if<ActivationAttributes>(&node.attributes);
    if (activation != nullptr && input_of(node).op == NodeOp::activation) {
      const auto before = std::get<ActivationAttributes>(input_of(node).attributes).function;
      const bool positive = before == ActivationFunction::relu || before == ActivationFunction::relu6 ||
                            before == ActivationFunction::sigmoid;
      const auto own = activation->function;
      if (positive && (own == ActivationFunction::relu || own == ActivationFunction::leaky_relu)) {
        what = "its input went through an activation before: nothing is left for this one to change";
      }
    }
    if (node.op == NodeOp::flatten && input_of(node).output.rank() == 1) {
      tell("A206", node, "flatten of what is flat already changes nothing", "leave out this layer", Severity::note);
      return;
    }
    if (!what.empty()) tell("A206", node, what, "leave out this layer", Severity::warning);
  }

  void norm_behind_norm(const Node& node) {
    if (node.op != NodeOp::batchnorm || input_of(node).op != NodeOp::batchnorm) return;
    tell("A206", node, "BatchNorm right behind BatchNorm: its input is normalised already", "leave out this layer",
         Severity::warning);
  }

  /// The norm takes the mean away again.
  void bias_before_norm(const Node& node) {
    if (node.op != NodeOp::batchnorm) return;
    const Node& before = input_of(node);
    const auto* conv = std::get_if<ConvAttributes>(&before.attributes);
    const auto* dense = std::get_if<DenseAttributes>(&before.attributes);
    const bool bias = (conv != nullptr && conv->bias) || (dense != nullptr && dense->bias);
    if (!bias || readers_[node.inputs.front().index()] > 1) return;
    tell("A207", before, "a bias in front of BatchNorm, which takes every mean away: it changes nothing",
         "bias = false", Severity::note);
  }

  struct Told {
    Diagnostic finding;
    std::string path, what;
    Position last;
    std::int64_t places = 0;
  };

  const Graph& graph_;
  Findings& findings_;
  std::map<std::string, Told> told_;
  std::vector<int> readers_;
  std::int64_t total_ = 0;
};

}  // namespace

void check_layers(const Graph& graph, Findings& findings) {
  if (graph.complete) LayerCheck(graph, findings).look();
}

}  // namespace snug
