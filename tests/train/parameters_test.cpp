#include "train/parameters.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "train/fake_tensors.h"

namespace snug {
namespace {

TEST(Parameters, convolutions_go_to_out_in_height_width) {
  // OHWI [1, 1, 2, 3] to [1, 3, 1, 2].
  const Parameter parameter{.name = "w", .kind = ParameterKind::conv_weight, .shape = {1, 1, 2, 3}};
  EXPECT_EQ(checkpoint_shape(parameter), (std::vector<std::int64_t>{1, 3, 1, 2}));
  const std::vector<float> inside{1, 2, 3, 4, 5, 6};
  std::vector<float> stored(6);
  to_checkpoint_order(parameter, inside, stored);
  EXPECT_EQ(stored, (std::vector<float>{1, 4, 2, 5, 3, 6}));
}

TEST(Parameters, columns_behind_flatten_go_to_channels_first) {
  // Two pixels with two channels: inside (p0c0 p0c1 p1c0 p1c1), in the checkpoint (c0p0 c0p1 c1p0 c1p1).
  const Parameter parameter{
      .name = "w", .kind = ParameterKind::dense_weight, .shape = {2, 4}, .flattened_from = {{1, 2, 2}}};
  EXPECT_EQ(checkpoint_shape(parameter), (std::vector<std::int64_t>{2, 4}));
  const std::vector<float> inside{1, 2, 3, 4, 5, 6, 7, 8};
  std::vector<float> stored(8);
  to_checkpoint_order(parameter, inside, stored);
  EXPECT_EQ(stored, (std::vector<float>{1, 3, 2, 4, 5, 7, 6, 8}));
}

TEST(Parameters, norms_behind_flatten_go_to_channels_first) {
  const Parameter parameter{
      .name = "n", .kind = ParameterKind::running_var, .shape = {6}, .flattened_from = {{1, 3, 2}}};
  std::vector<float> stored(6);
  to_checkpoint_order(parameter, std::vector<float>{1, 2, 3, 4, 5, 6}, stored);
  EXPECT_EQ(stored, (std::vector<float>{1, 3, 5, 2, 4, 6}));
}

TEST(Parameters, each_joined_piece_is_ordered_by_itself) {
  // A flattened map of two pixels and two channels, three plain values, a map of three pixels and one channel.
  const Parameter parameter{.name = "w",
                            .kind = ParameterKind::dense_weight,
                            .shape = {2, 10},
                            .flattened_from = {{1, 2, 2}, {3}, {3, 1, 1}}};
  std::vector<float> inside(20), stored(20), back(20);
  std::iota(inside.begin(), inside.end(), 1.0F);
  to_checkpoint_order(parameter, inside, stored);
  EXPECT_EQ(stored, (std::vector<float>{1, 3, 2, 4, 5, 6, 7, 8, 9, 10, 11, 13, 12, 14, 15, 16, 17, 18, 19, 20}));
  from_checkpoint_order(parameter, stored, back);
  EXPECT_EQ(back, inside);
}

TEST(Parameters, other_tensors_stay_and_every_order_comes_back) {
  const Graph graph = small_graph();
  for (const Parameter* parameter : all_parameters(graph)) {
    std::vector<float> inside(static_cast<std::size_t>(parameter->shape.elements()));
    std::iota(inside.begin(), inside.end(), 1.0F);
    std::vector<float> stored(inside.size()), back(inside.size());
    to_checkpoint_order(*parameter, inside, stored);
    from_checkpoint_order(*parameter, stored, back);
    EXPECT_EQ(back, inside) << parameter->name;
    const bool moves = parameter->name == "d.weight" || parameter->name == "c.weight";
    EXPECT_EQ(stored != inside, moves) << parameter->name;
  }
}

TEST(Parameters, the_last_layer_is_all_of_it) {
  Graph graph = small_graph();
  EXPECT_EQ(last_layer_parameters(graph), (std::vector<std::string>{"d.weight", "d.bias"}));
  graph.nodes.pop_back();
  EXPECT_EQ(last_layer_parameters(graph).size(), 5U) << "a convolution and its norm";
}

struct InitializerCase {
  InitializerKind kind;
  double deviation;
  double limit;  ///< 0: none
};

TEST(Parameters, initial_weights_have_the_deviation_of_their_fans) {
  // fan_in 400, fan_out 100. A uniform distribution in ±l deviates by l ÷ √3.
  const InitializerCase cases[] = {
      {InitializerKind::he_normal, std::sqrt(2.0 / 400), 0},
      {InitializerKind::he_uniform, std::sqrt(6.0 / 400 / 3), std::sqrt(6.0 / 400)},
      {InitializerKind::glorot_normal, std::sqrt(2.0 / 500), 0},
      {InitializerKind::glorot_uniform, std::sqrt(6.0 / 500 / 3), std::sqrt(6.0 / 500)},
      {InitializerKind::normal, 0.03, 0},
  };
  for (const InitializerCase& c : cases) {
    Graph graph;
    graph.nodes.resize(1);
    graph.nodes[0].parameters = {
        {.name = "w", .kind = ParameterKind::dense_weight, .shape = {100, 400}, .fan_in = 400, .fan_out = 100}};
    FakeTensors tensors(graph, {});
    TrainConfig train;
    train.initializer = {.kind = c.kind, .std = 0.03};
    initialize_parameters(graph, train, tensors);
    const std::vector<float>& w = tensors.values().at("w");
    double sum = 0, squares = 0;
    float largest = 0;
    for (const float value : w) {
      sum += value;
      squares += static_cast<double>(value) * value;
      largest = std::max(largest, std::abs(value));
    }
    const auto n = static_cast<double>(w.size());
    // 40,000 draws: the mean is within 5 standard errors, the deviation within 2 %.
    EXPECT_LT(std::abs(sum / n), 5 * c.deviation / std::sqrt(n)) << static_cast<int>(c.kind);
    EXPECT_NEAR(std::sqrt(squares / n), c.deviation, 0.02 * c.deviation) << static_cast<int>(c.kind);
    if (c.limit > 0) {
      EXPECT_LE(largest, c.limit);
      EXPECT_GT(largest, 0.99 * c.limit);
    }
  }
}

TEST(Parameters, initial_values_depend_on_the_seed_and_the_place_alone) {
  const Graph graph = small_graph();
  TrainConfig train;
  const auto draw = [&](std::uint64_t seed) {
    train.seed = seed;
    FakeTensors tensors(graph, {state_prefix::kAverage});
    initialize_parameters(graph, train, tensors);
    return tensors.values();
  };
  const auto first = draw(1);
  EXPECT_EQ(first, draw(1));
  EXPECT_NE(first.at("c.weight"), draw(2).at("c.weight"));
  EXPECT_EQ(first.at("average:c.weight"), first.at("c.weight"));
  EXPECT_EQ(first.at("n.weight"), std::vector<float>(4, 1.0F));
  EXPECT_EQ(first.at("n.running_var"), std::vector<float>(4, 1.0F));
  EXPECT_EQ(first.at("n.running_mean"), std::vector<float>(4, 0.0F));
  EXPECT_EQ(first.at("d.bias"), std::vector<float>(2, 0.0F));
}

}  // namespace
}  // namespace snug
