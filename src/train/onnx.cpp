#include "train/onnx.h"

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ensure.h"
#include "base/file.h"
#include "snug/version.h"
#include "train/inference.h"
#include "train/setup.h"

namespace snug {

namespace {

constexpr std::int64_t kOpset = 13, kIrVersion = 7;
constexpr std::int64_t kMostBytes = 2'000'000'000;  // of a protobuf message, with room for the structure

using Floats = std::vector<float>;
using Dims = std::vector<std::int64_t>;

/// Appends nodes and initializers to an ONNX graph.
class Writer {
 public:
  explicit Writer(onnx::GraphProto& graph) : graph_(graph) {}

  /// Appends a node; attributes are the caller's.
  onnx::NodeProto& node(const std::string& type, const std::string& name, const std::vector<std::string>& inputs,
                        const std::string& output) {
    onnx::NodeProto& made = *graph_.add_node();
    made.set_op_type(type);
    made.set_name(name);
    for (const std::string& input : inputs) made.add_input(input);
    made.add_output(output);
    return made;
  }
  std::string constant(const std::string& name, const Dims& dims, const Floats& values) {
    onnx::TensorProto& tensor = *graph_.add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(onnx::TensorProto::FLOAT);
    for (const std::int64_t dim : dims) tensor.add_dims(dim);
    tensor.set_raw_data(values.data(), values.size() * sizeof(float));
    ++result_.tensors;
    result_.bytes += static_cast<std::int64_t>(values.size() * sizeof(float));
    return name;
  }
  [[nodiscard]] const ExportResult& result() const { return result_; }

 private:
  onnx::GraphProto& graph_;
  ExportResult result_;
};

void add(onnx::NodeProto& node, const char* name, std::int64_t value) {
  onnx::AttributeProto& made = *node.add_attribute();
  made.set_name(name);
  made.set_type(onnx::AttributeProto::INT);
  made.set_i(value);
}
void add(onnx::NodeProto& node, const char* name, double value) {
  onnx::AttributeProto& made = *node.add_attribute();
  made.set_name(name);
  made.set_type(onnx::AttributeProto::FLOAT);
  made.set_f(static_cast<float>(value));
}
void add(onnx::NodeProto& node, const char* name, const Dims& values) {
  onnx::AttributeProto& made = *node.add_attribute();
  made.set_name(name);
  made.set_type(onnx::AttributeProto::INTS);
  for (const std::int64_t value : values) made.add_ints(value);
}

/// Kernel, strides, dilations and pads, such that ONNX finds our output size: pixels behind the last window are not
/// padding.
void add_window(onnx::NodeProto& node, const Window& w, const Shape& in, const Shape& out) {
  Dims ends;
  for (std::size_t a = 0; a < 2; ++a) {
    const int axis = static_cast<int>(a);
    const std::int64_t reach = (out[axis] - 1) * w.stride[a] + w.dilation[a] * (w.kernel[a] - 1) + 1;
    ends.push_back(std::max<std::int64_t>(0, reach - in[axis] - w.pad_begin[a]));
  }
  add(node, "kernel_shape", {w.kernel[0], w.kernel[1]});
  add(node, "strides", {w.stride[0], w.stride[1]});
  add(node, "pads", {w.pad_begin[0], w.pad_begin[1], ends[0], ends[1]});
  if (w.dilation != std::array<std::int64_t, 2>{1, 1}) add(node, "dilations", {w.dilation[0], w.dilation[1]});
}

class Exporter {
 public:
  Exporter(const Checkpoint& checkpoint, const Graph& graph, const OnnxOptions& options, onnx::GraphProto& to)
      : checkpoint_(checkpoint),
        graph_(graph),
        options_(options),
        write_(to),
        names_(graph.nodes.size()),
        readers_(graph.nodes.size()) {
    for (const Node& node : graph.nodes) {
      for (const NodeId input : node.inputs) ++readers_[input.index()];
    }
  }

  ExportResult run() {
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
      const Node& node = graph_.nodes[i];
      output_ = i == graph_.output.index() ? "output" : fmt::format("{}_{}", to_string(node.op), i);
      names_[i] = emit(node, NodeId(static_cast<std::int64_t>(i)));
    }
    if (names_[graph_.output.index()] != "output")
      write_.node("Identity", "output", {names_[graph_.output.index()]}, "output");
    return write_.result();
  }

