// The models of configs/models against torchvision: names and shapes, logits, gradients by one SGD step, and running
// statistics, in evaluation and in training mode, fp32 and bf16 (torchvision_models.json; its script says what was
// computed).
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "config/precision.h"
#include "graph/graph.h"
#include "lowering/lowering.h"
#include "planner/planner.h"
#include "runtime/runtime.h"
#include "snug/config.h"
#include "train/parameters.h"

namespace snug {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr double kLogits = 1e-4, kGradients = 1e-3, kLoss = 1e-5;
// A gradient that is nothing but rounding (of a bias before a norm, say) is held against what PyTorch's own single
// precision makes of it, and against the whole gradient.
constexpr double kTimesPyTorch = 4, kOfWhole = 1e-6;
// bf16 has 8 bits: how far it gets from the exact values is the network's doing. So it is held against what PyTorch's
// bf16 makes of the same network: logits may be half again as far, the whole gradient twice. One tensor may be three
// times as far, and 2^-5 of its norm in any case: where an activation flips at a kink is chance, and each processor has
// its own. So one tensor of a hundred may be four times that far.
constexpr double kTimesBf16 = 1.5, kTimesBf16OfGradient = 2;
constexpr double kTimesBf16OfTensor = 3, kFlips = 1.0 / 32, kOfWholeBf16 = 1e-4, kOfChance = 4;
constexpr double kRounding = 1.0 / 256;
constexpr std::uint64_t kImages = 1000, kLabels = 1001, kNoise = 1002, kDigest = 2000;
constexpr double kRate = 1 << 20;  // the step is then far larger than the weights, and gives the gradient without loss

const Json& recorded() {
  // scripts/clients.sh names figures that torchvision gave just now; without it the committed ones count.
  const char* live = std::getenv("SNUG_TORCHVISION");
  static const Json json = Json::parse(read_text(
      live != nullptr ? fs::path(live) : fs::path(SNUG_SOURCE_DIR) / "tests/clients/torchvision_models.json"));
  return json;
}

/// The formula of pytorch_losses.py, element by element.
class Formula {
 public:
  explicit Formula(std::uint64_t number) : word_((number + 1) * 40503 * 65537) {}
  /// In ±½.
  double next() {
    word_ = (word_ + 2654435761U) & 0xFFFFFFFFU;
    return static_cast<double>(word_) / 4294967296.0 - 0.5;
  }

