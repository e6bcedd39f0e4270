// The models of configs/models against torchvision's names, shapes and figures, and the naming keys of the grammar.
#include <algorithm>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/layers.h"

namespace snug::test {
namespace {

using testing::IsEmpty;

Built build_file(const std::string& file) {
  Built built;
  const Config config = load_config(file, {.model_only = true});
  built.graph = build_graph(config.model, built.findings);
  return built;
}
Built build_text(std::string_view text) {
  Built built;
  const Config config = parse_config(text, "net.toml", {.model_only = true});
  built.graph = build_graph(config.model, built.findings);
  return built;
}

// Parameters as torchvision 0.26 counts them; multiply-adds are its published GMAC with all their digits.
struct ModelCase {
  std::string file;
  std::int64_t parameters, mac, outputs;
};
TEST(Models, HaveTheExpectedSize) {
  const std::vector<ModelCase> cases{
      {"configs/models/resnet18.toml", 11'689'512, 1'814'073'344, 1000},
      {"configs/models/resnet34.toml", 21'797'672, 3'663'761'408, 1000},
      {"configs/models/resnet50.toml", 25'557'032, 4'089'184'256, 1000},
      {"configs/models/resnet101.toml", 44'549'160, 7'801'405'440, 1000},
      {"configs/models/resnext50_32x4d.toml", 25'028'904, 4'230'479'872, 1000},
      {"configs/models/vgg16.toml", 138'357'544, 15'470'264'320, 1000},
      {"configs/models/vgg16_bn.toml", 138'365'992, 15'470'264'320, 1000},
      {"configs/models/mobilenet_v2.toml", 3'504'872, 300'774'272, 1000},
      {"configs/models/densenet121.toml", 7'978'856, 2'834'161'664, 1000},
      {"configs/models/efficientnet_b0.toml", 5'288'548, 385'814'752, 1000},
      {"configs/models/squeezenet1_1.toml", 1'235'496, 349'151'936, 1000},
      {"configs/models/alexnet.toml", 61'100'840, 714'188'480, 1000},
      {"configs/models/resnet18-cifar.toml", 11'173'962, 555'422'720, 10},
      // conv 288 + 18,432, BN 2 · 96, dense 3,136 · 128 + 128 and 128 · 10 + 10
      {"configs/models/lenet.toml", 421'738, 784 * 288 + 196 * 18'432 + 3'136 * 128 + 1'280, 10},
      // conv 864 + 18,432 + 2 · 36,864 + 73,728 + 294,912 + 2 · 589,824, BN 2 · 1,120, dense 2,560 + 10
      {"configs/models/resnet9.toml", 1'646'122,
       1024 * (864 + 18'432) + 256 * (73'728 + 73'728) + 64 * 294'912 + 16 * 1'179'648 + 2'560, 10},
  };
  for (const ModelCase& c : cases) {
    const Built built = build_file(c.file);
    ASSERT_THAT(built.findings, IsEmpty()) << c.file;
    EXPECT_TRUE(built.graph.complete);
    EXPECT_EQ(parameters(built.graph), c.parameters) << c.file;
    EXPECT_EQ(flops(built.graph), 2 * c.mac) << c.file;
    EXPECT_EQ(built.graph[built.graph.output].output, (Shape{c.outputs})) << c.file;
  }
}

// ---- torchvision's names --------------------------------------------------------------------------------------

using NamedShape = std::pair<std::string, std::string>;  // name, shape in PyTorch's order

std::string dimensions(const std::vector<std::int64_t>& extents) {
  std::string text;
  for (const std::int64_t extent : extents) text += (text.empty() ? "" : "×") + std::to_string(extent);
  return text;
}
void add_conv(std::vector<NamedShape>& list, const std::string& name, std::int64_t out, std::int64_t in,
              std::int64_t kernel) {
  list.emplace_back(name + ".weight", dimensions({out, in, kernel, kernel}));
}
void add_norm(std::vector<NamedShape>& list, const std::string& name, std::int64_t channels) {
  for (const char* part : {".weight", ".bias", ".running_mean", ".running_var"}) {
    list.emplace_back(name + part, dimensions({channels}));
  }
}

/// torchvision.models.resnet18().state_dict() without num_batches_tracked, in its order.
std::vector<NamedShape> resnet18_state() {
  std::vector<NamedShape> list;
  add_conv(list, "conv1", 64, 3, 7);
  add_norm(list, "bn1", 64);
  std::int64_t in = 64;
  for (int stage = 1; stage <= 4; ++stage) {
    const std::int64_t out = std::int64_t{32} << stage;
    for (int block = 0; block < 2; ++block) {
      const std::string path = "layer" + std::to_string(stage) + "." + std::to_string(block);
      add_conv(list, path + ".conv1", out, in, 3);
      add_norm(list, path + ".bn1", out);
      add_conv(list, path + ".conv2", out, out, 3);
      add_norm(list, path + ".bn2", out);
      if (in != out) {
        add_conv(list, path + ".downsample.0", out, in, 1);
        add_norm(list, path + ".downsample.1", out);
      }
      in = out;
    }
  }
  list.emplace_back("fc.weight", "1000×512");
  list.emplace_back("fc.bias", "1000");
  return list;
}

/// OHWI as the program holds it → OIHW.
std::string checkpoint_shape(const Parameter& parameter) {
  const Shape& s = parameter.shape;
  if (parameter.kind == ParameterKind::conv_weight) return dimensions({s[0], s[3], s[1], s[2]});
  return to_string(s);
}

std::vector<NamedShape> state_of(const Graph& graph) {
  std::vector<NamedShape> list;
  for (const Node& node : graph.nodes) {
    for (const Parameter& parameter : node.parameters) list.emplace_back(parameter.name, checkpoint_shape(parameter));
  }
  return list;
}

TEST(Resnet18, HasTorchvisionsStateDict) {
  const Built built = build_file("configs/models/resnet18.toml");
  const std::vector<NamedShape> expected = resnet18_state();
  EXPECT_EQ(expected.size(), 102U);  // 62 parameters, 40 running statistics
  EXPECT_EQ(state_of(built.graph), expected);
}

TEST(Resnet18, OfCifarDiffersInStemAndClassesAlone) {
  std::vector<NamedShape> expected = resnet18_state();
  expected[0].second = "64×3×3×3";
  expected[expected.size() - 2].second = "10×512";
  expected.back().second = "10";
  EXPECT_EQ(state_of(build_file("configs/models/resnet18-cifar.toml").graph), expected);
}

TEST(Models, TakeAnotherNumberOfClasses) {
  Built built;
  const Config config = parse_config("[model]\nfile = \"models/resnet18.toml\"\nclasses = 7\ninput = [64, 64, 3]",
                                     "configs/x.toml", {.model_only = true});
  const Graph graph = build_graph(config.model, built.findings);
  ASSERT_THAT(built.findings, IsEmpty());
  EXPECT_EQ(parameters(graph), 11'689'512 - 513 * 993);
}

/// The names that torchvision.models.densenet121() gives the tensors of its first two dense layers and transition.
TEST(Densenet, BlockOfTheContractHasTorchvisionsNames) {
  const Built built = build_text(R"([model]
input = [8, 8, 64]
layers = [
  { repeat = 6, first = 1, turn = "denselayer{}", name = "features.denseblock1", block = [
    { name = "", branch_names = ["", ""], branches = [ [], [
      { batchnorm = true, activation = "relu", name = "norm1" },
      { conv = 128, kernel = 1, norm = "batch", activation = "relu", name = "conv1", norm_name = "norm2" },
      { conv = 32, kernel = 3, padding = 1, bias = false, name = "conv2" } ] ] } ] },
  { name = "features.transition1", block = [
    { batchnorm = true, activation = "relu", name = "norm" },
    { conv = 128, kernel = 1, bias = false, name = "conv" },
    { avgpool = 2, name = "pool" } ] } ])");
  ASSERT_THAT(built.findings, IsEmpty());
  std::vector<NamedShape> expected;
  for (int number = 1; number <= 6; ++number) {
    const std::string path = "features.denseblock1.denselayer" + std::to_string(number);
    const std::int64_t in = 64 + 32 * (number - 1);
    add_norm(expected, path + ".norm1", in);
    add_conv(expected, path + ".conv1", 128, in, 1);
    add_norm(expected, path + ".norm2", 128);
    add_conv(expected, path + ".conv2", 32, 128, 3);
  }
  add_norm(expected, "features.transition1.norm", 256);
  add_conv(expected, "features.transition1.conv", 128, 256, 1);
  EXPECT_EQ(state_of(built.graph), expected);
  EXPECT_EQ(built.graph[built.graph.output].output, (Shape{4, 4, 128}));
}

/// torchvision.models.efficientnet_b0().features[2][0]: an inverted residual with squeeze-excite.
TEST(EfficientNet, BlockHasTorchvisionsNames) {
  const Built built = build_text(R"([model]
input = [8, 8, 24]
layers = [
  { name = "features.2.1.block", block = [
    { block = [ { conv = 144, kernel = 1, norm = "batch", norm_name = "1", activation = "silu" } ] },
    { block = [ { depthwise = 3, padding = 1, norm = "batch", norm_name = "1", activation = "silu" } ] },
    { squeeze_excite = 6, activation = "silu", reduce_name = "fc1", expand_name = "fc2" },
    { block = [ { conv = 24, kernel = 1, norm = "batch", norm_name = "1" } ] } ] } ])");
  ASSERT_THAT(built.findings, IsEmpty());
  const std::string path = "features.2.1.block.";
  std::vector<NamedShape> expected;
  add_conv(expected, path + "0.0", 144, 24, 1);
  add_norm(expected, path + "0.1", 144);
  add_conv(expected, path + "1.0", 144, 1, 3);
  add_norm(expected, path + "1.1", 144);
  add_conv(expected, path + "2.fc1", 6, 144, 1);
  expected.emplace_back(path + "2.fc1.bias", "6");
  add_conv(expected, path + "2.fc2", 144, 6, 1);
  expected.emplace_back(path + "2.fc2.bias", "144");
  add_conv(expected, path + "3.0", 24, 144, 1);
  add_norm(expected, path + "3.1", 24);
  EXPECT_EQ(state_of(built.graph), expected);
}

/// torchvision: 0.2 · number of the block ÷ 16, in blocks that have a shortcut.
TEST(EfficientNet, LeavesOutDeeperBlocksMoreOften) {
  const Built built = build_file("configs/models/efficientnet_b0.toml");
  std::vector<double> rates;
  for (const Node& node : built.graph.nodes) {
    const auto* dropout = std::get_if<DropoutAttributes>(&node.attributes);
    if (dropout != nullptr && dropout->per_sample) rates.push_back(dropout->rate);
  }
  std::vector<double> expected;
  for (const int number : {2, 4, 6, 7, 9, 10, 12, 13, 14}) expected.push_back(0.2 * number / 16);
  EXPECT_THAT(rates, testing::Pointwise(testing::DoubleNear(1e-12), expected));
}

TEST(Places, AreThoseOfTheKeys) {
  const Built built = build_text("[model]\ninput = [8, 8, 3]\nlayers = [\n  { conv = 4, groups = 3, kernel = 3 },\n]");
  ASSERT_EQ(built.findings.size(), 1U);
  EXPECT_THAT(built.findings[0].where, testing::MatchesRegex("net.toml:4:1[0-9]|net.toml:4:2[0-9]"));
}

}  // namespace
}  // namespace snug::test