 private:
  std::string input() {
    const InputScaling& scaling = checkpoint_.info.scaling;
    if (!options_.raw_input) return "input";
    const auto channels = static_cast<std::int64_t>(scaling.mean.size());
    // (x ÷ divisor − mean) · inverse_std = x · scale + shift
    Floats scale, shift;
    for (std::size_t c = 0; c < scaling.mean.size(); ++c) {
      scale.push_back(static_cast<float>(scaling.inverse_std[c] / scaling.divisor));
      shift.push_back(static_cast<float>(-scaling.mean[c] * scaling.inverse_std[c]));
    }
    const Dims dims{1, channels, 1, 1};
    write_.node("Mul", "normalize/scale", {"input", write_.constant("normalize.scale", dims, scale)}, "scaled_input");
    write_.node("Add", "normalize/shift", {"scaled_input", write_.constant("normalize.shift", dims, shift)},
                "normalized_input");
    return "normalized_input";
  }

  [[nodiscard]] const std::string& name_of(NodeId id) const { return names_[id.index()]; }
  [[nodiscard]] const Shape& in_shape(const Node& node) const { return graph_[node.inputs[0]].output; }
  [[nodiscard]] std::string label(const Node& node) const {
    return fmt::format("{}/{}", graph_.layers[node.layer.index()].path, output_);
  }
  /// A node of the usual form: the layer's inputs, one output.
  onnx::NodeProto& plain(const char* type, const Node& node) {
    std::vector<std::string> inputs;
    for (const NodeId input : node.inputs) inputs.push_back(name_of(input));
    return write_.node(type, label(node), inputs, output_);
  }

  [[nodiscard]] Floats values(const Parameter& parameter) const {
    const SafeTensor& stored = *checkpoint_.file.find(parameter.name);
    Floats made(static_cast<std::size_t>(stored.elements()));
    read_floats(stored, made);
    return made;
  }
  std::string constant(const Parameter& parameter) {
    return write_.constant(parameter.name, checkpoint_shape(parameter), values(parameter));
  }

  /// The norm that alone reads a convolution or dense layer, if norms are to be folded.
  [[nodiscard]] const Node* norm_behind(NodeId id) const {
    if (!options_.fold_norms || readers_[id.index()] != 1) return nullptr;
    for (const Node& node : graph_.nodes) {
      if (node.op == NodeOp::batchnorm && node.inputs[0] == id) return &node;
    }
    return nullptr;
  }

  /// Weights and bias with the norm in them: w · gamma ÷ √(var + e), (b − mean) · gamma ÷ √(var + e) + beta.
  std::vector<std::string> folded(const Node& node, const Node& norm) {
    const Parameter& weight = node.parameters[0];
    Floats w = values(weight), bias(static_cast<std::size_t>(node.channels), 0.0F);
    if (node.parameters.size() > 1) bias = values(node.parameters[1]);
    const Floats gamma = values(norm.parameters[0]), beta = values(norm.parameters[1]);
    const Floats mean = values(norm.parameters[2]), variance = values(norm.parameters[3]);
    const double epsilon = std::get<BatchNormAttributes>(norm.attributes).epsilon;
    const std::size_t filter = w.size() / bias.size();
    for (std::size_t c = 0; c < bias.size(); ++c) {
      const double factor = gamma[c] / std::sqrt(variance[c] + epsilon);
      for (std::size_t i = 0; i < filter; ++i) w[c * filter + i] = static_cast<float>(w[c * filter + i] * factor);
      bias[c] = static_cast<float>((bias[c] - mean[c]) * factor + beta[c]);
    }
    return {write_.constant(weight.name, checkpoint_shape(weight), w),
            write_.constant(node.path + ".bias", {node.channels}, bias)};
  }

  onnx::NodeProto& weighted(const char* type, const Node& node, NodeId id) {
    std::vector<std::string> inputs{name_of(node.inputs[0])};
    if (const Node* norm = norm_behind(id)) {
      for (std::string& name : folded(node, *norm)) inputs.push_back(std::move(name));
    } else {
      for (const Parameter& parameter : node.parameters) inputs.push_back(constant(parameter));
    }
    return write_.node(type, label(node), inputs, output_);
  }

  void conv(const Node& node, NodeId id) {
    const auto& attributes = std::get<ConvAttributes>(node.attributes);
    onnx::NodeProto& made = weighted("Conv", node, id);
    add_window(made, attributes.window, in_shape(node), node.output);
    if (attributes.groups > 1) add(made, "group", attributes.groups);
  }

