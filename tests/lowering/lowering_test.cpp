#include "lowering/lowering.h"

#include <algorithm>
#include <numeric>

#include <gtest/gtest.h>

#include "lowering/nets.h"
#include "ops/op.h"

namespace snug {
namespace {

using test::layer;
using test::net_of;

ConvLayer conv(std::int64_t filters, bool norm = true) {
  ConvLayer conv{.filters = filters, .kernel = {3, 3}};
  conv.padding.kind = Padding::Kind::same;
  conv.norm = norm;
  conv.activation = Activation::relu;
  return conv;
}

Graph residual_net() {
  ResidualLayer residual;
  residual.body.push_back(layer(conv(4)));
  residual.activation = Activation::relu;
  return net_of({layer(conv(4)), layer(residual)});
}

/// A block of three joins behind a pool.
Graph dense_net() {
  LayerList layers{layer(conv(4)), layer(PoolLayer{})};
  for (int i = 0; i < 3; ++i) {
    BranchesLayer join;
    join.branches.resize(2);
    join.branches[1].push_back(layer(BatchNormLayer{}));
    join.branches[1].push_back(layer(conv(2, false)));
    layers.push_back(layer(join));
  }
  layers.push_back(layer(BatchNormLayer{}));
  return net_of(std::move(layers));
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

/// A chain of joins is one tensor: its first part and every new one are copied into it once, and the gradient of the
/// first part out of it for the pool; slopes of the new ones are taken in place. Each norm's gradient is added in
/// place.
TEST(Lower, JoinsKeepEveryChannelOnce) {
  const Program joined = lower(dense_net(), {.batch = 4});
  const Program copied = lower(dense_net(), {.batch = 4, .join_in_place = false});
  EXPECT_EQ(count(copied, Op::copy), 12);
  EXPECT_EQ(count(joined, Op::copy), 5);
  EXPECT_EQ(count(copied, Op::add), 3);
  EXPECT_EQ(count(joined, Op::add), 0);
  const auto adds = [](const Step& step) {
    const auto* norm = std::get_if<BatchNormAttributes>(&step.attributes);
    return norm != nullptr && norm->accumulate_dx;
  };
  EXPECT_EQ(std::ranges::count_if(joined.steps, adds), 3);
  const std::int64_t width = std::int64_t{10} * 4 * 4 * 4 * 4;  // channels × pixels × batch × bytes
  EXPECT_EQ(std::ranges::count(joined.storages, width, &Storage::size_bytes), 3);  // the join, its norm, its gradient
}

/// One update a parameter, each behind the last step that needs its gradient or its weights, and none of them long.
TEST(Lower, EagerUpdatesComeBehindTheirGradients) {
  const Graph graph = residual_net();
  const Program late = lower(graph, {.batch = 4});
  const Program eager = lower(graph, {.batch = 4, .eager_update = true, .eager_run_bytes = 1});
  EXPECT_EQ(count(late, Op::sgd_update), 2);
  EXPECT_EQ(count(eager, Op::sgd_update), 8);  // of two convolutions and norms, weight and bias, and the dense layer
  EXPECT_EQ(count(eager, Op::gradient_norm), 8);
  const auto begin = std::ranges::find(eager.steps, Op::sgd_update, &Step::op);
  EXPECT_TRUE(std::any_of(begin, eager.steps.end(), [](const Step& step) { return step.phase == Phase::backward; }));
  EXPECT_EQ(eager.find("gradients.decay").valid() && eager.storage_of(eager.find("gradients.decay")).size_bytes > 0,
            false);
  TrainConfig clipped;
  clipped.clip_norm = 1;
  const Program whole = lower(graph, {.batch = 4, .train = clipped, .eager_update = true, .eager_run_bytes = 1});
  EXPECT_EQ(count(whole, Op::sgd_update), 2);
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

TEST(Lower, NormsTakeWhatFollowsIntoTheirSweeps) {
  ModelConfig model{.input = {8, 8, 3}};
  ConvLayer linear = conv(4);
  linear.activation = Activation::identity;
  ResidualLayer residual;
  residual.body = {layer(conv(4)), layer(linear)};
  residual.activation = Activation::relu;
  model.layers = {layer(conv(4)), layer(residual), layer(GlobalAveragePoolLayer{}), layer(DenseLayer{.units = 5})};
  std::vector<Diagnostic> findings;
  const Graph graph = build_graph(model, findings);
  ASSERT_TRUE(findings.empty());
  const auto norms = [](const Program& program, Op op, bool residual_too) {
    return std::ranges::count_if(program.steps, [&](const Step& step) {
      const auto* norm = std::get_if<BatchNormAttributes>(&step.attributes);
      return step.op == op && norm != nullptr && norm->residual == residual_too &&
             norm->activation == ActivationFunction::relu;
    });
  };
  const Program training = lower(graph, {.batch = 4});
  EXPECT_EQ(count(training, Op::activation_forward) + count(training, Op::activation_backward), 0);
  EXPECT_EQ(count(training, Op::add), 1);  // the sum of the residual's two gradients
  for (const Op op : {Op::batchnorm_forward, Op::batchnorm_backward}) {
    EXPECT_EQ(norms(training, op, false), 2) << to_string(op);
    EXPECT_EQ(norms(training, op, true), 1) << to_string(op);
  }
  const Program evaluation = lower(graph, {.batch = 4, .training = false});
  EXPECT_EQ(count(evaluation, Op::activation_forward) + count(evaluation, Op::add), 0);
  EXPECT_EQ(norms(evaluation, Op::batchnorm_inference, true), 1);
  const Program apart = lower(graph, {.batch = 4, .fuse = false});
  EXPECT_EQ(count(apart, Op::activation_forward), 3);
}

TEST(Lower, InPlaceMergesReluWithItsNorm) {
  const Program program = lower(residual_net(), {.batch = 4, .fuse = false});
  std::int64_t merged = 0;
  for (const Step& step : program.steps) {
    if (step.op != Op::activation_forward) continue;
    if (program[step.operands[0].tensor].view.storage == program[step.operands[1].tensor].view.storage) ++merged;
  }
  EXPECT_EQ(merged, 3);
}

TEST(Lower, Bf16KeepsActivationsInBf16AndAllElseInFp32) {
  for (const bool training : {true, false}) {
    LoweringOptions options{.batch = 4, .training = training, .dtype = DType::bf16};
    options.train.optimizer.momentum = 0.9;
    const Program program = lower(residual_net(), options);
    EXPECT_TRUE(verify(program).empty());
    for (const Step& step : program.steps) {
      for (const Operand& operand : step.operands) {
        const TensorInfo& tensor = program[operand.tensor];
        if (!is_floating(tensor.dtype) || tensor.dtype == DType::f64) continue;
        const bool per_channel = tensor.shape.rank() == 1 && tensor.shape[0] < 100;
        const bool of_loss = tensor.name.ends_with(":wide") || tensor.role == Role::input;
        const bool low = tensor.role == Role::weight || (tensor.role == Role::activation && !per_channel && !of_loss);
        EXPECT_EQ(tensor.dtype, low ? DType::bf16 : DType::f32) << to_string(step.op) << " " << tensor.name;
      }
    }
    EXPECT_EQ(count(program, Op::cast), training ? 3 : 2);  // the copies, the logits, their gradient
    EXPECT_EQ(program.steps.front().op, Op::cast);
  }
}

TEST(Lower, CopiesLieAtTheElementsOfTheirMasters) {
  struct Row {
    bool frozen, decay_all, average;
  };
  for (const Row& row : {Row{}, Row{.frozen = true}, Row{.decay_all = true}, Row{.average = true}}) {
    const Graph graph = residual_net();
    LoweringOptions options{.batch = 2, .training = !row.average, .use_average = row.average, .dtype = DType::bf16};
    options.train.decay_norm_and_bias = row.decay_all;
    options.train.ema = row.average ? 0.9 : 0;
    if (row.frozen) options.frozen.assign(graph.nodes.size(), true), options.frozen.back() = false;
    const Program program = lower(graph, options);
    for (const std::string name : {"0.weight", "1.body.0.weight", "3.weight"}) {
      const TensorId copy = program.find("copy:" + name);
      const TensorId master = program.find((row.average ? "average:" : "") + name);
      ASSERT_TRUE(copy.valid() && master.valid()) << name;
      EXPECT_EQ(2 * program[copy].view.offset_bytes, program[master].view.offset_bytes) << name;
      EXPECT_EQ(program[copy].role, Role::weight);
      EXPECT_EQ(program[master].role, row.average ? Role::statistic : Role::master);
      EXPECT_EQ(program.storage_of(copy).arena, Arena::persistent);
    }
    for (const std::string name : {"0.norm.weight", "0.norm.bias", "3.bias"}) {
      EXPECT_FALSE(program.find("copy:" + name).valid()) << name;
    }
    std::int64_t cast_elements = 0;
    for (const Step& step : program.steps) {
      if (const auto* cast = std::get_if<CastAttributes>(&step.attributes))
        for (const Segment& segment : cast->segments) cast_elements += segment.count;
    }
    EXPECT_EQ(cast_elements, 4 * 27 + 4 * 36 + 5 * 4) << "every weight once, nothing else";
  }
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
    if (step.op != Op::conv_forward) continue;  // 2 images of 8×8, 4 filters of 3×3
    const std::int64_t inputs = program[step.operands[1].tensor].shape.back();
    EXPECT_EQ(step_cost(program, step).flops, 1024 * (9 * inputs));
    EXPECT_EQ(step_cost(program, step).bytes, 4 * (128 * inputs + 36 * inputs + 512));
  }
}

}  // namespace
}  // namespace snug
