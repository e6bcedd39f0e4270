#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/layers.h"
#include "ops/op.h"

namespace snug::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr Padding kSame{.kind = Padding::Kind::same};
ConvLayer conv3(std::int64_t filters) { return {.filters = filters, .kernel = {3, 3}, .padding = kSame}; }
ConvLayer conv3_norm(std::int64_t filters, Activation activation = Activation::relu) {
  return {.filters = filters, .kernel = {3, 3}, .padding = kSame, .norm = true, .activation = activation};
}

std::vector<std::string> node_list(const Graph& graph) {
  std::vector<std::string> list;
  for (const Node& node : graph.nodes) list.push_back(std::string(to_string(node.op)) + " " + node.path);
  return list;
}
std::vector<std::string> layer_list(const Graph& graph) {
  std::vector<std::string> list;
  for (const Layer& layer : graph.layers) list.push_back(layer.type + " " + layer.path);
  return list;
}

// ---- shapes ---------------------------------------------------------------------------------------------------

struct ShapeCase {
  std::string name;
  LayerList layers;
  Shape output;
  std::int64_t parameters = 0, flops = 0;
};
void PrintTo(const ShapeCase& c, std::ostream* out) { *out << c.name; }

class LayerShape : public testing::TestWithParam<ShapeCase> {};

TEST_P(LayerShape, OnA12By10By6Image) {
  const Built built = build({12, 10, 6}, GetParam().layers);
  ASSERT_THAT(built.findings, IsEmpty());
  EXPECT_EQ(to_string(built.graph[built.graph.output].output), to_string(GetParam().output));
  EXPECT_EQ(parameters(built.graph), GetParam().parameters);
  EXPECT_EQ(flops(built.graph), GetParam().flops);
  EXPECT_EQ(built.graph.layers.back().output, GetParam().output);
}

const ResidualLayer kDown{
    .body = {layer(ConvLayer{.filters = 8, .kernel = {3, 3}, .stride = {2, 2}, .padding = kSame})},
    .shortcut = {layer(ConvLayer{.filters = 8, .stride = {2, 2}, .bias = false})}};