  std::string norm(const Node& node) {
    const Node& before = graph_[node.inputs[0]];
    const bool foldable = before.op == NodeOp::conv || before.op == NodeOp::dense;
    if (foldable && norm_behind(node.inputs[0]) != nullptr) return name_of(node.inputs[0]);
    std::vector<std::string> inputs{name_of(node.inputs[0])};
    for (const Parameter& parameter : node.parameters) inputs.push_back(constant(parameter));
    add(write_.node("BatchNormalization", label(node), inputs, output_), "epsilon",
        std::get<BatchNormAttributes>(node.attributes).epsilon);
    return output_;
  }

  std::string scalar(const char* what, float value) {
    return write_.constant(fmt::format("{}.{}", output_, what), {}, {value});
  }

  void activation(const Node& node) {
    const std::string& x = name_of(node.inputs[0]);
    switch (std::get<ActivationAttributes>(node.attributes).function) {
      case ActivationFunction::relu: plain("Relu", node); return;
      case ActivationFunction::sigmoid: plain("Sigmoid", node); return;
      case ActivationFunction::tanh: plain("Tanh", node); return;
      case ActivationFunction::leaky_relu: add(plain("LeakyRelu", node), "alpha", 0.01); return;
      case ActivationFunction::relu6: {
        const std::string least = scalar("min", 0), most = scalar("max", 6);
        write_.node("Clip", label(node), {x, least, most}, output_);
        return;
      }
      case ActivationFunction::silu: {
        const std::string gate = output_ + "_gate";
        write_.node("Sigmoid", label(node) + "/gate", {x}, gate);
        write_.node("Mul", label(node), {x, gate}, output_);
        return;
      }
      case ActivationFunction::gelu: return gelu(node, x);
    }
    ensure(false, "an activation without its ONNX form");
  }

  /// x · (½ erf(x ÷ √2) + ½)
  void gelu(const Node& node, const std::string& x) {
    const std::string name = label(node);
    const std::string root = scalar("root", std::sqrt(0.5F)), half = scalar("half", 0.5F);
    write_.node("Mul", name + "/scaled", {x, root}, output_ + "_scaled");
    write_.node("Erf", name + "/erf", {output_ + "_scaled"}, output_ + "_erf");
    write_.node("Mul", name + "/half", {output_ + "_erf", half}, output_ + "_half");
    write_.node("Add", name + "/gate", {output_ + "_half", half}, output_ + "_gate");
    write_.node("Mul", name, {x, output_ + "_gate"}, output_);
  }

  /// Averages over uneven bins as products of matrices: [oh, h] · x · [w, ow].
  static Floats bins(std::int64_t in, std::int64_t out, bool transposed) {
    Floats made(static_cast<std::size_t>(in * out), 0.0F);
    for (std::int64_t o = 0; o < out; ++o) {
      const std::int64_t begin = o * in / out, end = ((o + 1) * in + out - 1) / out;
      for (std::int64_t i = begin; i < end; ++i)
        made[static_cast<std::size_t>(transposed ? i * out + o : o * in + i)] = 1.0F / static_cast<float>(end - begin);
    }
    return made;
  }
  void adaptive(const Node& node) {
    const Shape &in = in_shape(node), &out = node.output;
    const std::string& x = name_of(node.inputs[0]);
    if (out.rank() == 1) {  // global: [c]
      write_.node("GlobalAveragePool", label(node) + "/mean", {x}, output_ + "_mean");
      add(write_.node("Flatten", label(node), {output_ + "_mean"}, output_), "axis", std::int64_t{1});
    } else if (out[0] == 1 && out[1] == 1) {
      plain("GlobalAveragePool", node);
    } else {
      const std::string rows = write_.constant(output_ + ".rows", {out[0], in[0]}, bins(in[0], out[0], false));
      const std::string columns = write_.constant(output_ + ".columns", {in[1], out[1]}, bins(in[1], out[1], true));
      write_.node("MatMul", label(node) + "/columns", {x, columns}, output_ + "_columns");
      write_.node("MatMul", label(node), {rows, output_ + "_columns"}, output_);
    }
  }

  void average(const Node& node) {
    const Window& window = std::get<PoolAttributes>(node.attributes).window;
    ensure(window.dilation == std::array<std::int64_t, 2>{1, 1}, "an average pool with dilation");
    onnx::NodeProto& made = plain("AveragePool", node);
    add_window(made, window, in_shape(node), node.output);
    add(made, "count_include_pad", std::int64_t{0});
  }

