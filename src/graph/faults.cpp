// What can be wrong with a layer, as findings: place, both sides with numbers, a line to paste.
#include <algorithm>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "graph/builder.h"
#include "graph/findings.h"

namespace snug {

namespace {

std::string extent_text(const Extent2& extent) { return fmt::format("{}×{}", extent[0], extent[1]); }
/// "5" for a square.
std::string kernel_text(const Extent2& extent) {
  return extent[0] == extent[1] ? std::to_string(extent[0]) : extent_text(extent);
}
std::string extent_value(const Extent2& extent) {
  return extent[0] == extent[1] ? std::to_string(extent[0]) : fmt::format("[{}, {}]", extent[0], extent[1]);
}

/// The key that states the size of a layer's window.
std::string_view window_key(const LayerConfig& layer) {
  const std::string_view type = layer_type(layer);
  return type == "conv" ? "kernel" : type;
}

const Window* window_of(const Node& node) {
  if (const auto* conv = std::get_if<ConvAttributes>(&node.attributes)) return &conv->window;
  if (const auto* pool = std::get_if<PoolAttributes>(&node.attributes)) return &pool->window;
  return nullptr;
}

/// Rows and columns with the window's padding.
Extent2 padded_extent(const Window& window, const Shape& input) {
  return {input[0] + window.pad_begin[0] + window.pad_end[0], input[1] + window.pad_begin[1] + window.pad_end[1]};
}

/// A window that is larger than its input: the arithmetic, and the largest that fits.
Diagnostic window_finding(const Written& layer, const Window& window, const Shape& input) {
  const Extent2 padded = padded_extent(window, input);
  const std::string_view key = window_key(layer.config);
  Extent2 reach{};
  Extent2 largest{};
  for (std::size_t axis = 0; axis < 2; ++axis) {
    reach[axis] = window.dilation[axis] * (window.kernel[axis] - 1) + 1;
    largest[axis] = std::min(window.kernel[axis], (padded[axis] - 1) / window.dilation[axis] + 1);
  }
  if (window.kernel[0] == window.kernel[1]) largest[0] = largest[1] = std::min(largest[0], largest[1]);

  std::string what = fmt::format("{} {} on {}×{} input", key, kernel_text(window.kernel), input[0], input[1]);
  if (reach != window.kernel) what += fmt::format(" reaches over {} with its dilation", extent_text(reach));
  if (padded != Extent2{input[0], input[1]}) what += fmt::format(", {} with padding", extent_text(padded));
  what += ": it does not fit";

  std::string fix = fmt::format("{} = {}   # the largest that fits", key, extent_value(largest));
  if (std::holds_alternative<ConvLayer>(layer.config.what)) fix += ", or padding = \"same\"";
  if (largest == Extent2{1, 1}) {  // a window of one pixel does nothing
    fix = layer.scope.turn > 0
              ? fmt::format("repeat = {}   # so many turns fit", layer.scope.turn)
              : fmt::format("remove this {}: its input has shrunk to {}×{} already, or stride less before it",
                            layer_type(layer.config), input[0], input[1]);
  }
  return finding("A101", place(layer.config, key), layer_text(layer.path, what), std::move(fix));
}

Diagnostic groups_finding(const Written& layer, std::int64_t groups, std::int64_t channels, std::int64_t filters) {
  std::int64_t divisor = std::gcd(channels, filters);
  const std::int64_t common = divisor;
  while (divisor > groups || common % divisor != 0) --divisor;
  return finding("A102", place(layer.config, "groups"),
                 layer_text(layer.path, fmt::format("groups = {} must divide both {} input channels and {} filters",
                                                    groups, channels, filters)),
                 fmt::format("groups = {}", divisor));
}

}  // namespace

Diagnostic shape_finding(const Written& layer, const Node& node, std::span<const Shape> inputs,
                         const ShapeProblem& problem) {
  const Shape& input = inputs.front();
  const Window* window = window_of(node);
  if (window != nullptr && input.rank() == 3) {
    if (window_extent(*window, 0, input[0]) <= 0 || window_extent(*window, 1, input[1]) <= 0) {
      return window_finding(layer, *window, input);
    }
    if (node.op == NodeOp::conv) {
      return groups_finding(layer, std::get<ConvAttributes>(node.attributes).groups, input.back(), node.channels);
    }
  }
  const bool joins = node.op == NodeOp::concat;
  const char* code = joins ? "A106" : node.op == NodeOp::dense ? "A104" : input.rank() == 1 ? "A103" : "A101";
  return finding(code, place(layer.config, layer_type(layer.config)), layer_text(layer.path, problem.what),
                 problem.fix);
}

Diagnostic residual_finding(const Written& layer, const Shape& input, const Shape& body, const Shape& shortcut,
                            bool body_strides) {
  const bool identity = std::get<ResidualLayer>(layer.config.what).shortcut.empty();
  std::string fix = "make both sides end in the same shape: { flatten = true } in both, or in neither";
  if (body.rank() == 1 && input.rank() == 1) fix = fmt::format("shortcut = [ {{ dense = {} }} ]", body.back());
  if (body.rank() == 3 && input.rank() == 3) {
    std::int64_t stride = 1;  // the one with which a 1×1 convolution of the input gives the body's size
    const auto fits = [&](std::int64_t step) {
      return (input[0] - 1) / step + 1 == body[0] && (input[1] - 1) / step + 1 == body[1];
    };
    while (stride <= std::max(input[0], input[1]) && !fits(stride)) ++stride;
    const bool shortcut_helps = fits(stride) && (stride == 1 || body_strides);
    fix = shortcut_helps ? fmt::format("shortcut = [ {{ conv = {}, kernel = 1, stride = {}, norm = \"batch\" }} ]",
                                       body.back(), stride)
                         : "padding = \"same\"   # in every layer of the residual whose kernel is larger than 1";
  }
  return finding(
      "A105", place(layer.config, identity ? "residual" : "shortcut"),
      layer_text(layer.path, fmt::format("the body ends in {}, the {} in {}: a sum needs equal shapes", to_string(body),
                                         identity ? "identity shortcut" : "shortcut", to_string(shortcut))),
      std::move(fix));
}

Diagnostic size_finding(const Written& layer, double elements) {
  return finding("A111", place(layer.config, layer_type(layer.config)),
                 layer_text(layer.path, fmt::format("a tensor of {:.3g} values fits no memory (at most {:.3g})",
                                                    elements, kMaxElements)),
                 "fewer filters or units, or more pooling before this layer");
}

namespace {

constexpr std::int64_t kMaxWindow = 16'384;      // pixels of kernels, strides, paddings: beyond any image
constexpr std::int64_t kMaxCount = 0x7FFF'FFFF;  // filters and units: what libraries count with

struct Range {
  std::string_view key;
  std::int64_t value = 0, least = 1, most = kMaxWindow;
};

std::optional<Diagnostic> first_out_of_range(const Written& layer, std::initializer_list<Range> ranges) {
  for (const Range& range : ranges) {
    if (range.value >= range.least && range.value <= range.most) continue;
    return finding("A112", place(layer.config, range.key),
                   layer_text(layer.path, fmt::format("{} = {} is not in {} … {}", range.key, range.value, range.least,
                                                      range.most)),
                   fmt::format("{} = {}", range.key, std::clamp(range.value, range.least, range.most)));
  }
  return {};
}

/// PyTorch has the same rule: a window must not lie in the padding alone.
std::optional<Diagnostic> pool_padding_finding(const Written& layer, const PoolLayer& pool) {
  if (pool.padding.kind != Padding::Kind::number) return {};
  for (std::size_t axis = 0; axis < 2; ++axis) {
    if (pool.padding.pixels[axis] * 2 <= pool.size[axis]) continue;
    return finding(
        "A109", place(layer.config, "padding"),
        layer_text(layer.path, fmt::format("padding {} is more than half of the window of {}: a window would "
                                           "hold padding alone",
                                           pool.padding.pixels[axis], extent_text(pool.size))),
        fmt::format("padding = {}", extent_value({pool.size[0] / 2, pool.size[1] / 2})));
  }
  return {};
}

/// Looks at what is written, without shapes; nothing when all is well.
struct ValueCheck {
  const Written& layer;
  using Found = std::optional<Diagnostic>;

