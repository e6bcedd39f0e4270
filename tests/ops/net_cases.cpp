#include "ops/model_harness.h"

namespace snug::ops_test {

namespace {

TrainConfig with(const auto& change) {
  TrainConfig train;
  train.optimizer.lr = 0.1;
  change(train);
  return train;
}

TrainConfig loss(Loss kind, double label_smoothing = 0, std::vector<double> class_weights = {}) {
  return with([&](TrainConfig& train) {
    train.loss = kind;
    train.label_smoothing = label_smoothing;
    train.class_weights = std::move(class_weights);
  });
}

TrainConfig optimizer(const OptimizerConfig& chosen, double clip_norm = 0, double ema = 0) {
  return with([&](TrainConfig& train) {
    train.optimizer = chosen;
    train.clip_norm = clip_norm;
    train.ema = ema;
  });
}

TrainConfig frozen_statistics() {
  return with([](TrainConfig& train) { train.freeze_stats = true; });
}

const std::string kResidual = R"(
  { conv = 4, kernel = 3, padding = "same", norm = "batch", activation = "relu" },
  { residual = [
      { conv = 4, kernel = 3, padding = 1, norm = "batch", activation = "relu" },
      { conv = 4, kernel = 3, padding = 1, norm = "batch" } ], activation = "relu" },
  { activation = "relu", residual = [ { conv = 6, kernel = 3, stride = 2, padding = 1, norm = "batch" } ], shortcut = [
      { conv = 6, kernel = 1, stride = 2, norm = "batch" } ] },
  { global_avgpool = true }, { dense = 5 })";
const std::string kDenseBlocks = R"(
  { conv = 4, kernel = 3, padding = 1, norm = "batch", activation = "relu" }, { maxpool = 2 },
  { repeat = 3, block = [ { branches = [ [], [
      { batchnorm = true, activation = "relu" }, { conv = 5, kernel = 1, norm = "batch", activation = "relu" },
      { conv = 3, kernel = 3, padding = 1, bias = false } ] ] } ] },
  { batchnorm = true, activation = "relu" }, { conv = 6, kernel = 1, bias = false }, { avgpool = 2 },
  { repeat = 2, block = [ { branches = [ [], [
      { batchnorm = true, activation = "relu" }, { conv = 2, kernel = 3, padding = 1, bias = false } ] ] } ] },
  { batchnorm = true, activation = "relu" }, { global_avgpool = true }, { dense = 3 })";

const std::string kPlain = R"(
  { conv = 4, kernel = 3, padding = "same", activation = "tanh" }, { maxpool = 2 },
  { conv = 5, kernel = [2, 3], stride = [1, 2], padding = 1, activation = "leaky_relu" },
  { flatten = true }, { dense = 7, activation = "relu" }, { dense = 3 })";

}  // namespace

