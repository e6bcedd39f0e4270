#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/layers.h"

namespace snug::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// ---- final layer ----------------------------------------------------------------------------------------------

struct FinalCase {
  Activation activation;
  Loss loss;
  bool softmax, sigmoid;
};
TEST(FinalLayer, FusesWhatBelongsToTheLoss) {
  const std::vector<FinalCase> cases{
      {Activation::softmax, Loss::sparse_categorical_crossentropy, true, false},
      {Activation::softmax, Loss::categorical_crossentropy, true, false},
      {Activation::sigmoid, Loss::binary_crossentropy, false, true},
      {Activation::softmax, Loss::binary_crossentropy, false, false},
      {Activation::softmax, Loss::mse, false, false},
      {Activation::sigmoid, Loss::mse, false, false},
      {Activation::sigmoid, Loss::sparse_categorical_crossentropy, false, false},
      {Activation::relu, Loss::binary_crossentropy, false, false},
      {Activation::identity, Loss::sparse_categorical_crossentropy, false, false},
  };
  for (const FinalCase& c : cases) {
    SCOPED_TRACE(std::string(to_string(c.activation)) + " with " + std::string(to_string(c.loss)));
    const Built built =
        build({4, 4, 1}, {layer(GlobalAveragePoolLayer{}), layer(DenseLayer{.units = 3, .activation = c.activation})});
    const FinalLayer final = final_layer(built.graph, c.loss);
    EXPECT_EQ(final.softmax, c.softmax);
    EXPECT_EQ(final.sigmoid, c.sigmoid);
    const bool fused = c.softmax || c.sigmoid;
    EXPECT_EQ(final.logits, fused ? NodeId(2) : built.graph.output);
  }
}

// ---- freezing -------------------------------------------------------------------------------------------------

Graph small_net() {
  const ConvLayer conv{.filters = 4, .norm = true, .activation = Activation::relu};
  return build({8, 8, 4},
               {layer(conv, {.name = "conv1", .norm_name = "bn1"}),
                layer(BlockLayer{.layers = {layer(conv, {.name = "conv1", .norm_name = "bn1"})}, .repeat = 2},
                      named("layer1")),
                layer(conv, named("layer10")), layer(GlobalAveragePoolLayer{}, named("pool")),
                layer(DenseLayer{.units = 2}, named("fc")), layer(DropoutLayer{.rate = 0.1}, named("drop"))})
      .graph;
}

struct FreezeCase {
  std::vector<std::string> names, frozen;  // paths of frozen nodes
  std::size_t findings = 0;
};
TEST(FrozenNodes, AreThoseBelowAPath) {
  const Graph graph = small_net();
  const std::vector<FreezeCase> cases{
      {{}, {}},
      {{"conv1"}, {"conv1", "bn1"}},  // the layer: a convolution with its norm
      {{"bn1"}, {"bn1"}},
      {{"layer1"}, {"layer1.0.conv1", "layer1.0.bn1", "layer1.1.conv1", "layer1.1.bn1"}},  // not layer10
      {{"layer1.1"}, {"layer1.1.conv1", "layer1.1.bn1"}},
      {{"layer1.1.bn1", "fc"}, {"layer1.1.bn1", "fc"}},
      {{"backbone"},
       {"conv1", "bn1", "layer1.0.conv1", "layer1.0.bn1", "layer1.1.conv1", "layer1.1.bn1", "layer10", "layer10.norm"}},
      {{"layer"}, {}, 1},
      {{"pool"}, {}, 1},
      {{"layer1.7", "fc", "nothing"}, {"fc"}, 2},
  };
  for (const FreezeCase& c : cases) {
    SCOPED_TRACE(testing::PrintToString(c.names));
    std::vector<Diagnostic> findings;
    const std::vector<bool> frozen = frozen_nodes(graph, c.names, {"x.toml", 3, 4}, findings);
    std::vector<std::string> paths;
    for (std::size_t i = 0; i < frozen.size(); ++i) {
      if (frozen[i]) paths.push_back(graph.nodes[i].path);
    }
    EXPECT_EQ(paths, c.frozen);
    EXPECT_EQ(findings.size(), c.findings);
  }
}

TEST(FrozenNodes, SuggestsThePathThatWasMeant) {
  std::vector<Diagnostic> findings;
  const std::vector<std::string> names{"layer1.1.covn1"};
  (void)frozen_nodes(small_net(), names, {"x.toml", 3, 4}, findings);
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].code[0], 'T');
  EXPECT_EQ(findings[0].where, "x.toml:3:4");
  EXPECT_EQ(findings[0].fix, "freeze = [\"layer1.1.conv1\"]");
}

}  // namespace
}  // namespace snug::test