 private:
  std::uint64_t word_;
};

fs::path model_file(const std::string& model) {
  return fs::path(SNUG_SOURCE_DIR) / "configs/models" / (model + ".toml");
}

// ---- names and shapes -----------------------------------------------------------------------------------------

/// FNV-1a over "name 64,3,7,7\n" of every tensor in order.
std::string digest_of_names(const Graph& graph) {
  std::uint64_t word = 0xCBF29CE484222325U;
  for (const Parameter* parameter : all_parameters(graph)) {
    const std::string line = fmt::format("{} {}\n", parameter->name, fmt::join(checkpoint_shape(*parameter), ","));
    for (const char letter : line) word = (word ^ static_cast<unsigned char>(letter)) * 0x100000001B3U;
  }
  return fmt::format("{:016x}", word);
}

TEST(Torchvision, ModelsHaveItsStateDicts) {
  for (const auto& [model, state] : recorded()["state_dicts"].items()) {
    std::vector<Diagnostic> findings;
    const Graph graph = build_graph(load_config(model_file(model), {.model_only = true}).model, findings);
    ASSERT_TRUE(findings.empty()) << model;
    std::int64_t parameters = 0;
    for (const Node& node : graph.nodes) parameters += parameter_count(node);
    EXPECT_EQ(parameters, state["parameters"].get<std::int64_t>()) << model;
    EXPECT_EQ(all_parameters(graph).size(), state["tensors"].get<std::size_t>()) << model;
    EXPECT_EQ(digest_of_names(graph), state["digest"].get<std::string>()) << model;
  }
}

// ---- numbers --------------------------------------------------------------------------------------------------

/// Dropout and stochastic depth would draw other numbers than PyTorch's.
void make_certain(LayerList& layers) {
  for (LayerConfig& layer : layers) {
    if (auto* dropout = std::get_if<DropoutLayer>(&layer.what)) dropout->rate = 0;
    if (auto* block = std::get_if<BlockLayer>(&layer.what)) make_certain(block->layers);
    if (auto* branches = std::get_if<BranchesLayer>(&layer.what))
      std::ranges::for_each(branches->branches, make_certain);
    if (auto* residual = std::get_if<ResidualLayer>(&layer.what)) {
      residual->stochastic_depth = 0;
      residual->stochastic_depth_last.reset();
      make_certain(residual->body);
      make_certain(residual->shortcut);
    }
  }
}

Graph graph_of(const std::string& model) {
  const auto size = recorded()["size"].get<std::int64_t>();
  const std::string text = fmt::format("[model]\nfile = \"{}\"\nclasses = {}\ninput = [{}, {}, 3]",
                                       model_file(model).string(), recorded()["classes"].get<int>(), size, size);
  ModelConfig config = parse_config(text, "net.toml", {.model_only = true}).model;
  make_certain(config.layers);
  std::vector<Diagnostic> findings;
  Graph graph = build_graph(config, findings);
  for (const Diagnostic& finding : findings) ADD_FAILURE() << to_string(finding);
  return graph;
}

/// Has a training program copy its logits to where evaluation puts them.
void keep_logits(Program& program) {
  const auto loss = std::ranges::find(program.steps, Op::softmax_crossentropy, &Step::op);
  const TensorId logits = loss->operands[0].tensor;
  ProgramBuilder builder(program);
  const TensorId outputs = builder.add_tensor({.name = std::string(exchange::kOutputs),
                                               .shape = program[logits].shape,
                                               .role = Role::input,
                                               .arena = Arena::input});
  program.steps.insert(std::ranges::find(program.steps, Op::softmax_crossentropy, &Step::op),
                       {.op = Op::copy,
                        .phase = Phase::forward,
                        .attributes = NoAttributes{},
                        .operands = {{logits}, {outputs, Access::out}}});
  for (const std::string& problem : verify(program)) ADD_FAILURE() << problem;
}

enum Pass : int { evaluate, step_with_running, step_with_batch };

/// A model with the formula's weights and batch, ready to run.
class Net {
 public:
  Net(const std::string& model, DType dtype)
      : model_(model), graph_(graph_of(model)), backend_(make_cpu_backend({.threads = 2})) {
    std::vector<Program> programs;
    for (const Pass pass : {evaluate, step_with_running, step_with_batch}) {
      LoweringOptions options{.batch = recorded()["batch"].get<std::int64_t>(), .training = pass != evaluate};
      options.dtype = dtype;
      options.image_dtype = DType::f32;
      options.train.optimizer = {.kind = OptimizerKind::sgd};
      options.train.freeze_stats = pass == step_with_running;
      programs.push_back(lower(graph_, options));
      if (options.training) keep_logits(programs.back());
    }
    plan_ = plan_programs(std::move(programs), *backend_);
    runtime_ = std::make_unique<Runtime>(plan_);
    std::vector<std::string> names;
    for (const Parameter* parameter : parameters()) names.push_back(parameter->name);
    std::ranges::sort(names);
    for (std::size_t i = 0; i < names.size(); ++i) numbers_[names[i]] = i;
    fill_batch();
  }

  [[nodiscard]] const Json& test() const { return recorded()["cases"][model_]; }
  [[nodiscard]] std::vector<const Parameter*> parameters() const { return all_parameters(graph_); }
  [[nodiscard]] std::uint64_t number(const Parameter& parameter) const { return numbers_.at(parameter.name); }
  [[nodiscard]] std::span<const float> logits() { return runtime_->values<float>(exchange::kOutputs); }
  [[nodiscard]] double loss() {
    const std::span<const double> stats = runtime_->values<double>(exchange::kStats);
    return stats[TrainStats::loss_sum] / stats[TrainStats::weight_sum];
  }

  void run(Pass pass) {
    for (const Parameter* parameter : parameters()) std::ranges::copy(initial(*parameter), values(*parameter).begin());
    if (pass != evaluate) runtime_->values<double>(exchange::kControl)[Control::learning_rate] = kRate;
    runtime_->run(pass);
  }