std::vector<NetCase> layer_nets() {
  return {
      {.name = "linear", .layers = "{ flatten = true }, { dense = 3 }"},
      {.name = "plain", .layers = kPlain, .input = {7, 6, 3}},
      {.name = "norm", .layers = R"(
         { conv = 4, kernel = 3, padding = "same", stride = 2, norm = "batch", activation = "relu" },
         { conv = 5, kernel = 3, norm = "batch", activation = "silu" }, { global_avgpool = true }, { dense = 3 })"},
      {.name = "norm first", .layers = R"(
         { batchnorm = true, activation = "relu" }, { conv = 4, kernel = 3, bias = false },
         { batchnorm = true }, { activation = "gelu" }, { flatten = true }, { dense = 6, bias = false },
         { batchnorm = true, activation = "relu6" }, { dense = 3 })"},
      {.name = "fixed statistics", .layers = kResidual, .train = frozen_statistics()},
      {.name = "residual", .layers = kResidual},
      {.name = "residual in parts", .layers = kResidual, .batch = 6, .parts = 2},
      {.name = "linear bottlenecks", .layers = R"(
         { conv = 4, kernel = 3, padding = 1, norm = "batch", activation = "relu6" },
         { residual = [ { conv = 6, kernel = 1, norm = "batch", activation = "relu6" },
                        { depthwise = 3, padding = 1, norm = "batch", activation = "relu6" },
                        { conv = 4, kernel = 1, norm = "batch" } ] },
         { residual = [ { conv = 4, kernel = 1, norm = "batch" } ], activation = "silu" },
         { residual = [ { conv = 4, kernel = 1, norm = "batch" } ], activation = "sigmoid" },
         { global_avgpool = true }, { dense = 3 })"},
      {.name = "residual in residual", .layers = R"(
         { residual = [ { conv = 2, kernel = 3, padding = 1 }, { residual = [ { activation = "relu" } ] },
                        { residual = [ { conv = 2, kernel = 1, activation = "tanh" } ], activation = "sigmoid" } ] },
         { flatten = true }, { dense = 3 })"},
      {.name = "branches", .layers = R"(
         { branches = [ [], [ { conv = 3, kernel = 1, activation = "relu" }, { conv = 2, kernel = 3, padding = 1 } ],
                        [ { maxpool = 3, stride = 1, padding = 1 }, { conv = 1, kernel = 1 } ],
                        [ { avgpool = 3, stride = 1, padding = 1 } ] ] },
         { activation = "relu" }, { conv = 3, kernel = 3 }, { global_avgpool = true }, { dense = 4 })"},
      {.name = "dense block", .layers = R"(
         { repeat = 3, block = [ { branches = [ [], [ { batchnorm = true, activation = "relu" },
                                                      { conv = 3, kernel = 3, padding = 1, bias = false } ] ] } ] },
         { global_avgpool = true }, { dense = 3 })"},
      {.name = "dense blocks", .layers = kDenseBlocks},
      {.name = "dense blocks in parts", .layers = kDenseBlocks, .batch = 5, .parts = 2},
      {.name = "dense blocks, fixed statistics", .layers = kDenseBlocks, .train = frozen_statistics()},
      {.name = "joins of joins", .layers = R"(
         { conv = 4, kernel = 3, padding = 1, activation = "tanh" },
         { branches = [ [], [ { branches = [ [ { batchnorm = true, activation = "silu" } ], [],
                                             [ { batchnorm = true, activation = "relu" } ] ] },
                              { batchnorm = true, activation = "tanh" } ],
                        [ { branches = [ [], [] ] } ], [ { batchnorm = true, activation = "relu" } ] ] },
         { batchnorm = true, activation = "relu" }, { conv = 3, kernel = 1 }, { global_avgpool = true },
         { dense = 3 })"},
      {.name = "fire modules", .layers = R"(
         { repeat = 2, block = [ { conv = 3, kernel = 1, activation = "relu" },
           { branches = [ [ { conv = 4, kernel = 1, activation = "relu" } ],
                          [ { conv = 5, kernel = 3, padding = 1, activation = "tanh" } ] ] } ] },
         { maxpool = 2 }, { conv = 4, kernel = 1, activation = "relu" }, { global_avgpool = true }, { dense = 3 })"},
      {.name = "joined rows", .layers = R"(
         { conv = 3, kernel = 3, stride = 2 }, { flatten = true },
         { branches = [ [ { dense = 5, activation = "relu" } ],
                        [ { dense = 4, bias = false }, { batchnorm = true, activation = "tanh" } ],
                        [ { batchnorm = true, activation = "sigmoid" } ] ] },
         { batchnorm = true, activation = "relu" }, { dense = 3 })"},
      {.name = "norms before sums", .layers = R"(
         { conv = 4, kernel = 3, padding = 1, bias = false },
         { repeat = 2, block = [ { residual = [
             { batchnorm = true, activation = "relu" }, { conv = 4, kernel = 3, padding = 1, bias = false },
             { batchnorm = true, activation = "relu" }, { conv = 4, kernel = 1, bias = false } ] } ] },
         { residual = [ { batchnorm = true, activation = "tanh" } ] }, { batchnorm = true, activation = "relu" }, { global_avgpool = true },
         { dense = 3 })"},
      {.name = "squeeze-excite", .layers = R"(
         { conv = 6, kernel = 3, activation = "silu" }, { squeeze_excite = 2 },
         { residual = [ { conv = 6, kernel = 3, padding = 1 }, { squeeze_excite = 3, activation = "silu" } ] },
         { global_avgpool = true }, { dense = 3 })"},
      {.name = "depthwise", .layers = R"(
         { depthwise = 3, padding = "same", multiplier = 2, norm = "batch", activation = "relu6" },
         { conv = 8, kernel = 1, norm = "batch" }, { conv = 4, kernel = 3, groups = 2, activation = "relu" },
         { depthwise = [3, 2], stride = [1, 2], dilation = [1, 2], activation = "tanh" }, { flatten = true },
         { dense = 3 })"},
      {.name = "pools",
       .layers = R"(
         { conv = 3, kernel = 2, dilation = 2, activation = "tanh" }, { maxpool = 3, stride = 2, ceil = true },
         { avgpool = 2, stride = 1, padding = 1 }, { adaptive_avgpool = [2, 3] }, { flatten = true }, { dense = 4 })",
       .input = {9, 8, 2}},
      {.name = "dropout", .layers = R"(
         { conv = 4, kernel = 3, activation = "relu" }, { dropout = 0.3 }, { flatten = true }, { dropout = 0.5 },
         { dense = 3 })"},
      {.name = "stochastic depth",
       .layers = R"(
         { repeat = 3, block = [ { residual = [ { conv = 2, kernel = 3, padding = 1, norm = "batch" } ], stochastic_depth = [
           0.2, 0.6], activation = "relu" } ] },
         { flatten = true }, { dense = 3 })",
       .batch = 6},
      {.name = "softmax inside", .layers = R"(
         { conv = 5, kernel = 3, activation = "softmax" }, { flatten = true }, { dense = 4, activation = "softmax" },
         { dense = 3 })"},
      {.name = "all convolutional", .layers = R"(
         { conv = 4, kernel = 3, activation = "relu" }, { conv = 3, kernel = 4 })"},
      {.name = "pooled classes",
       .layers = R"({ conv = 3, kernel = 3, activation = "relu" }, { global_avgpool = true })"},
      {.name = "in three parts", .layers = kPlain, .input = {7, 6, 3}, .batch = 7, .parts = 3},
      {.name = "norm in two parts", .layers = kResidual, .batch = 5, .parts = 2},
      {.name = "branches in parts of one",
       .layers = R"(
         { branches = [ [ { conv = 2, kernel = 3 } ], [ { conv = 3, kernel = 3, activation = "relu" } ] ] },
         { dropout = 0.25 }, { flatten = true }, { dense = 3 })",
       .batch = 3,
       .parts = 3},
      {.name = "frozen backbone", .layers = kResidual, .frozen = {"backbone"}},
      {.name = "frozen middle", .layers = kResidual, .frozen = {"1"}},
  };
}