INSTANTIATE_TEST_SUITE_P(
    Table, LayerShape,
    testing::Values(
        ShapeCase{"conv", {layer(ConvLayer{.filters = 8, .kernel = {3, 3}})}, {10, 8, 8}, 6 * 9 * 8 + 8, 2 * 80 * 432},
        ShapeCase{"conv 5×3, stride 2×1",
                  {layer(ConvLayer{.filters = 4, .kernel = {5, 3}, .stride = {2, 1}, .bias = false})},
                  {4, 8, 4},
                  360,
                  2 * 32 * 360},
        ShapeCase{"conv with norm has no bias", {layer(conv3_norm(8))}, {12, 10, 8}, 432 + 16, 2 * 120 * 432},
        ShapeCase{"conv with norm and a wanted bias",
                  {layer(ConvLayer{.filters = 8, .kernel = {3, 3}, .padding = kSame, .bias = true, .norm = true})},
                  {12, 10, 8},
                  432 + 8 + 16,
                  2 * 120 * 432},
        ShapeCase{"grouped conv",
                  {layer(ConvLayer{.filters = 9, .kernel = {3, 3}, .padding = kSame, .groups = 3})},
                  {12, 10, 9},
                  2 * 9 * 9 + 9,
                  2 * 120 * 162},
        ShapeCase{"depthwise, multiplier 2",
                  {layer(ConvLayer{.depthwise = true, .multiplier = 2, .kernel = {3, 3}, .padding = kSame})},
                  {12, 10, 12},
                  9 * 12 + 12,
                  2 * 120 * 108},
        ShapeCase{"maxpool", {layer(PoolLayer{})}, {6, 5, 6}},
        ShapeCase{
            "avgpool 3, stride 3", {layer(PoolLayer{.average = true, .size = {3, 3}, .stride = {3, 3}})}, {4, 3, 6}},
        ShapeCase{
            "maxpool 3, stride 3, ceil", {layer(PoolLayer{.size = {3, 3}, .stride = {3, 3}, .ceil = true})}, {4, 4, 6}},
        ShapeCase{"global_avgpool", {layer(GlobalAveragePoolLayer{})}, {6}},
        ShapeCase{"adaptive_avgpool", {layer(AdaptiveAveragePoolLayer{.size = {3, 7}})}, {3, 7, 6}},
        ShapeCase{"flatten, dense", {layer(FlattenLayer{}), layer(DenseLayer{.units = 5})}, {5}, 3605, 7200},
        ShapeCase{"dense without bias",
                  {layer(GlobalAveragePoolLayer{}), layer(DenseLayer{.units = 5, .bias = false})},
                  {5},
                  30,
                  60},
        ShapeCase{"flat batchnorm", {layer(GlobalAveragePoolLayer{}), layer(BatchNormLayer{})}, {6}, 12},
        ShapeCase{"dropout 0", {layer(DropoutLayer{.rate = 0})}, {12, 10, 6}},
        ShapeCase{"softmax on a map", {layer(ActivationLayer{Activation::softmax})}, {12, 10, 6}},
        ShapeCase{"residual with shortcut", {layer(kDown)}, {6, 5, 8}, 440 + 48, 2 * 30 * (432 + 48)},
        ShapeCase{"branches",
                  {layer(BranchesLayer{{{}, {layer(conv3(4))}, {layer(conv3(2))}}})},
                  {12, 10, 12},
                  220 + 110,
                  2 * 120 * (216 + 108)},
        ShapeCase{"flat branches",
                  {layer(GlobalAveragePoolLayer{}), layer(BranchesLayer{{{}, {layer(DenseLayer{.units = 4})}}})},
                  {10},
                  28,
                  48},
        ShapeCase{"one branch is itself", {layer(BranchesLayer{{{layer(conv3(4))}}})}, {12, 10, 4}, 220, 2 * 120 * 216},
        ShapeCase{"squeeze_excite", {layer(SqueezeExciteLayer{.reduced = 2})}, {12, 10, 6}, 14 + 18, 2 * (12 + 12)}));

// ---- nodes, names ---------------------------------------------------------------------------------------------

TEST(Names, AreThePlaceByDefault) {
  const Built built = build({16, 16, 3}, {layer(conv3_norm(8)),
                                          layer(ResidualLayer{.body = {layer(conv3_norm(8)), layer(conv3(8))},
                                                              .shortcut = {layer(conv3(8))},
                                                              .activation = Activation::relu}),
                                          layer(BranchesLayer{{{layer(conv3(4))}, {layer(BatchNormLayer{})}}}),
                                          layer(BlockLayer{.layers = {layer(conv3(4)), layer(conv3(4))}, .repeat = 2}),
                                          layer(BlockLayer{{layer(conv3(4))}}), layer(SqueezeExciteLayer{.reduced = 1}),
                                          layer(GlobalAveragePoolLayer{}), layer(DenseLayer{.units = 2})});
  ASSERT_THAT(built.findings, IsEmpty());
  EXPECT_THAT(parameter_names(built.graph),
              ElementsAre("0.weight", "0.norm.weight", "0.norm.bias", "0.norm.running_mean", "0.norm.running_var",
                          "1.body.0.weight", "1.body.0.norm.weight", "1.body.0.norm.bias", "1.body.0.norm.running_mean",
                          "1.body.0.norm.running_var", "1.body.1.weight", "1.body.1.bias", "1.shortcut.0.weight",
                          "1.shortcut.0.bias", "2.branch0.0.weight", "2.branch0.0.bias", "2.branch1.0.weight",
                          "2.branch1.0.bias", "2.branch1.0.running_mean", "2.branch1.0.running_var", "3.0.0.weight",
                          "3.0.0.bias", "3.0.1.weight", "3.0.1.bias", "3.1.0.weight", "3.1.0.bias", "3.1.1.weight",
                          "3.1.1.bias", "4.0.weight", "4.0.bias", "5.reduce.weight", "5.reduce.bias", "5.expand.weight",
                          "5.expand.bias", "7.weight", "7.bias"));
  EXPECT_THAT(layer_list(built.graph),
              ElementsAre("conv 0", "conv 1.body.0", "conv 1.body.1", "conv 1.shortcut.0", "residual 1",
                          "conv 2.branch0.0", "batchnorm 2.branch1.0", "branches 2", "conv 3.0.0", "conv 3.0.1",
                          "conv 3.1.0", "conv 3.1.1", "conv 4.0", "squeeze_excite 5", "global_avgpool 6", "dense 7"));
}