  /// A parameter or statistic as it is now, in the program's order.
  [[nodiscard]] std::span<float> values(const Parameter& parameter) { return runtime_->values<float>(parameter.name); }

  /// The formula's values of a tensor in the program's order.
  [[nodiscard]] std::span<const float> initial(const Parameter& parameter) {
    const auto count = static_cast<std::size_t>(parameter.shape.elements());
    stored_.resize(count);
    inside_.resize(count);
    Formula formula(number(parameter));
    const Json& filling = test()["fillings"][parameter.name];
    const double scale = filling[0], shift = filling[1];
    const float gap = filling[2];
    for (float& value : stored_) {
      value = static_cast<float>(shift + scale * formula.next());
      value += value < 0 ? -gap : gap;
    }
    from_checkpoint_order(parameter, stored_, inside_);
    return inside_;
  }

  /// After a step: its gradient is what it took off the weights, divided by its rate. In the checkpoint's order.
  [[nodiscard]] std::span<const float> gradient(const Parameter& parameter) {
    const std::span<const float> before = initial(parameter), after = values(parameter);
    for (std::size_t i = 0; i < after.size(); ++i) inside_[i] = (before[i] - after[i]) / static_cast<float>(kRate);
    to_checkpoint_order(parameter, inside_, stored_);
    return stored_;
  }

 private:
  void fill_batch() {
    const std::span<float> images = runtime_->values<float>(exchange::kImages);
    const auto size = recorded()["size"].get<std::size_t>(), coarse = recorded()["coarse"].get<std::size_t>();
    std::vector<double> squares(images.size() / size / size * coarse * coarse);
    Formula square(kImages), noise(kNoise);
    for (double& value : squares) value = static_cast<float>(2 * square.next());
    for (std::size_t i = 0; i < images.size(); ++i) {
      const std::size_t c = i % 3, x = i / 3 % size, y = i / 3 / size % size, n = i / 3 / size / size;
      const std::size_t row = n * coarse + y * coarse / size;
      images[i] =
          static_cast<float>(squares[(row * coarse + x * coarse / size) * 3 + c]) + static_cast<float>(noise.next());
    }
    std::ranges::fill(runtime_->values<float>(exchange::kInverseStd), 1.0F);
    Formula label(kLabels);
    const auto classes = recorded()["classes"].get<double>();
    for (std::int32_t& value : runtime_->values<std::int32_t>(exchange::kLabels))
      value = static_cast<std::int32_t>(static_cast<float>(classes / 2 + classes * label.next())) %
              static_cast<std::int32_t>(classes);
  }

  std::string model_;
  Graph graph_;
  std::unique_ptr<Backend> backend_;
  Plan plan_;
  std::unique_ptr<Runtime> runtime_;
  std::map<std::string, std::uint64_t> numbers_;  ///< of tensors in the formula: the place of their names in order
  std::vector<float> stored_, inside_;            ///< one tensor in the checkpoint's and in the program's order
};

// ---- fp32: against recorded figures -----------------------------------------------------------------------------

struct Digest {
  double norm = 0, weighted = 0;
};
Digest digest(const Net& net, const Parameter& parameter, std::span<const float> values) {
  Digest result;
  Formula weight(kDigest + net.number(parameter));
  for (const float value : values) {
    result.norm += static_cast<double>(value) * value;
    result.weighted += static_cast<double>(value) * static_cast<float>(weight.next());
  }
  return {.norm = std::sqrt(result.norm), .weighted = result.weighted};
}

std::vector<double> logits_of(const Json& mode) {
  std::vector<double> logits;
  for (const Json& row : mode["logits"]) logits.insert(logits.end(), row.begin(), row.end());
  return logits;
}

/// Of the whole gradient.
double norm_of(const Json& gradients) {
  double sum = 0;
  for (const Json& gradient : gradients) sum += std::pow(gradient[0].get<double>(), 2);
  return std::sqrt(sum);
}

class TorchvisionNet : public testing::TestWithParam<std::string> {
 protected:
  void expect_logits(Net& net, const Json& mode) {
    const std::vector<double> expected = logits_of(mode);
    const std::span<const float> logits = net.logits();
    ASSERT_EQ(logits.size(), expected.size());
    double largest = 0, distance = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      largest = std::max(largest, std::abs(expected[i]));
      distance = std::max(distance, std::abs(static_cast<double>(logits[i]) - expected[i]));
    }
    EXPECT_LE(distance / largest, kLogits);
    std::cout << fmt::format("{}: logits {:.1e}\n", GetParam(), distance / largest);
  }

