#include <algorithm>
#include <iterator>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "config/sections.h"
#include "config/table_reader.h"

namespace snug::config {

namespace {

constexpr int kDeepestLayer = 50;              // lists within lists: no network is deeper, and recursion stays shallow
constexpr std::int64_t kMostLayers = 100'000;  // with all turns of all repeats

struct Context {
  Findings& findings;
  std::int64_t classes;
  int depth;
};

LayerList read_layers(const Value& list, const std::string& path, Context context);

/// One number, or [rows, columns].
void read_extent(const TableReader& reader, std::string_view key, Extent2& out) {
  const Value* value = reader.find(key);
  if (value == nullptr) return;
  if (value->kind == Value::Kind::integer) out = {value->integer, value->integer};
  if (value->kind == Value::Kind::list) out = {value->items[0].integer, value->items[1].integer};
}

void read_padding(const TableReader& reader, Padding& out) {
  const Value* value = reader.find("padding");
  if (value == nullptr) return;
  if (value->kind == Value::Kind::text) {
    out.kind = static_cast<Padding::Kind>(index_of(kPaddingWords, value->text).value_or(0));
    return;
  }
  out.kind = Padding::Kind::number;
  read_extent(reader, "padding", out.pixels);
}

/// A width: a number, or "classes".
void read_width(const TableReader& reader, std::string_view key, const Context& context, std::int64_t& out) {
  reader.read(key, out);
  const Value* value = reader.find(key);
  if (value != nullptr && value->kind == Value::Kind::text) out = context.classes;
}

ConvLayer read_conv(const TableReader& reader, bool depthwise, const Context& context) {
  ConvLayer out{.depthwise = depthwise};
  if (depthwise) {
    read_extent(reader, "depthwise", out.kernel);
    reader.read("multiplier", out.multiplier);
  } else {
    read_width(reader, "conv", context, out.filters);
    reader.require("kernel");
    read_extent(reader, "kernel", out.kernel);
    reader.read("groups", out.groups);
  }
  read_extent(reader, "stride", out.stride);
  read_extent(reader, "dilation", out.dilation);
  read_padding(reader, out.padding);
  if (const Value* bias = reader.find("bias")) out.bias = bias->boolean;
  out.norm = reader.find("norm") != nullptr;
  reader.read("activation", kActivationWords, out.activation);
  return out;
}

DenseLayer read_dense(const TableReader& reader, const Context& context) {
  DenseLayer out;
  read_width(reader, "dense", context, out.units);
  reader.read("bias", out.bias);
  reader.read("activation", kActivationWords, out.activation);
  return out;
}

PoolLayer read_pool(const TableReader& reader, std::string_view kind) {
  PoolLayer out{.average = kind == "avgpool"};
  read_extent(reader, kind, out.size);
  out.stride = out.size;
  read_extent(reader, "stride", out.stride);
  read_padding(reader, out.padding);
  reader.read("ceil", out.ceil);
  return out;
}

ResidualLayer read_residual(const TableReader& reader, const Context& context) {
  ResidualLayer out;
  if (const Value* body = reader.find("residual")) out.body = read_layers(*body, reader.path_of("residual"), context);
  if (const Value* way = reader.find("shortcut")) out.shortcut = read_layers(*way, reader.path_of("shortcut"), context);
  reader.read("activation", kActivationWords, out.activation);
  reader.read("stochastic_depth", out.stochastic_depth);
  const Value* depth = reader.find("stochastic_depth");
  if (depth != nullptr && depth->kind == Value::Kind::list) {
    out.stochastic_depth = depth->items[0].as_number();
    out.stochastic_depth_last = depth->items[1].as_number();
  }
  return out;
}

BranchesLayer read_branches(const TableReader& reader, const Context& context) {
  BranchesLayer out;
  const Value* lists = reader.find("branches");
  if (lists == nullptr) return out;
  for (std::size_t i = 0; i < lists->items.size(); ++i) {
    out.branches.push_back(read_layers(lists->items[i], fmt::format("{}.{}", reader.path_of("branches"), i), context));
  }
  const Value* names = reader.find("branch_names");
  if (names != nullptr && names->items.size() != lists->items.size()) {
    context.findings.error(
        "C006", names->where,
        fmt::format("{} has {} names for {} branches", reader.path_of("branch_names"), names->items.size(),
                    lists->items.size()),
        fmt::format(
            "branch_names = [{}]",
            fmt::join(std::vector<std::string_view>(std::min<std::size_t>(lists->items.size(), 16), "\"\""), ", ")));
  }
  return out;
}

BlockLayer read_block(const TableReader& reader, const Context& context) {
  BlockLayer out;
  if (const Value* block = reader.find("block")) out.layers = read_layers(*block, reader.path_of("block"), context);
  reader.read("repeat", out.repeat);
  for (const std::string_view key : {"turn", "first"}) {
    if (!reader.has(key) || reader.has("repeat")) continue;
    context.findings.error("C012", reader.table().find(key)->where,
                           fmt::format("{} is about the turns of a repeat, and there is none", reader.path_of(key)),
                           "repeat = 2");
  }
  const Value* turn = reader.find("turn");
  if (turn != nullptr && out.repeat > 1 && turn->text.find("{}") == std::string::npos) {
    context.findings.error("C012", turn->where,
                           fmt::format("{} is {} for all {} turns: their names would be the same",
                                       reader.path_of("turn"), in_quotes(turn->text), out.repeat),
                           line_for(turn->where, reader.path_of("turn"), string_text(turn->text + "{}")));
  }
  return out;
}

void read_names(const TableReader& reader, std::string_view kind, LayerNames& out) {
  const auto known = [&](std::string_view key) { return find_key(kind, key) != nullptr; };
  reader.read("name", out.name);
  if (known("norm_name")) reader.read("norm_name", out.norm_name);
  if (known("body_name")) reader.read("body_name", out.body_name);
  if (known("shortcut_name")) reader.read("shortcut_name", out.shortcut_name);
  if (known("branch_names")) reader.read("branch_names", out.branch_names);
  if (known("turn")) reader.read("turn", out.turn);
  if (known("first")) reader.read("first", out.first);
  if (known("reduce_name")) reader.read("reduce_name", out.reduce_name);
  if (known("expand_name")) reader.read("expand_name", out.expand_name);
}

decltype(LayerConfig::what) read_kind(const TableReader& reader, std::string_view kind, const Context& context) {
  if (kind == "conv" || kind == "depthwise") return read_conv(reader, kind == "depthwise", context);
  if (kind == "dense") return read_dense(reader, context);
  if (kind == "maxpool" || kind == "avgpool") return read_pool(reader, kind);
  if (kind == "global_avgpool") return GlobalAveragePoolLayer{};
  if (kind == "flatten") return FlattenLayer{};
  if (kind == "residual") return read_residual(reader, context);
  if (kind == "branches") return read_branches(reader, context);
  if (kind == "block") return read_block(reader, context);
  if (kind == "dropout") {
    DropoutLayer out;
    reader.read(kind, out.rate);
    return out;
  }
  if (kind == "adaptive_avgpool") {
    AdaptiveAveragePoolLayer out;
    read_extent(reader, kind, out.size);
    return out;
  }
  if (kind == "squeeze_excite") {
    SqueezeExciteLayer out;
    reader.read(kind, out.reduced);
    reader.read("activation", kActivationWords, out.activation);
    return out;
  }
  Activation activation = Activation::identity;
  reader.read("activation", kActivationWords, activation);
  if (kind == "batchnorm") return BatchNormLayer{activation};
  return ActivationLayer{activation};
}

/// The kinds that a layer's keys name; `activation` is one only where it stands alone.
std::vector<std::string_view> kinds_of(const Value& table) {
  std::vector<std::string_view> kinds;
  for (const std::string_view kind : layer_kinds()) {
    if (kind != "activation" && table.find(kind) != nullptr) kinds.push_back(kind);
  }
  if (kinds.empty() && table.find("activation") != nullptr) kinds.emplace_back("activation");
  return kinds;
}

bool names_unknown_kind(const Value& table) {
  const Words kinds = layer_kinds();
  std::vector<std::string> candidates(kinds.begin(), kinds.end());
  std::erase(candidates, "activation");
  return std::ranges::any_of(table.members, [&](const Member& member) {
    return member.key != "activation" && find_key("activation", member.key) == nullptr &&
           nearest_word(member.key, candidates).has_value();
  });
}

void report_no_kind(const Value& table, const std::string& path, Findings& findings) {
  const Words kinds = layer_kinds();
  const std::vector<std::string> candidates(kinds.begin(), kinds.end());
  for (const Member& member : table.members) {
    const auto near = nearest_word(member.key, candidates);
    if (!near || candidates.end() != std::ranges::find(candidates, member.key)) continue;
    findings.error(
        "C007", member.where,
        fmt::format("unknown layer {} in {}; did you mean \"{}\"?", in_quotes(member.key), shortened(path, 60), *near),
        line_for(member.where, path + "." + *near, shortened(to_text(member.value), 200)));
    return;
  }
  for (const Member& member : table.members) {
    if (!index_of(kActivationWords, member.key)) continue;
    findings.error("C013", member.where,
                   fmt::format("{}: \"{}\" is an activation, no kind of layer", shortened(path, 60), member.key),
                   fmt::format("{{ activation = \"{}\" }}", member.key));
    return;
  }
  const bool repeat = table.find("repeat") != nullptr;
  findings.error("C013", table.where,
                 repeat ? fmt::format("{} has \"repeat\", but no \"block\"", shortened(path, 60))
                        : fmt::format("{} names no kind of layer: it has {}", shortened(path, 60),
                                      table.members.empty() ? "no key" : in_quotes(table.members.front().key)),
                 repeat
                     ? "{ repeat = 2, block = [ { conv = 64, kernel = 3 } ] }"
                     : fmt::format("{{ conv = 32, kernel = 3 }}  # or one of {}", fmt::join(kinds.subspan(1), ", ")));
}

void read_layer(const Value& table, const std::string& path, const Context& context, LayerList& list) {
  const std::vector<std::string_view> kinds = kinds_of(table);
  // { conv2d = 8, activation = "relu" }: the kind is misspelt, the activation is a key of it.
  const bool only_activation = kinds.size() == 1 && kinds.front() == "activation";
  if (kinds.empty() || (only_activation && names_unknown_kind(table))) {
    report_no_kind(table, path, context.findings);
    return;
  }
  if (kinds.size() > 1) {
    context.findings.error(
        "C013", table.where,
        fmt::format("{} names {} kinds of layer: {}", shortened(path, 60), kinds.size(), fmt::join(kinds, ", ")),
        fmt::format("make a layer of each: {{ {} = ... }}, {{ {} = ... }}", kinds[0], kinds[1]));
    return;
  }
  const TableReader reader(table, kinds[0], path, context.findings);
  LayerConfig layer{.where = table.where};
  for (const Member& member : table.members) layer.keys.emplace(member.key, member.where);
  read_names(reader, kinds[0], layer.names);
  layer.what = read_kind(reader, kinds[0], context);
  list.push_back(std::move(layer));
}

LayerList read_layers(const Value& list, const std::string& path, Context context) {
  LayerList layers;
  if (++context.depth > kDeepestLayer) {
    context.findings.error("A014", list.where, fmt::format("layers stand more than {} levels deep", kDeepestLayer),
                           "layers = [ { conv = 32, kernel = 3 }, { flatten = true }, { dense = 10 } ]");
    return layers;
  }
  for (std::size_t i = 0; i < list.items.size(); ++i) {
    read_layer(list.items[i], fmt::format("{}.{}", path, i), context, layers);
  }
  return layers;
}

std::int64_t count_layers(const LayerList& layers) {
  std::int64_t count = 0;
  for (const LayerConfig& layer : layers) {
    std::int64_t own = 1;
    if (const auto* block = std::get_if<BlockLayer>(&layer.what)) {
      own = count_layers(block->layers) * std::max<std::int64_t>(1, block->repeat);
    } else if (const auto* residual = std::get_if<ResidualLayer>(&layer.what)) {
      own += count_layers(residual->body) + count_layers(residual->shortcut);
    } else if (const auto* branches = std::get_if<BranchesLayer>(&layer.what)) {
      for (const LayerList& branch : branches->branches) own += count_layers(branch);
    }
    count = std::min(kMostLayers + 1, count + own);
  }
  return count;
}

}  // namespace

void read_model(const Value& table, ModelConfig& out, Findings& findings) {
  const TableReader reader(table, "model", "model", findings);
  reader.read("file", out.file);
  reader.read("classes", out.classes);
  reader.read("bn_momentum", out.bn_momentum);
  if (const Value* input = reader.find("input")) {
    for (std::size_t i = 0; i < out.input.size(); ++i) out.input[i] = input->items[i].integer;
  }
  const bool file_failed = table.find("file") != nullptr && table.find("layers") == nullptr;
  if (!file_failed) {
    reader.require("input");
    reader.require("layers");
  }
  const Value* layers = reader.find("layers");
  if (layers == nullptr) return;
  out.layers = read_layers(*layers, "model.layers", {findings, out.classes, 0});
  if (const std::int64_t count = count_layers(out.layers); count > kMostLayers) {
    findings.error("A015", layers->where,
                   fmt::format("the model has more than {} layers with all turns of its repeats", kMostLayers),
                   "repeat = 2");
  }
}

}  // namespace snug::config