TEST(Names, EveryPartCanBeReplacedOrDropped) {
  const Built built =
      build({16, 16, 8},
            {layer(ConvLayer{.filters = 8, .norm = true}, {.name = "stem.conv", .norm_name = "stem.bn"}),
             layer(ResidualLayer{.body = {layer(conv3(8), named("a"))}, .shortcut = {layer(conv3(8), named("b"))}},
                   {.name = "res", .body_name = "", .shortcut_name = "down"}),
             layer(BranchesLayer{{{layer(conv3(4))}, {layer(conv3(4), named("x"))}}},
                   {.name = "", .branch_names = {"left", ""}}),
             layer(BlockLayer{.layers = {layer(conv3(8), named("c"))}, .repeat = 2},
                   {.name = "stage", .turn = "block{}", .first = 1}),
             layer(BlockLayer{.layers = {layer(conv3(8), named("d"))}}, named("")),
             layer(SqueezeExciteLayer{.reduced = 1}, {.name = "se", .reduce_name = "fc1", .expand_name = "fc2"})});
  ASSERT_THAT(built.findings, IsEmpty());
  std::vector<std::string> weights;
  for (const std::string& name : parameter_names(built.graph)) {
    if (name.ends_with(".weight")) weights.push_back(name);
  }
  EXPECT_THAT(weights, ElementsAre("stem.conv.weight", "stem.bn.weight", "res.a.weight", "res.down.b.weight",
                                   "left.0.weight", "x.weight", "stage.block1.c.weight", "stage.block2.c.weight",
                                   "d.weight", "se.fc1.weight", "se.fc2.weight"));
}

TEST(Nodes, OfAConvolutionAreConvNormAndActivation) {
  const Built built = build({8, 8, 3}, {layer(conv3_norm(4), {.name = "conv1", .norm_name = "bn1"})});
  EXPECT_THAT(node_list(built.graph),
              ElementsAre("input input", "conv conv1", "batchnorm bn1", "activation conv1.relu"));
  for (std::size_t i = 1; i < 4; ++i) EXPECT_EQ(built.graph.nodes[i].layer, LayerId(0));
  EXPECT_EQ(built.graph.output, NodeId(3));
  EXPECT_FALSE(std::get<ConvAttributes>(built.graph.nodes[1].attributes).bias);
}

TEST(Nodes, OfAResidualDropTheBodyBeforeTheSum) {
  const Built built = build(
      {8, 8, 4},
      {layer(ResidualLayer{.body = {layer(conv3(4))}, .activation = Activation::relu, .stochastic_depth = 0.25})});
  ASSERT_THAT(node_list(built.graph),
              ElementsAre("input input", "conv 0.body.0", "dropout 0.stochastic_depth", "add 0", "activation 0.relu"));
  const auto& drop = std::get<DropoutAttributes>(built.graph.nodes[2].attributes);
  EXPECT_TRUE(drop.per_sample);
  EXPECT_EQ(drop.rate, 0.25);
  EXPECT_THAT(built.graph.nodes[3].inputs, ElementsAre(NodeId(2), NodeId(0)));
}