  static void expect_loss(Net& net, const Json& mode) {
    const auto expected = mode["loss"].get<double>();
    EXPECT_NEAR(net.loss(), expected, kLoss * expected);
  }

  void expect_gradients(Net& net, const Json& mode) {
    const double whole = norm_of(mode["gradients"]);
    double farthest = 0;
    for (const Parameter* parameter : net.parameters()) {
      if (!parameter->trainable()) continue;
      const Digest found = digest(net, *parameter, net.gradient(*parameter));
      const Json& expected = mode["gradients"][parameter->name];
      const double norm = expected[0], weighted = expected[1], pytorch = expected[2];
      const double tolerance = kGradients * norm + kTimesPyTorch * pytorch + kOfWhole * whole;
      EXPECT_NEAR(found.norm, norm, tolerance) << parameter->name;
      EXPECT_NEAR(found.weighted, weighted, tolerance) << parameter->name;
      if (norm < 1e-4 * whole || pytorch > 1e-4 * norm) continue;
      farthest = std::max({farthest, std::abs(found.norm - norm) / norm, std::abs(found.weighted - weighted) / norm});
    }
    EXPECT_GT(farthest, 0);
    EXPECT_LE(farthest, kGradients);  // where rounding has no part in it
    std::cout << fmt::format("{}: gradients {:.1e}\n", GetParam(), farthest);
  }

  static void expect_statistics(Net& net, const Json& mode) {
    for (const Parameter* parameter : net.parameters()) {
      if (parameter->trainable()) continue;
      std::vector<float> stored(net.values(*parameter).begin(), net.values(*parameter).end());
      const Digest found = digest(net, *parameter, stored);
      const Json& expected = mode["statistics"][parameter->name];
      const double norm = expected[0], weighted = expected[1];
      EXPECT_NEAR(found.norm, norm, kLogits * norm) << parameter->name;
      EXPECT_NEAR(found.weighted, weighted, kLogits * norm) << parameter->name;
    }
  }

  static void expect_statistics_untouched(Net& net) {
    for (const Parameter* parameter : net.parameters()) {
      if (parameter->trainable()) continue;
      EXPECT_TRUE(std::ranges::equal(net.initial(*parameter), net.values(*parameter))) << parameter->name;
    }
  }
};

TEST_P(TorchvisionNet, Agrees) {
  Net net(GetParam(), DType::f32);
  const Json& test = net.test();
  {
    SCOPED_TRACE("evaluation");
    net.run(evaluate);
    expect_logits(net, test["evaluation"]);
    net.run(step_with_running);
    expect_logits(net, test["evaluation"]);
    expect_loss(net, test["evaluation"]);
    expect_statistics_untouched(net);
    expect_gradients(net, test["evaluation"]);
  }
  SCOPED_TRACE("training");
  net.run(step_with_batch);
  expect_logits(net, test["training"]);
  expect_loss(net, test["training"]);
  expect_statistics(net, test["training"]);
  expect_gradients(net, test["training"]);
}

// ---- bf16: as near to the truth as PyTorch's --------------------------------------------------------------------

/// A tensor of every name that a pass gives, gradients or statistics; or how far such are from others.
using Tensors = std::map<std::string, std::vector<float>>;

Tensors gradients_of(Net& net) {
  Tensors gradients;
  for (const Parameter* parameter : net.parameters()) {
    if (!parameter->trainable()) continue;
    const std::span<const float> gradient = net.gradient(*parameter);
    gradients[parameter->name].assign(gradient.begin(), gradient.end());
  }
  return gradients;
}

double distance(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
  return std::sqrt(sum);
}

