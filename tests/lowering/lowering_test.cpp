#include "lowering/lowering.h"

#include <algorithm>
#include <numeric>

#include <gtest/gtest.h>

#include "ops/op.h"

namespace snug {
namespace {

LayerConfig layer(auto what) { return {.where = {}, .keys = {}, .names = {}, .what = std::move(what)}; }

ConvLayer conv(std::int64_t filters, bool norm = true) {
  ConvLayer conv{.filters = filters, .kernel = {3, 3}};
  conv.padding.kind = Padding::Kind::same;
  conv.norm = norm;
  conv.activation = Activation::relu;
  return conv;
}

Graph residual_net() {
  ModelConfig model{.input = {8, 8, 3}};
  model.layers.push_back(layer(conv(4)));
  ResidualLayer residual;
  residual.body.push_back(layer(conv(4)));
  residual.activation = Activation::relu;
  model.layers.push_back(layer(residual));
  model.layers.push_back(layer(GlobalAveragePoolLayer{}));
  model.layers.push_back(layer(DenseLayer{.units = 5}));
  std::vector<Diagnostic> findings;
  Graph graph = build_graph(model, findings);
  EXPECT_TRUE(findings.empty());
  return graph;
}

std::int64_t count(const Program& program, Op op) { return std::ranges::count(program.steps, op, &Step::op); }

TEST(SplitBatch, PartsAreEqualLargerFirst) {
  EXPECT_EQ(split_batch(10, 3), (std::vector<std::int64_t>{4, 3, 3}));
  EXPECT_EQ(split_batch(2, 5), (std::vector<std::int64_t>{1, 1}));
  EXPECT_EQ(split_batch(8, 1), (std::vector<std::int64_t>{8}));
}

TEST(Lower, TrainingStepHasAllThreePhases) {
  const Graph graph = residual_net();
  const Program program = lower(graph, {.batch = 4});
  EXPECT_EQ(count(program, Op::conv_forward), 2);
  EXPECT_EQ(count(program, Op::conv_backward_weights), 2);
  EXPECT_EQ(count(program, Op::conv_backward_data), 1);  // the images need no gradient
  EXPECT_EQ(count(program, Op::batchnorm_backward), 2);
  EXPECT_EQ(count(program, Op::sgd_update), 2);  // with decay and without
  EXPECT_EQ(count(program, Op::add), 2);         // the residual's sum, and the sum of its two gradients
  EXPECT_TRUE(std::ranges::is_sorted(program.steps, {}, [](const Step& s) { return s.phase == Phase::update; }));
}

TEST(Lower, EvaluationHasNoBackwardAndGivesLogits) {
  const Program program = lower(residual_net(), {.batch = 4, .training = false});
  EXPECT_TRUE(std::ranges::all_of(program.steps, [](const Step& s) { return s.phase == Phase::eval; }));
  EXPECT_EQ(count(program, Op::batchnorm_inference), 2);
  EXPECT_TRUE(program.find(exchange::kOutputs).valid());
  EXPECT_FALSE(program.find("gradients.decay").valid());
  const Program bare = lower(residual_net(), {.batch = 1, .training = false, .with_loss = false});
  EXPECT_FALSE(bare.find(exchange::kLabels).valid());
}

TEST(Lower, ParametersLieFlatAtEqualOffsets) {
  LoweringOptions options{.batch = 2};
  options.train.optimizer.kind = OptimizerKind::adam;
  options.train.ema = 0.9;
  const Program program = lower(residual_net(), options);
  for (const std::string name : {"0.weight", "3.weight", "0.norm.weight", "3.bias"}) {
    const TensorId weight = program.find(name);
    ASSERT_TRUE(weight.valid()) << name;
    const TensorId gradient = program.find("gradient:" + name);
    ASSERT_TRUE(gradient.valid()) << name;
    EXPECT_EQ(program[weight].view.offset_bytes, program[gradient].view.offset_bytes) << name;
    EXPECT_EQ(program[weight].view.offset_bytes % 64, 0) << name;
    for (const std::string prefix : {"moment1:", "moment2:", "average:"}) {
      const TensorId state = program.find(prefix + name);
      ASSERT_TRUE(state.valid()) << prefix << name;
      EXPECT_EQ(program[weight].view.offset_bytes, program[state].view.offset_bytes);
    }
  }
  EXPECT_NE(program[program.find("0.weight")].view.storage, program[program.find("0.norm.weight")].view.storage);
}

TEST(Lower, AccumulationUnrollsPartsAndAddsGradients) {
  const Program program = lower(residual_net(), {.batch = 10, .parts = 3});
  EXPECT_EQ(count(program, Op::conv_forward), 6);
  std::vector<bool> accumulate;
  std::vector<std::int64_t> samples;
  for (const Step& step : program.steps) {
    if (step.op != Op::dense_backward_weights) continue;
    accumulate.push_back(std::get<DenseAttributes>(step.attributes).accumulate);
    samples.push_back(program[step.operands[0].tensor].shape[0]);
  }
  EXPECT_EQ(accumulate, (std::vector<bool>{false, true, true}));
  EXPECT_EQ(samples, (std::vector<std::int64_t>{4, 3, 3}));
  for (const Step& step : program.steps) {
    if (step.op == Op::softmax_crossentropy) {
      EXPECT_EQ(std::get<LossAttributes>(step.attributes).mean_over, 10);
    }
  }
  EXPECT_EQ(count(program, Op::sgd_update), 2);
}

TEST(Lower, FrozenLayersHaveNoGradient) {
  const Graph graph = residual_net();
  LoweringOptions options{.batch = 2};
  options.frozen.assign(graph.nodes.size(), false);
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    options.frozen[n] = graph.nodes[n].op != NodeOp::dense;
  }
  const Program program = lower(graph, options);
  EXPECT_EQ(count(program, Op::conv_backward_weights), 0);
  EXPECT_EQ(count(program, Op::batchnorm_backward), 0);  // nothing before the dense layer learns
  EXPECT_EQ(count(program, Op::dense_backward_weights), 1);
  EXPECT_EQ(count(program, Op::dense_backward_data), 0);
  EXPECT_TRUE(program.find("weights.frozen").valid());
}

TEST(Lower, InPlaceMergesReluWithItsNorm) {
  const Program program = lower(residual_net(), {.batch = 4});
  std::int64_t merged = 0;
  for (const Step& step : program.steps) {
    if (step.op != Op::activation_forward) continue;
    if (program[step.operands[0].tensor].view.storage == program[step.operands[1].tensor].view.storage) ++merged;
  }
  EXPECT_EQ(merged, 3);
}

TEST(Lower, LossesReadTheirKindOfLabels) {
  struct Case {
    Loss loss;
    Op op;
    DType labels;
  };
  for (const Case& test : {Case{Loss::sparse_categorical_crossentropy, Op::softmax_crossentropy, DType::i32},
                           Case{Loss::categorical_crossentropy, Op::softmax_crossentropy_rows, DType::f32},
                           Case{Loss::binary_crossentropy, Op::sigmoid_crossentropy, DType::f32},
                           Case{Loss::mse, Op::mean_squared_error, DType::f32}}) {
    LoweringOptions options{.batch = 3};
    options.train.loss = test.loss;
    const Program program = lower(residual_net(), options);
    EXPECT_EQ(count(program, test.op), 1);
    EXPECT_EQ(program[program.find(exchange::kLabels)].dtype, test.labels);
  }
}

TEST(Cost, ConvolutionsCountTwoFlopAMultiplyAdd) {
  const Program program = lower(residual_net(), {.batch = 2});
  for (const Step& step : program.steps) {
    if (step.op != Op::conv_forward) continue;
    const std::int64_t inputs = program[step.operands[1].tensor].shape.back();
    EXPECT_EQ(step_cost(program, step).flops, 2 * (2 * 8 * 8 * 4) * (3 * 3 * inputs));
    EXPECT_EQ(step_cost(program, step).bytes, 4 * (2 * 8 * 8 * inputs + 4 * 9 * inputs + 2 * 8 * 8 * 4));
  }
}

}  // namespace
}  // namespace snug
