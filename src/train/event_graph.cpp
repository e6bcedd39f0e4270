#include "train/event_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "train/parameters.h"

namespace snug {

namespace {

// Field numbers of the messages GraphDef, NodeDef, AttrValue, AttrValue.ListValue, TensorShapeProto, VersionDef.
namespace graph_field {
enum : int { node = 1, versions = 4 };
}
namespace node_field {
enum : int { name = 1, op = 2, input = 3, attribute = 5 };
}
namespace map_entry {
enum : int { key = 1, value = 2 };
}
namespace attribute_field {
enum : int { list = 1, text = 2, integer = 3, shape_in_list = 7 };
}
namespace shape_field {
enum : int { dim = 2, size = 1 };
}
namespace versions_field {
enum : int { producer = 1 };
}

std::string_view word(ActivationFunction function) {
  switch (function) {
    case ActivationFunction::relu: return "relu";
    case ActivationFunction::relu6: return "relu6";
    case ActivationFunction::leaky_relu: return "leaky_relu";
    case ActivationFunction::silu: return "silu";
    case ActivationFunction::gelu: return "gelu";
    case ActivationFunction::sigmoid: return "sigmoid";
    case ActivationFunction::tanh: return "tanh";
  }
  return "activation";
}

std::string op_of(const Node& node) {
  const auto* activation = std::get_if<ActivationAttributes>(&node.attributes);
  return std::string(activation != nullptr ? word(activation->function) : to_string(node.op));
}

/// The layer's path as a scope; what the graph's names may not hold becomes "_".
std::string scope_of(const Graph& graph, const Node& node) {
  if (!node.layer.valid()) return "";
  std::string scope = graph.layers[node.layer.index()].path;
  for (char& c : scope) {
    if (c == '.') c = '/';
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '/' && c != '_' && c != '-') c = '_';
  }
  return scope.empty() ? "" : scope + "/";
}

std::vector<std::string> unique_names(const Graph& graph) {
  std::vector<std::string> names;
  std::set<std::string> taken;
  for (const Node& node : graph.nodes) {
    const std::string name = scope_of(graph, node) + op_of(node);
    std::string unique = name;
    for (int i = 1; !taken.insert(unique).second; ++i) unique = fmt::format("{}_{}", name, i);
    names.push_back(std::move(unique));
  }
  return names;
}

class NodeWriter {
 public:
  void text(std::string_view key, std::string_view value) {
    attribute(key, ProtoMessage().bytes(attribute_field::text, value));
  }
  void integer(std::string_view key, std::int64_t value) {
    attribute(key, ProtoMessage().integer(attribute_field::integer, value));
  }
  void output(const Shape& shape) {
    ProtoMessage dims;
    const auto add = [&](std::int64_t extent) {
      dims.message(shape_field::dim, ProtoMessage().integer(shape_field::size, extent));
    };
    add(-1);  // the batch
    for (const std::int64_t extent : shape.extents()) add(extent);
    ProtoMessage list;
    list.message(attribute_field::shape_in_list, dims);
    attribute("_output_shapes", ProtoMessage().message(attribute_field::list, list));
  }
  void attribute(std::string_view key, const ProtoMessage& value) {
    ProtoMessage entry;
    made.message(node_field::attribute, entry.bytes(map_entry::key, key).message(map_entry::value, value));
  }
  ProtoMessage made;
};

void add_window(NodeWriter& to, const Window& w) {
  to.text("kernel", fmt::format("{}×{}", w.kernel[0], w.kernel[1]));
  to.text("stride", fmt::format("{}×{}", w.stride[0], w.stride[1]));
  if (w.dilation != std::array<std::int64_t, 2>{1, 1})
    to.text("dilation", fmt::format("{}×{}", w.dilation[0], w.dilation[1]));
  to.text("padding", fmt::format("{}, {} to {}, {}", w.pad_begin[0], w.pad_begin[1], w.pad_end[0], w.pad_end[1]));
}

void add_details(NodeWriter& to, const Node& node) {
  if (const auto* conv = std::get_if<ConvAttributes>(&node.attributes)) {
    add_window(to, conv->window);
    if (conv->groups > 1) to.integer("groups", conv->groups);
  }
  if (const auto* pool = std::get_if<PoolAttributes>(&node.attributes)) add_window(to, pool->window);
  if (const auto* dropout = std::get_if<DropoutAttributes>(&node.attributes))
    to.text("rate", fmt::format("{:g}", dropout->rate));
  for (const Parameter& parameter : node.parameters)
    to.text(parameter.name, fmt::format("{}", fmt::join(checkpoint_shape(parameter), "×")));
  if (const std::int64_t count = parameter_count(node); count > 0) to.integer("parameters", count);
  if (!node.path.empty()) to.text("path", node.path);
}

}  // namespace

ProtoMessage graph_def(const Graph& graph) {
  const std::vector<std::string> names = unique_names(graph);
  ProtoMessage made;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    NodeWriter writer;
    writer.made.bytes(node_field::name, names[i]).bytes(node_field::op, op_of(node));
    for (const NodeId input : node.inputs) writer.made.bytes(node_field::input, names[input.index()]);
    writer.output(node.output);
    add_details(writer, node);
    made.message(graph_field::node, writer.made);
  }
  constexpr std::int64_t kProducer = 22;  // readers take older ones for files that they must mend
  return made.message(graph_field::versions, ProtoMessage().integer(versions_field::producer, kProducer));
}

}  // namespace snug