  [[nodiscard]] Found empty(std::string_view key, std::string fix) const {
    return finding("A110", place(layer.config, key), layer_text(layer.path, fmt::format("its {} holds no layers", key)),
                   std::move(fix));
  }
  Found operator()(const ConvLayer& conv) const {
    const auto& pixels = conv.padding.pixels;
    const std::string_view kernel = window_key(layer.config);
    return first_out_of_range(
        layer, {{kernel, conv.kernel[0]},
                {kernel, conv.kernel[1]},
                {"stride", conv.stride[0]},
                {"stride", conv.stride[1]},
                {"dilation", conv.dilation[0]},
                {"dilation", conv.dilation[1]},
                {"padding", pixels[0], 0},
                {"padding", pixels[1], 0},
                {"groups", conv.groups, 1, kMaxCount},
                {conv.depthwise ? "multiplier" : "conv", conv.depthwise ? conv.multiplier : conv.filters, 1,
                 conv.depthwise ? kMaxWindow : kMaxCount}});
  }
  Found operator()(const DenseLayer& dense) const {
    return first_out_of_range(layer, {{"dense", dense.units, 1, kMaxCount}});
  }
  Found operator()(const PoolLayer& pool) const {
    const std::string_view size = window_key(layer.config);
    const auto& pixels = pool.padding.pixels;
    auto range = first_out_of_range(layer, {{size, pool.size[0]},
                                            {size, pool.size[1]},
                                            {"stride", pool.stride[0]},
                                            {"stride", pool.stride[1]},
                                            {"padding", pixels[0], 0},
                                            {"padding", pixels[1], 0}});
    return range ? range : pool_padding_finding(layer, pool);
  }
  Found operator()(const AdaptiveAveragePoolLayer& pool) const {
    return first_out_of_range(layer, {{"adaptive_avgpool", pool.size[0]}, {"adaptive_avgpool", pool.size[1]}});
  }
  Found operator()(const SqueezeExciteLayer& squeeze) const {
    return first_out_of_range(layer, {{"squeeze_excite", squeeze.reduced, 1, kMaxCount}});
  }
  Found operator()(const ResidualLayer& residual) const {
    if (residual.body.empty()) return empty("residual", "residual = [ { depthwise = 3, padding = \"same\" } ]");
    return {};
  }
  Found operator()(const BranchesLayer& branches) const {
    if (branches.branches.empty()) return empty("branches", "branches = [ [], [ { conv = 32, kernel = 1 } ] ]");
    return {};
  }
  Found operator()(const BlockLayer& block) const {
    if (block.layers.empty()) return empty("block", "block = [ { conv = 32, kernel = 3, padding = \"same\" } ]");
    if (block.repeat < 0) return first_out_of_range(layer, {{"repeat", block.repeat, 1, kMaxCount}});
    return {};
  }
  Found operator()(const DropoutLayer&) const { return {}; }
  Found operator()(const GlobalAveragePoolLayer&) const { return {}; }
  Found operator()(const FlattenLayer&) const { return {}; }
  Found operator()(const BatchNormLayer&) const { return {}; }
  Found operator()(const ActivationLayer&) const { return {}; }
};

}  // namespace

std::optional<Diagnostic> value_finding(const Written& layer) {
  return std::visit(ValueCheck{layer}, layer.config.what);
}

}  // namespace snug