void expect_logits_bf16(Net& net, const Json& mode) {
  const std::vector<double> expected = logits_of(mode);
  const std::span<const float> logits = net.logits();
  ASSERT_EQ(logits.size(), expected.size());
  double size = 0, error = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    size += expected[i] * expected[i];
    error += std::pow(static_cast<double>(logits[i]) - expected[i], 2);
  }
  const double found = std::sqrt(error / size), pytorch = mode["logits_bf16"];
  EXPECT_GT(found, 1e-5) << "not bf16";
  EXPECT_LE(found, kTimesBf16 * pytorch);
  std::cout << fmt::format("bf16: logits {:.1e}, PyTorch's {:.1e}\n", found, pytorch);
}

/// `exact` is what the test above has shown to be torchvision's; PyTorch's distance from it is recorded.
void expect_gradients_bf16(Net& net, const Json& mode, const Tensors& exact) {
  const double whole = norm_of(mode["gradients"]);
  double ours = 0, theirs = 0, worst = 0;
  std::size_t tensors = 0, by_chance = 0;
  for (const auto& [name, gradient] : gradients_of(net)) {
    const Json& expected = mode["gradients"][name];
    const double norm = expected[0], pytorch = expected[3], found = distance(gradient, exact.at(name));
    const double usual = kTimesBf16OfTensor * pytorch + kFlips * norm + kOfWholeBf16 * whole;
    EXPECT_LE(found, kOfChance * usual) << name << ", norm " << norm;
    by_chance += found > usual ? 1 : 0;
    ++tensors;
    ours += found * found;
    theirs += pytorch * pytorch;
    if (norm > 1e-3 * whole) worst = std::max(worst, found / pytorch);
  }
  EXPECT_LE(by_chance, (tensors + 99) / 100);
  EXPECT_LE(std::sqrt(ours), kTimesBf16OfGradient * std::sqrt(theirs));
  std::cout << fmt::format("bf16: whole gradient {:.1e}, PyTorch's {:.1e}; of one tensor at most {:.2f} of PyTorch's\n",
                           std::sqrt(ours) / whole, std::sqrt(theirs) / whole, worst);
}

void expect_statistics_bf16(Net& net, const Json& mode) {
  for (const Parameter* parameter : net.parameters()) {
    if (parameter->trainable()) continue;
    std::vector<float> stored(net.values(*parameter).begin(), net.values(*parameter).end());
    const Digest found = digest(net, *parameter, stored);
    const Json& expected = mode["statistics"][parameter->name];
    const double norm = expected[0], weighted = expected[1], pytorch = expected[3];
    EXPECT_NEAR(found.norm, norm, kTimesBf16 * pytorch + kRounding * norm) << parameter->name;
    EXPECT_NEAR(found.weighted, weighted, kTimesBf16 * pytorch + kRounding * norm) << parameter->name;
  }
}

TEST_P(TorchvisionNet, AgreesInBf16) {
  if (const auto why = cannot_compute(Precision::bf16, this_processor())) GTEST_SKIP() << *why;
  std::map<Pass, Tensors> exact;
  {
    Net net(GetParam(), DType::f32);
    for (const Pass pass : {step_with_running, step_with_batch}) {
      net.run(pass);
      exact[pass] = gradients_of(net);
    }
  }
  Net net(GetParam(), DType::bf16);
  {
    SCOPED_TRACE("evaluation");
    net.run(evaluate);
    expect_logits_bf16(net, net.test()["evaluation"]);
    net.run(step_with_running);
    expect_logits_bf16(net, net.test()["evaluation"]);
    expect_gradients_bf16(net, net.test()["evaluation"], exact[step_with_running]);
  }
  SCOPED_TRACE("training");
  net.run(step_with_batch);
  expect_logits_bf16(net, net.test()["training"]);
  expect_statistics_bf16(net, net.test()["training"]);
  expect_gradients_bf16(net, net.test()["training"], exact[step_with_batch]);
}

std::vector<std::string> net_names() {
  std::vector<std::string> names;
  for (const auto& [name, test] : recorded()["cases"].items()) names.push_back(name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, TorchvisionNet, testing::ValuesIn(net_names()),
                         [](const testing::TestParamInfo<std::string>& test) { return test.param; });

}  // namespace
}  // namespace snug