std::vector<NetCase> model_nets() {
  const auto net = [](const std::string& model, std::array<std::int64_t, 3> input) {
    return NetCase{.name = model, .layers = {}, .model = model, .input = input, .batch = 4};
  };
  return {net("lenet", {12, 12, 1}), net("resnet9", {32, 32, 3}), net("resnet18-cifar", {16, 16, 3}),
          net("resnet18", {48, 40, 3})};
}

std::vector<NetCase> loss_nets() {
  const auto net = [](std::string name, const std::string& outputs, TrainConfig train, std::int64_t parts = 1) {
    return NetCase{.name = std::move(name),
                   .layers = R"({ conv = 4, kernel = 3, activation = "tanh" }, { flatten = true }, )" + outputs,
                   .batch = 5,
                   .parts = parts,
                   .train = std::move(train)};
  };
  constexpr auto kSparse = Loss::sparse_categorical_crossentropy, kRows = Loss::categorical_crossentropy;
  constexpr auto kBinary = Loss::binary_crossentropy, kMse = Loss::mse;
  return {
      net("sparse", "{ dense = 4 }", loss(kSparse)),
      net("sparse, smooth", "{ dense = 7 }", loss(kSparse, 0.1)),
      net("sparse, weights", "{ dense = 3 }", loss(kSparse, 0, {0.5, 1, 4})),
      net("sparse, smooth, weights, parts", "{ dense = 3 }", loss(kSparse, 0.2, {0.5, 1, 4}), 3),
      net("sparse behind softmax", R"({ dense = 4, activation = "softmax" })", loss(kSparse)),
      net("rows", "{ dense = 4 }", loss(kRows)),
      net("rows, smooth, weights, parts", "{ dense = 3 }", loss(kRows, 0.1, {2, 0.25, 1}), 2),
      net("rows behind softmax", R"({ dense = 4, activation = "softmax" })", loss(kRows, 0.05)),
      net("binary", "{ dense = 1 }", loss(kBinary)),
      net("binary behind sigmoid", R"({ dense = 1, activation = "sigmoid" })", loss(kBinary, 0.1)),
      net("binary, several outputs, parts", "{ dense = 4 }", loss(kBinary, 0.1), 2),
      net("mse", "{ dense = 1 }", loss(kMse)),
      net("mse, several outputs, parts", "{ dense = 3 }", loss(kMse), 3),
      net("mse behind sigmoid", R"({ dense = 3, activation = "sigmoid" })", loss(kMse)),
      net("mse behind softmax", R"({ dense = 3, activation = "softmax" })", loss(kMse)),
  };
}

std::vector<NetCase> optimizer_nets() {
  const auto net = [](std::string name, TrainConfig train, std::int64_t parts = 1) {
    return NetCase{.name = std::move(name), .layers = kResidual, .batch = 6, .parts = parts, .train = std::move(train)};
  };
  const OptimizerConfig sgd{.lr = 0.1, .momentum = 0.9, .weight_decay = 5e-4};
  // A large epsilon: with 1e-8 Adam turns the rounding of a gradient near zero into a whole step.
  const OptimizerConfig adam{.kind = OptimizerKind::adam, .lr = 0.01, .weight_decay = 1e-3, .epsilon = 1e-2};
  OptimizerConfig nesterov = sgd, adamw = adam;
  nesterov.nesterov = true;
  adamw.kind = OptimizerKind::adamw;
  TrainConfig decay_all = optimizer(sgd);
  decay_all.decay_norm_and_bias = true;
  return {
      net("sgd", optimizer({.lr = 0.1})),
      net("momentum", optimizer(sgd)),
      net("nesterov, clipped, averaged", optimizer(nesterov, 0.5, 0.9)),
      net("decay of everything", decay_all),
      net("adam", optimizer(adam)),
      net("adam, clipped, averaged, parts", optimizer(adam, 0.5, 0.99), 2),
      net("adamw", optimizer(adamw)),
      net("adamw, averaged", optimizer(adamw, 0, 0.9)),
  };
}

std::vector<NetCase> all_nets() {
  std::vector<NetCase> all;
  for (const auto& nets : {layer_nets(), model_nets(), loss_nets(), optimizer_nets()})
    all.insert(all.end(), nets.begin(), nets.end());
  return all;
}

}  // namespace snug::ops_test
