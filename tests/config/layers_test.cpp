// The layer grammar and its names.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "support.h"

namespace snug::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Outcome parse_layers(const std::string& layers, const std::string& model = "") {
  return parse(std::string(kData) + "[model]\ninput = [32, 32, 3]\n" + model + "layers = [\n" + layers + "\n]\n");
}

/// The only layer of a sound model.
LayerConfig layer(const std::string& text, const std::string& model = "") {
  const Outcome outcome = parse_layers(text, model);
  EXPECT_TRUE(outcome.config) << text << all(outcome.findings);
  if (!outcome.config || outcome.config->model.layers.size() != 1) return {};
  return outcome.config->model.layers[0];
}

TEST(Layers, Convolutions) {
  const LayerConfig plain = layer("{ conv = 32, kernel = 3 }");
  EXPECT_EQ(std::get<ConvLayer>(plain.what), (ConvLayer{.filters = 32, .kernel = {3, 3}}));
  EXPECT_EQ(to_string(plain.where), "run.toml:6:1");
  EXPECT_EQ(to_string(plain.keys.find("kernel")->second), "run.toml:6:14");
  EXPECT_EQ(std::get<ConvLayer>(layer("{ conv = 8, kernel = [1, 7], stride = 2, padding = [0, 3], dilation = [2, 1], "
                                      "groups = 4, bias = false, norm = 'batch', activation = 'silu' }")
                                    .what),
            (ConvLayer{.filters = 8,
                       .kernel = {1, 7},
                       .stride = {2, 2},
                       .dilation = {2, 1},
                       .padding = {Padding::Kind::number, {0, 3}},
                       .groups = 4,
                       .bias = false,
                       .norm = true,
                       .activation = Activation::silu}));
  EXPECT_EQ(std::get<ConvLayer>(layer("{ depthwise = 5, multiplier = 2, padding = 'same' }").what),
            (ConvLayer{.depthwise = true, .multiplier = 2, .kernel = {5, 5}, .padding = {Padding::Kind::same}}));
  EXPECT_EQ(std::get<ConvLayer>(layer("{ conv = 'classes', kernel = 1 }", "classes = 9\n").what).filters, 9);
}

TEST(Layers, Pools) {
  EXPECT_EQ(std::get<PoolLayer>(layer("{ maxpool = 3 }").what), (PoolLayer{.size = {3, 3}, .stride = {3, 3}}));
  EXPECT_EQ(std::get<PoolLayer>(layer("{ avgpool = [3, 2], stride = 1, padding = 1, ceil = true }").what),
            (PoolLayer{.average = true,
                       .size = {3, 2},
                       .stride = {1, 1},
                       .padding = {Padding::Kind::number, {1, 1}},
                       .ceil = true}));
  EXPECT_TRUE(std::holds_alternative<GlobalAveragePoolLayer>(layer("{ global_avgpool = true }").what));
  EXPECT_EQ(std::get<AdaptiveAveragePoolLayer>(layer("{ adaptive_avgpool = [7, 6] }").what).size, (Extent2{7, 6}));
}

TEST(Layers, OthersThatStandAlone) {
  EXPECT_EQ(std::get<DenseLayer>(layer("{ dense = 10, bias = false, activation = 'softmax' }").what),
            (DenseLayer{.units = 10, .bias = false, .activation = Activation::softmax}));
  EXPECT_EQ(std::get<DenseLayer>(layer("{ dense = 'classes' }").what).units, 1000);
  EXPECT_TRUE(std::holds_alternative<FlattenLayer>(layer("{ flatten = true }").what));
  EXPECT_EQ(std::get<DropoutLayer>(layer("{ dropout = 0.25 }").what).rate, 0.25);
  EXPECT_EQ(std::get<BatchNormLayer>(layer("{ batchnorm = true, activation = 'relu' }").what).activation,
            Activation::relu);
  EXPECT_EQ(std::get<ActivationLayer>(layer("{ activation = 'gelu' }").what).activation, Activation::gelu);
  EXPECT_EQ(std::get<SqueezeExciteLayer>(layer("{ squeeze_excite = 8 }").what),
            (SqueezeExciteLayer{.reduced = 8, .activation = Activation::relu}));
}

TEST(Layers, ResidualsBranchesAndBlocks) {
  const auto residual = std::get<ResidualLayer>(layer("{ residual = [{ dense = 3 }, { dense = 4 }], shortcut = "
                                                      "[{ dense = 4 }], activation = 'relu', stochastic_depth = 0.1 }")
                                                    .what);
  EXPECT_EQ(residual.body.size(), 2U);
  EXPECT_EQ(residual.shortcut.size(), 1U);
  EXPECT_EQ(residual.activation, Activation::relu);
  EXPECT_EQ(residual.stochastic_depth, 0.1);
  EXPECT_FALSE(residual.stochastic_depth_last);
  const auto range = std::get<ResidualLayer>(layer("{ residual = [], stochastic_depth = [0, 0.2] }").what);
  EXPECT_EQ(range.stochastic_depth, 0);
  EXPECT_EQ(range.stochastic_depth_last, 0.2);
  EXPECT_EQ(std::get<BranchesLayer>(layer("{ branches = [[], [{ dense = 3 }]] }").what).branches[1].size(), 1U);
  EXPECT_EQ(std::get<BlockLayer>(layer("{ block = [{ dense = 3 }] }").what).repeat, 0);
  EXPECT_EQ(std::get<BlockLayer>(layer("{ repeat = 3, block = [{ dense = 3 }] }").what).repeat, 3);
}