TEST(Nodes, OfSqueezeExciteGateTheInput) {
  const Built built =
      build({8, 8, 4}, {layer(SqueezeExciteLayer{.reduced = 2, .activation = Activation::silu}, named("se"))});
  ASSERT_THAT(node_list(built.graph),
              ElementsAre("input input", "adaptive_avgpool se.squeeze", "conv se.reduce", "activation se.silu",
                          "conv se.expand", "activation se.sigmoid", "scale_channels se"));
  EXPECT_EQ(built.graph.nodes[1].output, (Shape{1, 1, 4}));
  EXPECT_THAT(built.graph.nodes[6].inputs, ElementsAre(NodeId(0), NodeId(5)));
}

TEST(Nodes, WithoutParametersAreNamedApart) {
  const Built built =
      build({8, 8, 4}, {layer(ActivationLayer{Activation::relu}, named("")), layer(PoolLayer{}, named("x")),
                        layer(ActivationLayer{Activation::relu}, named("x")), layer(conv3(4), named("x"))});
  ASSERT_THAT(built.findings, IsEmpty());
  EXPECT_THAT(node_list(built.graph),
              ElementsAre("input input", "activation ", "maxpool x#2", "activation x#3", "conv x"));
}

struct DepthCase {
  double first;
  std::optional<double> last;
  std::int64_t turns;
  std::vector<double> rates;  // of the dropout nodes
};
TEST(StochasticDepth, RunsLinearlyOverTheTurns) {
  const std::vector<DepthCase> cases{
      {0.1, {}, 3, {0.1, 0.1, 0.1}}, {0.1, 0.4, 4, {0.1, 0.2, 0.3, 0.4}},
      {0.0, 0.2, 3, {0.1, 0.2}},     {0.1, 0.4, 1, {0.1}},
      {0.4, 0.0, 2, {0.4}},          {0.0, {}, 2, {}},
  };
  for (const DepthCase& c : cases) {
    const ResidualLayer residual{
        .body = {layer(conv3(4))}, .stochastic_depth = c.first, .stochastic_depth_last = c.last};
    // A group in the repeat changes nothing.
    const Built built =
        build({8, 8, 4}, {layer(BlockLayer{.layers = {layer(BlockLayer{{layer(residual)}})}, .repeat = c.turns})});
    ASSERT_THAT(built.findings, IsEmpty());
    std::vector<double> rates;
    for (const Node& node : built.graph.nodes) {
      if (node.op == NodeOp::dropout) rates.push_back(std::get<DropoutAttributes>(node.attributes).rate);
    }
    ASSERT_EQ(rates.size(), c.rates.size());
    for (std::size_t i = 0; i < rates.size(); ++i) EXPECT_NEAR(rates[i], c.rates[i], 1e-12);
  }
}

TEST(Nodes, TakeTheModelsBatchNormMomentum) {
  std::vector<Diagnostic> findings;
  const Graph graph =
      build_graph({.input = {4, 4, 1}, .bn_momentum = 0.25, .layers = {layer(BatchNormLayer{})}}, findings);
  EXPECT_EQ(std::get<BatchNormAttributes>(graph.nodes[1].attributes).momentum, 0.25);
}

// ---- dense behind flatten ---------------------------------------------------------------------------------------

