#include "ops/model_harness.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/ensure.h"
#include "base/file.h"
#include "snug/config.h"

namespace snug::ops_test {

namespace {

constexpr int kTrain = 0, kEvaluate = 1;

LoweringOptions lowering_options(const NetCase& net, const TrainingOptions& chosen, const std::vector<bool>& frozen,
                                 bool training) {
  LoweringOptions options;
  options.batch = net.batch;
  options.parts = net.parts;
  options.training = training;
  options.use_average = !training && net.train.ema > 0;
  options.dtype = chosen.dtype;
  options.in_place = chosen.in_place;
  options.fuse = chosen.fuse;
  if (chosen.fuse_products) options.products.possible = [](const Program&, const Step&) { return true; };
  options.join_in_place = chosen.join_in_place;
  options.eager_update = chosen.eager_update;
  options.eager_run_bytes = 1;
  options.image_divisor = 255;
  options.frozen = frozen;
  options.train = net.train;
  return options;
}

std::vector<bool> frozen_of(const NetCase& net, const Graph& graph) {
  std::vector<Diagnostic> findings;
  std::vector<bool> frozen = frozen_nodes(graph, net.frozen, {}, findings);
  EXPECT_TRUE(findings.empty()) << net.name;
  return frozen;
}

/// A whole range of parameter values, by kind: weights scaled so that activations keep their size.
Values parameter_values(const Parameter& parameter, std::uint64_t seed) {
  const double reach = parameter.fan_in > 0 ? std::sqrt(6.0 / static_cast<double>(parameter.fan_in)) : 1.0;
  switch (parameter.kind) {
    case ParameterKind::conv_weight:
    case ParameterKind::dense_weight: return random_values(parameter.shape, seed, -reach, reach);
    case ParameterKind::bias:
    case ParameterKind::norm_bias:
    case ParameterKind::running_mean: return random_values(parameter.shape, seed, -0.3, 0.3);
    case ParameterKind::norm_weight: return random_values(parameter.shape, seed, 0.6, 1.4);
    case ParameterKind::running_var: return random_values(parameter.shape, seed, 0.5, 2);
  }
  return {};
}

template <class T>
void store(std::span<std::byte> bytes, const Values& values) {
  ensure(bytes.size() == values.size() * sizeof(T), "as many values as the tensor has");
  auto* out = reinterpret_cast<T*>(bytes.data());
  for (std::size_t i = 0; i < values.size(); ++i) out[i] = static_cast<T>(values[i]);
}

template <class T>
Values load(std::span<const std::byte> bytes) {
  const auto* in = reinterpret_cast<const T*>(bytes.data());
  return {in, in + bytes.size() / sizeof(T)};
}

}  // namespace

namespace {

/// The topology with few channels: what is checked here does not depend on their number.
void narrow(LayerList& layers) {
  const auto fewer = [](std::int64_t channels) { return std::max<std::int64_t>(2, channels / 16); };
  for (LayerConfig& layer : layers) {
    if (auto* conv = std::get_if<ConvLayer>(&layer.what)) conv->filters = fewer(conv->filters);
    if (auto* dense = std::get_if<DenseLayer>(&layer.what)) dense->units = fewer(dense->units);
    if (auto* block = std::get_if<BlockLayer>(&layer.what)) narrow(block->layers);
    if (auto* residual = std::get_if<ResidualLayer>(&layer.what)) {
      narrow(residual->body);
      narrow(residual->shortcut);
    }
    if (auto* branches = std::get_if<BranchesLayer>(&layer.what)) std::ranges::for_each(branches->branches, narrow);
  }
}

ModelConfig shipped_model(const NetCase& net) {
  const auto file =
      std::filesystem::path("configs/models") / (net.model + ".toml");  // tests run in the project's folder
  ModelConfig model = load_config(file, {.set = {}, .data_root = {}, .model_only = true}).model;
  model.input = net.input;
  narrow(model.layers);
  return model;
}

ModelConfig written_model(const NetCase& net) {
  const auto file = std::filesystem::temp_directory_path() / fmt::format("snug_net_{}.toml", ::getpid());
  write_text(file, fmt::format("[model]\ninput = [{}, {}, {}]\nlayers = [\n{}\n]\n", net.input[0], net.input[1],
                               net.input[2], net.layers));
  ModelConfig model = load_config(file, {.set = {}, .data_root = {}, .model_only = true}).model;
  std::filesystem::remove(file);
  return model;
}

}  // namespace

Graph graph_of(const NetCase& net) {
  std::vector<Diagnostic> findings;
  Graph graph = build_graph(net.model.empty() ? written_model(net) : shipped_model(net), findings);
  for (const Diagnostic& finding : findings) ADD_FAILURE() << net.name << ": " << to_string(finding);
  return graph;
}

Training::Training(const NetCase& net, Backend& backend, const TrainingOptions& options)
    : net_(net), graph_(graph_of(net)), frozen_(frozen_of(net, graph_)) {
  std::vector<Program> programs;
  for (const bool training : {true, false}) {
    programs.push_back(lower(graph_, lowering_options(net_, options, frozen_, training)));
    for (const std::string& problem : verify(programs.back())) ADD_FAILURE() << net.name << ": " << problem;
  }
  plan_ = plan_programs(std::move(programs), backend);
  runtime_ = std::make_unique<Runtime>(plan_, RuntimeOptions{.reuse_memory = options.reuse_memory});
  fill_parameters();
  fill_batch(1);
}

void Training::fill_parameters() {
  std::uint64_t seed = 100;
  for (const Node& node : graph_.nodes) {
    for (const Parameter& parameter : node.parameters) {
      const Values initial = parameter_values(parameter, ++seed);
      set(parameter.name, initial);
      const std::string average = std::string(state_prefix::kAverage) + parameter.name;
      if (runtime_->find(average) != nullptr) set(average, initial);
    }
  }
  const auto channels = static_cast<std::size_t>(net_.input[2]);
  set(std::string(exchange::kMean), Values(channels, 0.5));
  set(std::string(exchange::kInverseStd), Values(channels, 4));
  if (!net_.train.class_weights.empty()) set(std::string(exchange::kClassWeights), net_.train.class_weights);
}

void Training::fill_batch(std::uint64_t seed) {
  const auto pixels = runtime_->values<std::uint8_t>(exchange::kImages);
  const Values random = random_values(static_cast<std::int64_t>(pixels.size()), seed, 0, 256);
  std::ranges::transform(random, pixels.begin(), [](double value) { return static_cast<std::uint8_t>(value); });
  fill_labels(seed + 1000);
}

void Training::fill_labels(std::uint64_t seed) {
  const TensorInfo& labels = *runtime_->find(exchange::kLabels);
  const std::int64_t width = labels.shape.rank() == 2 ? labels.shape[1] : 0;
  Values values = random_values(labels.shape, seed, 0, 1);
  switch (net_.train.loss) {
    case Loss::sparse_categorical_crossentropy: {
      const auto outputs = static_cast<double>(runtime_->find(exchange::kOutputs)->shape[1]);
      for (double& value : values) value = std::floor(value * outputs);
      break;
    }
    case Loss::categorical_crossentropy:  // soft rows of sixteenths, so that they add up to 1 exactly
      for (std::int64_t n = 0; n < labels.shape[0]; ++n) {
        double rest = 1;
        for (std::int64_t k = 0; k < width; ++k) {
          double& value = values[static_cast<std::size_t>(n * width + k)];
          value = k + 1 == width ? rest : std::min(rest, std::floor(value * 16) / 16);
          rest -= value;
        }
      }
      break;
    case Loss::binary_crossentropy:
      for (double& value : values) value = value < 0.5 ? 0 : 1;
      break;
    case Loss::mse: break;
  }
  set(std::string(exchange::kLabels), values);
}

void Training::step(double rate, std::int64_t step) {
  set(std::string(exchange::kControl), {rate, static_cast<double>(step)});
  runtime_->run(kTrain);
}

void Training::evaluate() { runtime_->run(kEvaluate); }

double Training::loss() {
  const auto stats = runtime_->values<double>(exchange::kStats);
  EXPECT_EQ(stats[TrainStats::not_finite], 0) << net_.name;
  EXPECT_EQ(stats[TrainStats::samples], static_cast<double>(net_.batch)) << net_.name;
  return stats[TrainStats::loss_sum] / stats[TrainStats::weight_sum];
}

Values Training::values(const std::string& tensor) {
  const TensorInfo* info = runtime_->find(tensor);
  ensure(info != nullptr, "the program has no tensor " + tensor);
  const std::span<const std::byte> bytes = runtime_->bytes(tensor);
  switch (info->dtype) {
    case DType::f32: return load<float>(bytes);
    case DType::f64: return load<double>(bytes);
    case DType::u8: return load<std::uint8_t>(bytes);
    case DType::i32: return load<std::int32_t>(bytes);
    case DType::bf16: {
      Values widened = load<std::uint16_t>(bytes);
      for (double& value : widened) {
        value = static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(value) << 16));
      }
      return widened;
    }
    default: fail("no tensor of a program that lasts has this type", __FILE__, __LINE__);
  }
}

