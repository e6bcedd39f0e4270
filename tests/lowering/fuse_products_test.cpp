// Which 1×1 convolutions take norms with them, and what that saves. That values stay is tested in tests/ops on whole
// networks.
#include <algorithm>

#include <gtest/gtest.h>

#include "lowering/lowering.h"
#include "lowering/nets.h"
#include "ops/op.h"

namespace snug {
namespace {

using test::layer;
using test::net_of;

LayerConfig conv(std::int64_t filters, std::int64_t kernel, Activation activation = Activation::relu) {
  ConvLayer made{.filters = filters, .kernel = {kernel, kernel}};
  made.padding.kind = Padding::Kind::same;
  made.norm = true;
  made.activation = activation;
  return layer(made);
}

/// Two residual blocks of 1×1, 3×3 and 1×1 on 8×8 pictures, the first with a projection.
Graph bottlenecks(Activation between = Activation::relu) {
  LayerList layers{conv(8, 3)};
  for (const bool projects : {true, false}) {
    ResidualLayer block;
    block.body = {conv(8, 1), conv(8, 3, between), conv(32, 1, Activation::identity)};
    if (projects) block.shortcut = {conv(32, 1, Activation::identity)};
    block.activation = Activation::relu;
    layers.push_back(layer(block));
  }
  return net_of(std::move(layers));
}

LoweringOptions fusing(StepSeconds seconds = {}) {
  LoweringOptions options{.batch = 16};
  options.products = {.possible = [](const Program&, const Step&) { return true; }, .seconds = std::move(seconds)};
  return options;
}

std::int64_t count(const Program& program, Op op, bool Conv1x1Attributes::*flag = nullptr) {
  return std::ranges::count_if(program.steps, [&](const Step& step) {
    return step.op == op && (flag == nullptr || std::get<Conv1x1Attributes>(step.attributes).*flag);
  });
}

std::int64_t bytes(const Program& program) {
  std::int64_t sum = 0;
  for (const Step& step : program.steps) sum += step_cost(program, step).bytes;
  return sum;
}

TEST(FuseProducts, TakesNormsOnBothSides) {
  const Program program = lower(bottlenecks(), fusing());
  EXPECT_EQ(count(program, Op::conv1x1_forward), 5);
  EXPECT_EQ(count(program, Op::conv1x1_forward, &Conv1x1Attributes::statistics), 5);
  // The third of each block reads the norm behind the 3×3; the others read what several read.
  EXPECT_EQ(count(program, Op::conv1x1_forward, &Conv1x1Attributes::norm), 2);
  EXPECT_EQ(count(program, Op::conv1x1_backward_weights), 2);
  EXPECT_EQ(count(program, Op::batchnorm_statistics), 2);
  EXPECT_EQ(count(program, Op::batchnorm_forward), 1) << "the first layer's";
  // Behind both blocks' 3×3; at the end of the first block, and of the first layer, where gradients meet.
  EXPECT_EQ(count(program, Op::conv1x1_backward_data), 4);
  EXPECT_EQ(count(program, Op::conv1x1_backward_data, &Conv1x1Attributes::addend), 2);
  EXPECT_EQ(count(program, Op::conv1x1_backward_data, &Conv1x1Attributes::residual), 1);
  EXPECT_EQ(count(program, Op::batchnorm_backward_apply), 4);
  EXPECT_EQ(count(program, Op::add), 0);
}

/// Of maps of N elements of 4 bytes: 5 statistics, a read each; 2 norms, a write and a read (weights too); 2 sums of
/// slopes behind a 3×3, a read each; two sums of gradients, 4 N at the block's end and a read and a sum at the first
/// layer's.
TEST(FuseProducts, SavesWhatIsSaid) {
  const Graph graph = bottlenecks();
  const std::int64_t narrow = std::int64_t{16} * 8 * 8 * 8 * 4, wide = 4 * narrow;
  const std::int64_t statistics = 2 * narrow + 3 * wide, norms = 4 * narrow, slopes = 2 * narrow;
  const std::int64_t ends = 4 * wide + 3 * narrow;
  const std::int64_t saved = bytes(lower(graph, {.batch = 16})) - bytes(lower(graph, fusing()));
  // Vectors and sums of a few hundred bytes go to and fro.
  EXPECT_NEAR(static_cast<double>(saved), static_cast<double>(statistics + norms + slopes + ends), 0.03 * wide);
}

TEST(FuseProducts, AsksForEachWhetherItPays) {
  const auto plain = lower(bottlenecks(), {.batch = 16});
  const auto slow = [](const Program&, const Step& step) { return is_fused_product(step.op) ? 1.0 : 0.1; };
  EXPECT_EQ(print(lower(bottlenecks(), fusing(slow))), print(plain));
  LoweringOptions impossible = fusing();
  impossible.products.possible = [](const Program&, const Step&) { return false; };
  EXPECT_EQ(print(lower(bottlenecks(), impossible)), print(plain));
}

TEST(FuseProducts, LeavesWhatIsNoLineOutside) {
  const Program program = lower(bottlenecks(Activation::silu), fusing());
  EXPECT_EQ(count(program, Op::conv1x1_forward, &Conv1x1Attributes::norm), 0);
  EXPECT_EQ(count(program, Op::conv1x1_forward, &Conv1x1Attributes::statistics), 5);
}

/// Evaluation has no statistics to measure, and reads activations once.
TEST(FuseProducts, LeavesEvaluationAlone) {
  LoweringOptions options = fusing();
  options.training = false;
  const Program program = lower(bottlenecks(), options);
  EXPECT_TRUE(std::ranges::none_of(program.steps, [](const Step& step) { return is_fused_product(step.op); }));
}

/// A second run of a convolution that measures its output leaves the statistics alone.
TEST(FuseProducts, CanBeDoneAgain) {
  const Program open = lower(bottlenecks(), fusing());
  LoweringOptions options = fusing();
  for (const Storage& storage : open.storages) options.recomputed.insert(storage.name);
  const Program program = lower(bottlenecks(), options);
  const auto again = [&](bool statistics) {
    return std::ranges::count_if(program.steps, [&](const Step& step) {
      return step.op == Op::conv1x1_forward && step.phase == Phase::backward &&
             std::get<Conv1x1Attributes>(step.attributes).statistics == statistics;
    });
  };
  EXPECT_GT(again(false), 0);
  EXPECT_EQ(again(true), 0);
}

}  // namespace
}  // namespace snug