struct FlattenCase {
  std::string name;
  LayerList between;  // flatten and the dense layer
  std::vector<Shape> flattened_from;
};
TEST(Flatten, IsRememberedByTheDenseLayerThatReadsIt) {
  const std::vector<FlattenCase> cases{
      {"alone", {}, {{6, 5, 4}}},
      {"dropout", {layer(DropoutLayer{.rate = 0.5})}, {{6, 5, 4}}},
      {"relu, dropout", {layer(ActivationLayer{Activation::relu}), layer(DropoutLayer{.rate = 0.5})}, {{6, 5, 4}}},
      {"flatten twice", {layer(FlattenLayer{})}, {{6, 5, 4}}},
      {"dense", {layer(DenseLayer{.units = 3})}, {}},
      {"batchnorm", {layer(BatchNormLayer{})}, {{6, 5, 4}}},
      {"residual of batchnorm", {layer(ResidualLayer{.body = {layer(BatchNormLayer{})}})}, {{6, 5, 4}}},
      {"concat with a dense layer", {layer(BranchesLayer{{{}, {layer(DenseLayer{.units = 3})}}})}, {{6, 5, 4}, {3}}},
      {"concat with itself", {layer(BranchesLayer{{{}, {}}})}, {{6, 5, 4}, {6, 5, 4}}},
      {"concat of dense layers",
       {layer(BranchesLayer{{{layer(DenseLayer{.units = 3})}, {layer(DenseLayer{.units = 2})}}})},
       {}},
  };
  for (const FlattenCase& c : cases) {
    LayerList layers{layer(FlattenLayer{})};
    layers.insert(layers.end(), c.between.begin(), c.between.end());
    layers.push_back(layer(DenseLayer{.units = 2}));
    const Built built = build({6, 5, 4}, layers);
    ASSERT_THAT(built.findings, IsEmpty()) << c.name;
    EXPECT_EQ(built.graph[built.graph.output].parameters[0].flattened_from, c.flattened_from) << c.name;
  }
  const Built pooled = build({6, 5, 4}, {layer(GlobalAveragePoolLayer{}), layer(DenseLayer{.units = 2})});
  EXPECT_TRUE(pooled.graph[pooled.graph.output].parameters[0].flattened_from.empty());
}

TEST(Flatten, IsRememberedByANormWithAllItsTensors) {
  const Built built = build({6, 5, 4}, {layer(FlattenLayer{}), layer(BatchNormLayer{})});
  for (const Parameter& parameter : built.graph[built.graph.output].parameters) {
    EXPECT_EQ(parameter.flattened_from, (std::vector<Shape>{{6, 5, 4}})) << parameter.name;
  }
  const Built map = build({6, 5, 4}, {layer(BatchNormLayer{})});
  EXPECT_TRUE(map.graph[map.graph.output].parameters[0].flattened_from.empty());
}

TEST(Flatten, OfMapsIsRememberedWhereTheyAreJoined) {
  const auto pooled = [](std::int64_t size) {
    return LayerList{layer(AdaptiveAveragePoolLayer{{size, size}}), layer(FlattenLayer{})};
  };
  const Built built = build({6, 5, 4}, {layer(BranchesLayer{{pooled(2), {layer(GlobalAveragePoolLayer{})}, pooled(3)}}),
                                        layer(DenseLayer{.units = 2})});
  ASSERT_THAT(built.findings, IsEmpty());
  EXPECT_EQ(built.graph[built.graph.output].parameters[0].flattened_from,
            (std::vector<Shape>{{2, 2, 4}, {4}, {3, 3, 4}}));
}

TEST(Parameters, KnowTheirFanIn) {
  const Built built = build({8, 8, 6}, {layer(ConvLayer{.filters = 4, .kernel = {3, 5}, .groups = 2}),
                                        layer(ConvLayer{.depthwise = true, .kernel = {3, 3}}),
                                        layer(GlobalAveragePoolLayer{}), layer(DenseLayer{.units = 3})});
  ASSERT_THAT(built.findings, IsEmpty());
  const auto fan_in = [&](std::size_t node) { return built.graph.nodes[node].parameters[0].fan_in; };
  EXPECT_EQ(fan_in(1), 3 * 5 * 3);
  EXPECT_EQ(fan_in(2), 3 * 3);
  EXPECT_EQ(fan_in(4), 4);
}

}  // namespace
}  // namespace snug::test