void Training::set(const std::string& tensor, const Values& values) {
  const TensorInfo* info = runtime_->find(tensor);
  ensure(info != nullptr, "the program has no tensor " + tensor);
  const std::span<std::byte> bytes = runtime_->bytes(tensor);
  switch (info->dtype) {
    case DType::f32: return store<float>(bytes, values);
    case DType::f64: return store<double>(bytes, values);
    case DType::i32: return store<std::int32_t>(bytes, values);
    default: fail("no tensor of a program that tests fill has this type", __FILE__, __LINE__);
  }
}

std::vector<std::string> Training::trained() const {
  std::vector<std::string> names;
  for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
    for (const Parameter& parameter : graph_.nodes[n].parameters) {
      if (parameter.trainable() && !frozen_[n]) names.push_back(parameter.name);
    }
  }
  return names;
}

std::vector<std::string> Training::lasting_names() const {
  std::set<std::string> names{std::string(exchange::kStats), std::string(exchange::kTotals),
                              std::string(exchange::kOutputs)};
  for (const PlannedProgram& planned : plan_.programs) {
    for (const TensorInfo& tensor : planned.program.tensors) {
      if (planned.program[tensor.view.storage].arena == Arena::persistent) names.insert(tensor.name);
    }
  }
  return {names.begin(), names.end()};
}

