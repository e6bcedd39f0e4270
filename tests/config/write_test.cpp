// A config that was written reads back equal.
#include <limits>

#include <gtest/gtest.h>

#include "config/keys.h"
#include "config/reference.h"
#include "support.h"

namespace snug::config {
namespace {

/// Paths become absolute on writing; everything else stays.
Config with_absolute_paths(Config config) {
  if (!config.data.root.empty()) config.data.root = std::filesystem::absolute(config.data.root).lexically_normal();
  for (auto* split : {&config.data.train, &config.data.val, &config.data.test}) {
    if (!*split) continue;
    const auto absolute = [](std::string& path) {
      if (!path.empty()) path = std::filesystem::absolute(path).lexically_normal().string();
    };
    absolute((*split)->images);
    absolute((*split)->labels);
    absolute((*split)->path);
    for (std::string& file : (*split)->files) absolute(file);
  }
  return config;
}

void expect_round_trip(const Config& config) {
  const std::string written = to_toml(config);
  try {
    const Config again = parse_config(written, "/somewhere/else/config.toml");
    EXPECT_TRUE(again == with_absolute_paths(config)) << written;
    EXPECT_EQ(to_toml(again), written);
  } catch (const Error& error) {
    ADD_FAILURE() << written << all(error.findings());
  }
}

TEST(Write, EveryKeyOfTheTable) {
  for (const Scope& scope : scopes()) {
    for (const Key* key : keys_of(scope.name)) {
      const Outcome outcome = parse(config_with(scope.name, key->name, key->example));
      if (outcome.config) expect_round_trip(*outcome.config);
    }
  }
  expect_round_trip(*parse(std::string(sample_config())).config);
}

TEST(Write, EveryChoice) {
  for (const Scope& scope : scopes()) {
    for (const Key* key : keys_of(scope.name)) {
      for (const std::string_view word : key->choices) {
        const Outcome outcome = parse(config_with(scope.name, key->name, '"' + std::string(word) + '"'));
        if (outcome.config) expect_round_trip(*outcome.config);
      }
    }
  }
}

TEST(Write, NumbersKeepEveryBit) {
  for (const double number : {0.1, 1.0 / 3.0, 1e-300, 123456789.123456789, 5e-324, 1e17, 0.30000000000000004}) {
    Config config = *parse(std::string(kData) + std::string(kModel)).config;
    config.train.optimizer.lr = number;
    config.train.optimizer.weight_decay = number;
    config.train.class_weights = {number, 1};
    expect_round_trip(config);
  }
  Config config = *parse(std::string(kData) + std::string(kModel)).config;
  config.train.seed = std::numeric_limits<std::int64_t>::max();
  expect_round_trip(config);
  for (int tenths = 1; tenths <= 1000; ++tenths) {
    config.memory.budget.fraction = tenths / 10.0 / 100;
    expect_round_trip(config);
  }
}

TEST(Write, TextsAreEscaped) {
  Config config = *parse(std::string(kData) + std::string(kModel)).config;
  config.name = "a \"b\" \u00e9 #";
  config.train.freeze = {"x\\y", "tab\there", "line\nend", std::string("nul\0x", 5)};
  config.data.root = "/";
  config.data.train = DataSource{.format = DataFormat::idx, .images = "/a b/\"x\".gz", .labels = "/y'.gz"};
  config.model.layers[0].names.name = "";
  expect_round_trip(config);
}

TEST(Write, NestedLayers) {
  const Outcome outcome = parse(std::string(kData) + R"([model]
input = [32, 32, 3]
classes = 12
bn_momentum = 0.01
layers = [
  { repeat = 6, first = 1, turn = "denselayer{}", name = "features.denseblock1", block = [
    { name = "", branch_names = ["", "b"], branches = [ [], [
      { batchnorm = true, activation = "relu", name = "norm1" },
      { conv = 128, kernel = [1, 3], norm = "batch", activation = "relu", name = "conv1", norm_name = "norm2" },
      { depthwise = 3, padding = "same", stride = [1, 2], bias = true } ] ] } ] },
  { residual = [ { residual = [], body_name = "x" }, { squeeze_excite = 4, activation = "silu", reduce_name = "r" } ], shortcut = [
    { maxpool = 3, stride = 1, padding = 1, ceil = true } ], stochastic_depth = [0.0, 0.5] },
  { block = [ { conv = "classes", kernel = 1, dilation = 2, groups = 3 } ] },
  { avgpool = 2, padding = "same" },
  { adaptive_avgpool = [2, 3] },
  { flatten = true }, { dropout = 0.5 }, { dense = "classes", bias = false, activation = "softmax" },
])");
  ASSERT_TRUE(outcome.config) << all(outcome.findings);
  expect_round_trip(*outcome.config);
}

TEST(Write, ClassesStandOnlyWhereTheyWereGiven) {
  const Outcome plain = parse(std::string(kData) + std::string(kModel));
  EXPECT_EQ(to_toml(*plain.config).find("classes"), std::string::npos);
  const Outcome given = parse(std::string(kData) + std::string(kModel), {{"model.classes", "12"}});
  EXPECT_NE(to_toml(*given.config).find("classes = 12"), std::string::npos);
}

}  // namespace
}  // namespace snug::config