TEST(Layers, DenseNetBlockWithItsNames) {
  const LayerConfig block =
      layer(R"({ repeat = 6, first = 1, turn = "denselayer{}", name = "features.denseblock1", block = [
  { name = "", branch_names = ["", ""], branches = [ [], [
    { batchnorm = true, activation = "relu", name = "norm1" },
    { conv = 128, kernel = 1, norm = "batch", activation = "relu", name = "conv1", norm_name = "norm2" },
    { conv = 32, kernel = 3, padding = 1, bias = false, name = "conv2" } ] ] } ] })");
  EXPECT_EQ(block.names.name, "features.denseblock1");
  EXPECT_EQ(block.names.turn, "denselayer{}");
  EXPECT_EQ(block.names.first, 1);
  const auto& turns = std::get<BlockLayer>(block.what);
  EXPECT_EQ(turns.repeat, 6);
  ASSERT_EQ(turns.layers.size(), 1U);
  EXPECT_EQ(turns.layers[0].names.name, "");
  EXPECT_THAT(turns.layers[0].names.branch_names, ElementsAre("", ""));
  const auto& branches = std::get<BranchesLayer>(turns.layers[0].what).branches;
  ASSERT_EQ(branches.size(), 2U);
  EXPECT_TRUE(branches[0].empty());
  ASSERT_EQ(branches[1].size(), 3U);
  EXPECT_EQ(branches[1][1].names.norm_name, "norm2");
  EXPECT_EQ(branches[1][2].names.name, "conv2");
  EXPECT_EQ(std::get<ConvLayer>(branches[1][2].what).bias, false);
}

TEST(Layers, EveryNamingKey) {
  const LayerNames residual =
      layer("{ residual = [], name = 'a.b', body_name = '', shortcut_name = 'downsample' }").names;
  EXPECT_EQ(residual.name, "a.b");
  EXPECT_EQ(residual.body_name, "");
  EXPECT_EQ(residual.shortcut_name, "downsample");
  const LayerNames squeeze = layer("{ squeeze_excite = 4, reduce_name = 'fc1', expand_name = 'fc2' }").names;
  EXPECT_EQ(squeeze.reduce_name, "fc1");
  EXPECT_EQ(squeeze.expand_name, "fc2");
  EXPECT_FALSE(squeeze.name);
}

TEST(Layers, FaultsOfShapeAreOneFinding) {
  struct Case {
    std::string text;
    char family;
    std::string what;
  };
  for (const Case& c : std::vector<Case>{
           {"{}", 'C', "no kind"},
           {"{ kernel = 3 }", 'C', "no kind"},
           {"{ name = 'conv1' }", 'C', "no kind"},
           {"{ repeat = 2 }", 'C', "no \"block\""},
           {"{ covn = 3, kernel = 3 }", 'C', "did you mean \"conv\""},
           {"{ conv = 3, kernel = 3, maxpool = 2 }", 'C', "2 kinds of layer: conv, maxpool"},
           {"{ conv = 3 }", 'C', "no \"kernel\""},
           {"{ conv = 3, kernl = 3, kernel = 3 }", 'C', "did you mean \"kernel\""},
           {"{ dense = 3, kernel = 3 }", 'C', "no key of dense"},
           {"{ maxpool = 2, norm = 'batch' }", 'C', "no key of maxpool"},
           {"{ block = [{ dense = 3 }], turn = 'x{}' }", 'C', "no"},
           {"{ repeat = 2, block = [{ dense = 3 }], turn = 'x' }", 'C', "2 turns"},
           {"{ branches = [[], [], []], branch_names = ['a', 'b'] }", 'C', "2 names for 3 branches"},
           {"{ residual = [{ conv = 3, kernel = 0 }] }", 'A', "residual.0.kernel is 0"},
           {"{ repeat = 9000, block = [{ repeat = 9000, block = [{ dense = 1 }] }] }", 'A', "100000 layers"},
       }) {
    const Outcome outcome = parse_layers(c.text);
    ASSERT_EQ(outcome.findings.size(), 1U) << c.text << all(outcome.findings);
    EXPECT_EQ(outcome.findings[0].code[0], c.family);
    EXPECT_THAT(outcome.findings[0].what, HasSubstr(c.what));
    EXPECT_THAT(outcome.findings[0].where, HasSubstr(c.what.ends_with("layers") ? "run.toml:5:" : "run.toml:6:"));
    EXPECT_FALSE(outcome.findings[0].fix.empty());
  }
}

TEST(Layers, NestingIsBounded) {
  const auto nested = [](int levels) {
    std::string text = "{ dense = 1 }";
    for (int i = 0; i < levels; ++i) text = fmt::format("{{ residual = [ {} ] }}", text);
    return parse_layers(text);
  };
  EXPECT_TRUE(nested(40).config);
  for (const int levels : {60, 100, 200, 1000}) {
    const Outcome outcome = nested(levels);
    ASSERT_EQ(outcome.findings.size(), 1U) << levels << all(outcome.findings);
    EXPECT_FALSE(outcome.findings[0].fix.empty());
  }
}

}  // namespace
}  // namespace snug::config