  /// Appends what stands for the node; returns the name of its output.
  std::string emit(const Node& node, NodeId id) {
    switch (node.op) {
      case NodeOp::input: return input();
      case NodeOp::conv: conv(node, id); break;
      case NodeOp::dense: add(weighted("Gemm", node, id), "transB", std::int64_t{1}); break;
      case NodeOp::batchnorm: return norm(node);
      case NodeOp::activation: activation(node); break;
      case NodeOp::softmax: add(plain("Softmax", node), "axis", std::int64_t{1}); break;
      case NodeOp::maxpool:
        add_window(plain("MaxPool", node), std::get<PoolAttributes>(node.attributes).window, in_shape(node),
                   node.output);
        break;
      case NodeOp::avgpool: average(node); break;
      case NodeOp::adaptive_avgpool: adaptive(node); break;
      case NodeOp::flatten: add(plain("Flatten", node), "axis", std::int64_t{1}); break;
      case NodeOp::dropout: return name_of(node.inputs[0]);
      case NodeOp::add: plain("Add", node); break;
      case NodeOp::concat: add(plain("Concat", node), "axis", std::int64_t{1}); break;
      case NodeOp::scale_channels: plain("Mul", node); break;
    }
    return output_;
  }

  const Checkpoint& checkpoint_;
  const Graph& graph_;
  const OnnxOptions& options_;
  Writer write_;
  std::vector<std::string> names_;  ///< of each node's output
  std::vector<int> readers_;        ///< of each node
  std::string output_;              ///< of the node being written
};

/// A tensor of the graph's border: N and the extents, channels first.
void add_border(onnx::ValueInfoProto& value, const char* name, const Shape& shape) {
  value.set_name(name);
  onnx::TypeProto::Tensor& type = *value.mutable_type()->mutable_tensor_type();
  type.set_elem_type(onnx::TensorProto::FLOAT);
  type.mutable_shape()->add_dim()->set_dim_param("N");
  if (shape.rank() == 3) type.mutable_shape()->add_dim()->set_dim_value(shape[2]);
  for (int axis = 0; axis < (shape.rank() == 3 ? 2 : 1); ++axis)
    type.mutable_shape()->add_dim()->set_dim_value(shape[axis]);
}

void add_metadata(onnx::ModelProto& model, const char* key, std::string value) {
  onnx::StringStringEntryProto& entry = *model.add_metadata_props();
  entry.set_key(key);
  entry.set_value(std::move(value));
}

void require_room(const Graph& graph, const std::filesystem::path& out) {
  std::int64_t bytes = 0;
  for (const Parameter* parameter : all_parameters(graph)) bytes += parameter->shape.elements() * 4;
  if (bytes <= kMostBytes) return;
  throw Error({.code = "C937",
               .where = out.string(),
               .what = fmt::format("the weights are {} bytes; an ONNX file holds 2 GiB", bytes),
               .fix = "--to safetensors"});
}

void write_model(const onnx::ModelProto& model, const std::filesystem::path& out) {
  std::string bytes;
  ensure(model.SerializeToString(&bytes), "a model within its limit can be serialized");
  guard_writing(out, [&] { write_text(out, bytes); });
}

}  // namespace

ExportResult export_onnx(const std::filesystem::path& path, const std::filesystem::path& out,
                         const OnnxOptions& options) {
  const Checkpoint checkpoint = open_checkpoint(path);
  const Config config = checkpoint_config(checkpoint.info, checkpoint.path);
  const Graph graph = checked_graph(config);
  require_whole(checkpoint, graph);
  require_room(graph, out);
  onnx::ModelProto model;
  model.set_ir_version(kIrVersion);
  model.set_producer_name("snug");
  model.set_producer_version(kVersion);
  model.add_opset_import()->set_version(kOpset);
  model.mutable_graph()->set_name(config.name);
  const ExportResult result = Exporter(checkpoint, graph, options, *model.mutable_graph()).run();
  add_border(*model.mutable_graph()->add_input(), "input", graph.nodes[0].output);
  add_border(*model.mutable_graph()->add_output(), "output", graph[graph.output].output);
  const auto names = class_names(checkpoint.info, graph[graph.output].output.elements());
  add_metadata(model, "class_names",
               nlohmann::json(names).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  add_metadata(model, "input", options.raw_input ? "pixels as stored" : "normalized");
  write_model(model, out);
  return result;
}

}  // namespace snug
