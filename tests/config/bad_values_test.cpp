// One bad input for every key: the finding's family, place, numbers and fix.
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/keys.h"
#include "support.h"

namespace snug::config {
namespace {

struct BadCase {
  std::string scopes;  ///< parted by spaces
  std::string key, value;
  char family;
  std::string says;  ///< part of the message
  int at = 0;        ///< where in `value` the fault stands
};

const std::vector<BadCase> kBadCases{
    {"top", "name", "5", 'C', "integer 5"},
    {"top", "name", "\"../x\"", 'C', "../x"},
    {"top", "name", "\"\"", 'C', "empty"},
    {"top", "data", "[1]", 'C', "list of 1"},
    {"top", "model", "\"resnet18\"", 'C', "\"resnet18\""},
    {"top", "train", "7", 'C', "integer 7"},
    {"top", "memory", "\"90%\"", 'C', "\"90%\""},

    {"data", "train", "\"x.npy\"", 'C', "\"x.npy\""},
    {"data", "val", "3", 'C', "integer 3"},
    {"data", "test", "[]", 'C', "list of 0"},
    {"data", "root", "3", 'C', "integer 3"},
    {"data", "root", "\"\"", 'C', "empty"},
    {"data", "val_split", "1.5", 'D', "1.5"},
    {"data", "val_split", "1", 'D', "below 1"},
    {"data", "val_split", "\"10%\"", 'C', "10%"},
    {"data", "normalize", "\"0-255\"", 'C', "0-1"},
    {"data", "normalize", "1", 'C', "integer 1"},
    {"data", "augment", "{ hflip = 0.5 }", 'C', "list of tables"},
    {"data", "augment", "[0.5]", 'C', "number 0.5", 1},
    {"data", "layout", "\"nwhc\"", 'C', "\"nhwc\""},
    {"data", "resize", "0", 'D', "0"},
    {"data", "resize", "[32]", 'C', "exactly 2 entries, got 1"},
    {"data", "resize", "[32, 3.5]", 'C', "3.5", 5},
    {"data", "resize_filter", "\"bicubc\"", 'C', "\"bicubic\""},
    {"data", "gray_to_rgb", "1", 'C', "integer 1"},
    {"data", "label_offset", "0.5", 'C', "0.5"},
    {"data", "label_offset", "9000000000", 'D', "9000000000"},
    {"data", "ignore_label", "\"255\"", 'C', "\"255\""},
    {"data", "ignore_label", "-9000000000", 'D', "-9000000000"},
    {"data", "cache", "\"rma\"", 'C', "\"ram\""},
    {"data", "on_bad", "\"skp\"", 'C', "\"skip\""},
    {"data", "shuffle", "\"no\"", 'C', "\"no\""},
    {"data", "drop_last", "0", 'C', "integer 0"},
    {"data", "balance", "\"sample\"", 'C', "\"sampler\""},
    {"data", "workers", "-1", 'D', "-1"},

    {"source", "format", "\"cifar\"", 'C', "cifar10"},
    {"source", "format", "\"idx\"", 'C', "\"files\""},
    {"source", "images", "5", 'C', "integer 5"},
    {"source", "labels", "[1]", 'C', "list of 1"},
    {"source", "files", "[\"a.bin\", 3]", 'C', "integer 3", 10},
    {"source", "files", "[]", 'C', "at least 1 entries, got 0"},
    {"source", "folder", "\"\"", 'C', "empty"},
    {"source", "csv", "true", 'C', "true"},
    {"source", "pack", "1979-05-27", 'C', "date"},
    {"source", "synthetic", "\"shape\"", 'C', "\"shapes\""},
    {"source", "count", "0", 'D', "0"},
    {"normalize", "mean", "[0.5, \"a\"]", 'C', "\"a\"", 6},
    {"normalize", "mean", "[0.5, 0.5]", 'C', "2 values of mean and 3 of std", -9},
    {"normalize", "mean", "nan", 'D', "nan"},
    {"normalize", "std", "[0.1, 0.0, 0.1]", 'D', "0.0", 6},

    {"augment", "random_crop", "0", 'D', "0"},
    {"augment", "pad", "-2", 'D', "-2"},
    {"augment", "pad_mode", "\"mirror\"", 'C', "zero, reflect"},
    {"augment", "random_resized_crop", "224.0", 'C', "224.0"},
    {"augment", "hflip", "1.5", 'D', "1.5"},
    {"augment", "vflip", "-0.5", 'D', "-0.5"},
    {"augment", "rotate", "360", 'D', "360"},
    {"augment", "color_jitter", "0.4", 'C', "0.4"},
    {"augment", "color_jitter", "[0.4, 0.4, 0.4, 0.7]", 'D', "hue 0.7", 16},
    {"augment", "color_jitter", "[0.4, 0.4]", 'C', "exactly 4 entries, got 2"},
    {"augment", "randaugment", "[2, 99]", 'D', "99", 4},
    {"augment", "randaugment", "[2.5, 9]", 'D', "2.5", 1},
    {"augment", "erase", "2", 'D', "2"},
    {"augment", "mixup", "0", 'D', "0"},
    {"augment", "cutmix", "inf", 'D', "inf"},

    {"model", "file", "\"no-such-model.toml\"", 'C', "no-such-model.toml"},
    {"model", "input", "[28, 28]", 'C', "exactly 3 entries, got 2"},
    {"model", "input", "[28, 0, 1]", 'A', "0", 5},
    {"model", "input", "\"28x28\"", 'C', "28x28"},
    {"model", "classes", "0", 'A', "0"},
    {"model", "bn_momentum", "1.5", 'A', "1.5"},
    {"model", "layers", "[]", 'C', "at least 1 entries, got 0"},
    {"model", "layers", "{ dense = 10 }", 'C', "table of 1"},
    {"model", "layers", "[10]", 'C', "integer 10", 1},

    {"train", "loss", "\"cross_entropy\"", 'C', "cross_entropy"},
    {"train", "loss", "\"sparse_categorical_crossentropi\"", 'C', "did you mean"},
    {"train", "epochs", "0", 'T', "0"},
    {"train", "epochs", "5.0", 'C', "5.0"},
    {"train", "batch", "0", 'T', "0"},
    {"train", "batch", "-8", 'T', "-8"},
    {"train", "batch", "\"maximum\"", 'C', "auto, max"},
    {"train", "optimizer", "\"adam\"", 'C', "\"adam\""},
    {"train", "schedule", "\"cosine\"", 'C', "\"cosine\""},
    {"train", "precision", "\"fp23\"", 'C', "\"fp32\""},
    {"train", "precision", "32", 'C', "integer 32"},
    {"train", "seed", "-1", 'T', "-1"},
    {"train", "label_smoothing", "1.0", 'T', "1.0"},
    {"train", "clip_norm", "-1", 'T', "-1"},
    {"train", "loss_scale", "0", 'T', "0"},
    {"train", "ema", "1", 'T', "below 1"},
    {"train", "accumulate", "0", 'T', "0"},
    {"train", "freeze", "[1]", 'C', "integer 1", 1},
    {"train", "freeze", "true", 'C', "true"},
    {"train", "freeze_stats", "\"true\"", 'C', "\"true\""},
    {"train", "histograms", "1", 'C', "integer 1"},
    {"train", "class_weights", "[1.0, -2.0]", 'T', "-2.0", 6},
    {"train", "early_stopping", "true", 'C', "true"},
    {"train", "steps_per_epoch", "-1", 'T', "-1"},
    {"train", "checkpoint_every", "1.5", 'C', "1.5"},
    {"train", "checkpoint_every", "-5", 'T', "-5"},
    {"train", "initializer", "\"he\"", 'C', "he_normal"},
    {"train", "decay_norm_and_bias", "0", 'C', "integer 0"},
    {"train", "lr_reference_batch", "-256", 'T', "-256"},
    {"optimizer", "name", "\"sdg\"", 'C', "\"sgd\""},
    {"optimizer", "name", "\"AdamW\"", 'C', "\"adamw\""},
    {"optimizer", "lr", "0", 'T', "0"},
    {"optimizer", "lr", "\"0.1\"", 'C', "\"0.1\""},
    {"optimizer", "lr", "-0.1", 'T', "-0.1"},
    {"optimizer", "momentum", "1.0", 'T', "1.0"},
    {"optimizer", "momentum", "-0.9", 'T', "-0.9"},
    {"optimizer", "nesterov", "1", 'C', "integer 1"},
    {"optimizer", "weight_decay", "-5e-4", 'T', "-0.0005"},
    {"optimizer", "betas", "[0.9]", 'C', "exactly 2 entries, got 1"},
    {"optimizer", "betas", "[0.9, 1.0]", 'T', "1.0", 6},
    {"optimizer", "epsilon", "0", 'T', "0"},
    {"schedule", "name", "\"cosin\"", 'C', "\"cosine\""},
    {"schedule", "warmup_epochs", "-1", 'T', "-1"},
    {"schedule", "every_epochs", "0", 'T', "0"},
    {"schedule", "factor", "0.0", 'T', "0.0"},
    {"schedule", "max_lr", "0", 'T', "0"},
    {"schedule", "warmup_fraction", "1", 'T', "1"},
    {"early_stopping", "monitor", "\"val_acc\"", 'C', "did you mean \"val_accuracy\"?"},
    {"early_stopping", "monitor", "\"f1\"", 'C', "known"},
    {"train", "loss", "\"crossentropy\"", 'C', "did you mean \"sparse_categorical_crossentropy\"?"},
    {"early_stopping", "patience", "0", 'T', "0"},
    {"initializer", "name", "\"gauss\"", 'C', "gauss"},
    {"initializer", "std", "0", 'T', "0"},

    {"memory", "budget", "\"120%\"", 'C', "120%"},
    {"memory", "budget", "\"20 gigs\"", 'C', "20 gigs"},
    {"memory", "budget", "0.9", 'C', "0.9"},
    {"memory", "budget", "0", 'C', "0"},
    {"memory", "strategy", "\"none\"", 'C', "none"},
    {"memory", "strategy", "[\"recompte\"]", 'C', "\"recompute\"", 1},
    {"memory", "workspace", "\"64 MiBs\"", 'C', "64 MiBs"},
    {"memory", "workspace", "\"0MiB\"", 'C', "0"},

    {"conv", "conv", "0", 'A', "0"},
    {"conv", "conv", "\"class\"", 'C', "did you mean \"classes\"?"},
    {"conv", "conv", "\"many\"", 'C', "known: classes"},
    {"conv", "kernel", "0", 'A', "0"},
    {"conv", "kernel", "[3, 3, 3]", 'C', "exactly 2 entries, got 3"},
    {"conv", "groups", "0", 'A', "0"},
    {"depthwise", "depthwise", "0", 'A', "0"},
    {"depthwise", "multiplier", "-1", 'A', "-1"},
    {"dense", "dense", "-10", 'A', "-10"},
    {"dense", "dense", "10.0", 'C', "10.0"},
    {"maxpool", "maxpool", "0", 'A', "0"},
    {"avgpool", "avgpool", "\"2\"", 'C', "\"2\""},
    {"global_avgpool", "global_avgpool", "false", 'C', "false"},
    {"adaptive_avgpool", "adaptive_avgpool", "[7, 0]", 'A', "0", 4},
    {"flatten", "flatten", "1", 'C', "integer 1"},
    {"dropout", "dropout", "50", 'A', "50"},
    {"dropout", "dropout", "1.0", 'A', "below 1"},
    {"batchnorm", "batchnorm", "\"yes\"", 'C', "\"yes\""},
    {"activation conv depthwise dense batchnorm residual squeeze_excite", "activation", "\"rleu\"", 'C', "\"relu\""},
    {"residual", "residual", "{}", 'C', "table of 0"},
    {"residual", "shortcut", "true", 'C', "true"},
    {"residual", "stochastic_depth", "1.0", 'A', "1.0"},
    {"residual", "stochastic_depth", "[0.0, 1.5]", 'A', "1.5", 6},
    {"branches", "branches", "[{ dense = 3 }]", 'C', "table of 1", 1},
    {"branches", "branches", "[[3], []]", 'C', "integer 3", 2},
    {"block", "block", "[]", 'C', "at least 1 entries, got 0"},
    {"block", "repeat", "0", 'A', "0"},
    {"block", "repeat", "2.5", 'C', "2.5"},
    {"squeeze_excite", "squeeze_excite", "0", 'A', "0"},
    {"conv depthwise maxpool avgpool", "stride", "0", 'A', "0"},
    {"conv depthwise maxpool avgpool", "stride", "[2, 0]", 'A', "0", 4},
    {"conv depthwise maxpool avgpool", "padding", "\"sme\"", 'C', "\"same\""},
    {"conv depthwise maxpool avgpool", "padding", "-1", 'A', "-1"},
    {"maxpool avgpool", "ceil", "1", 'C', "integer 1"},
    {"conv depthwise", "dilation", "0", 'A', "0"},
    {"conv depthwise dense", "bias", "\"false\"", 'C', "\"false\""},
    {"conv depthwise", "norm", "\"layer\"", 'C', "layer"},
    {"conv depthwise dense maxpool avgpool global_avgpool adaptive_avgpool flatten dropout batchnorm activation "
     "residual "
     "branches block squeeze_excite",
     "name", "7", 'C', "integer 7"},
    {"conv depthwise", "norm_name", "true", 'C', "true"},
    {"residual", "body_name", "1", 'C', "integer 1"},
    {"residual", "shortcut_name", "1", 'C', "integer 1"},
    {"branches", "branch_names", "[\"a\"]", 'C', "1 names for 2 branches"},
    {"branches", "branch_names", "[\"a\", 1]", 'C', "integer 1", 6},
    {"block", "first", "-1", 'A', "-1"},
    {"block", "turn", "\"same\"", 'C', "2 turns"},
    {"block", "turn", "3", 'C', "integer 3"},
    {"squeeze_excite", "reduce_name", "3", 'C', "integer 3"},
    {"squeeze_excite", "expand_name", "\"\"", 'C', "empty"},
};

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> out;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    out.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

TEST(BadValues, EachIsOneFindingWithPlaceNumbersAndFix) {
  for (const BadCase& bad : kBadCases) {
    for (const std::string& scope : split(bad.scopes)) {
      const std::string text = config_with(scope, bad.key, bad.value);
      const Outcome outcome = parse(text);
      ASSERT_EQ(outcome.findings.size(), 1U) << text << all(outcome.findings);
      const Diagnostic& finding = outcome.findings[0];
      EXPECT_EQ(finding.code[0], bad.family) << text << all(outcome.findings);
      EXPECT_EQ(finding.severity, Severity::error);
      // Line 1 is the table's header.
      const auto column = static_cast<int>(bad.key.size()) + 4 + bad.at;
      const bool elsewhere = bad.at < 0;  // a fault of the whole table
      if (!elsewhere) {
        EXPECT_EQ(finding.where, to_string(Position{"run.toml", 2, column})) << all(outcome.findings);
      }
      EXPECT_THAT(finding.what, testing::HasSubstr(bad.says)) << text;
      EXPECT_LE(finding.what.size(), 160U);
      EXPECT_FALSE(finding.fix.empty());
    }
  }
}

TEST(BadValues, EveryKeyHasACase) {
  std::set<std::pair<std::string, std::string>> covered;
  for (const BadCase& bad : kBadCases) {
    for (const std::string& scope : split(bad.scopes)) covered.emplace(scope, bad.key);
  }
  for (const Scope& scope : scopes()) {
    for (const std::string& name : key_names(scope.name)) {
      EXPECT_TRUE(covered.contains({std::string(scope.name), name})) << scope.name << " " << name;
    }
  }
}

TEST(BadValues, AnyKeyWithALongOddValueStaysReadable) {
  const std::string odd = "\"" + std::string(3000, 'x') + "\\u0007\\n\u00e9\u4e2d" + "\"";
  for (const Scope& scope : scopes()) {
    for (const std::string& name : key_names(scope.name)) {
      for (const Diagnostic& finding : parse(config_with(scope.name, name, odd)).findings) {
        EXPECT_LE(finding.what.size(), 160U);
        EXPECT_EQ(finding.what.find('\n'), std::string::npos);
      }
    }
  }
}

/// Near misses of the cases above that are fine.
TEST(BadValues, NearMissesAreValid) {
  struct Valid {
    std::string scope, key, value;
  };
  const std::vector<Valid> cases{
      {"data", "val_split", "0"},
      {"data", "val_split", "0.999"},
      {"data", "resize", "1"},
      {"data", "augment", "[]"},
      {"data", "normalize", "{ mean = 0.5, std = 1 }"},
      {"normalize", "mean", "[0, 1, -1]"},
      {"source", "synthetic", "'shapes'"},
      {"source", "count", "1"},
      {"augment", "hflip", "1"},
      {"augment", "pad", "0"},
      {"train", "batch", "1"},
      {"train", "batch", "\"max\""},
      {"train", "seed", "0"},
      {"train", "seed", "9223372036854775807"},
      {"train", "label_smoothing", "0"},
      {"train", "freeze", "\"backbone\""},
      {"train", "freeze", "[]"},
      {"train", "clip_norm", "0.5"},
      {"train", "loss_scale", "1024"},
      {"train", "initializer", "{ name = \"normal\", std = 0.02 }"},
      {"optimizer", "lr", "1"},
      {"optimizer", "momentum", "0"},
      {"optimizer", "weight_decay", "0"},
      {"optimizer", "lr", "1e-3"},
      {"schedule", "warmup_epochs", "0"},
      {"memory", "budget", "\"100%\""},
      {"memory", "budget", "\"0.5%\""},
      {"memory", "budget", "21474836480"},
      {"memory", "budget", "\"20 GiB\""},
      {"memory", "strategy", "[]"},
      {"memory", "strategy", "\"auto\""},
      {"dropout", "dropout", "0.0"},
      {"dropout", "dropout", "0"},
      {"residual", "stochastic_depth", "0.0"},
      {"residual", "residual", "[]"},
      {"residual", "shortcut", "[]"},
      {"conv", "padding", "[1, 2]"},
      {"conv", "conv", "\"classes\""},
      {"conv", "stride", "[2, 1]"},
      {"conv", "kernel", "0x3"},
      {"block", "repeat", "1"},
      {"dense", "name", "\"\""},
  };
  for (const Valid& valid : cases) {
    const std::string text = config_with(valid.scope, valid.key, valid.value);
    const Outcome outcome = parse(text);
    EXPECT_TRUE(outcome.config) << text << all(outcome.findings);
  }
}

}  // namespace
}  // namespace snug::config