std::map<std::string, std::vector<std::byte>> Training::lasting_bytes() {
  std::map<std::string, std::vector<std::byte>> result;
  for (const std::string& name : lasting_names()) {
    const auto bytes = runtime_->bytes(name);
    result[name] = {bytes.begin(), bytes.end()};
  }
  return result;
}

std::map<std::string, Values> Training::lasting_values() {
  std::map<std::string, Values> result;
  for (const std::string& name : lasting_names()) result[name] = values(name);
  return result;
}

void run(Training& training, double rate) {
  for (int step = 0; step < kSteps; ++step) {
    training.fill_batch(static_cast<std::uint64_t>(step) + 1);
    training.step(rate, step);
  }
  training.evaluate();
}

void expect_same_bits(const NetCase& net, Backend& backend, DType dtype, bool in_place) {
  SCOPED_TRACE(net.name);
  Training planned(net, backend, {.dtype = dtype});
  Training apart(net, backend, {.dtype = dtype, .reuse_memory = false, .in_place = in_place});
  run(planned, net.train.optimizer.lr);
  run(apart, net.train.optimizer.lr);
  const auto expected = apart.lasting_bytes();
  ASSERT_FALSE(expected.empty());
  for (const auto& [name, bytes] : planned.lasting_bytes()) EXPECT_EQ(bytes, expected.at(name)) << name;
  for (const auto& [name, values] : planned.lasting_values()) {
    for (const double value : values) ASSERT_TRUE(std::isfinite(value)) << name;
  }
}

}  // namespace snug::ops_test
