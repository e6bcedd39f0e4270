// Findings that need no data: every one with its near miss.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "check/cases.h"

namespace snug::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

struct ConfigCase {
  std::string name;
  Text faulty;
  std::string code;
  Severity severity = Severity::error;
  std::string key;               // whose place is given; empty: a layer's
  std::ptrdiff_t from_last = 0;  // which layer: 0 is the last
  std::string what, fix;         // parts of the text
  Text near_miss;                // sound
};
void PrintTo(const ConfigCase& c, std::ostream* out) { *out << c.name; }  // NOLINT(readability-identifier-naming)

class ConfigFault : public testing::TestWithParam<ConfigCase> {};

TEST_P(ConfigFault, IsOneFinding) {
  const ConfigCase& c = GetParam();
  const Checked checked = check(c.faulty);
  ASSERT_THAT(checked.graph_findings, IsEmpty());
  ASSERT_EQ(checked.findings.size(), 1U) << testing::PrintToString(checked.findings.size());
  const Diagnostic& found = checked.findings[0];
  EXPECT_EQ(found.code, c.code);
  EXPECT_EQ(found.severity, c.severity);
  EXPECT_EQ(found.where, to_string(c.key.empty() ? (checked.graph.layers.end() - 1 - c.from_last)->where
                                                 : checked.config.where(c.key)));
  EXPECT_THAT(found.what, HasSubstr(c.what));
  EXPECT_LE(found.what.size(), 160U);
  EXPECT_THAT(found.fix, HasSubstr(c.fix));
}

TEST_P(ConfigFault, IsNotSeenInTheNearMiss) { EXPECT_THAT(check(GetParam().near_miss).findings, IsEmpty()); }

const std::string kPool = "{ global_avgpool = true }, ";
Text ending(std::string layers, std::string loss) {
  return {.layers = kPool + std::move(layers), .train = "loss = \"" + std::move(loss) + "\""};
}
Text arrays(Text text) {
  text.data = "train = { images = \"x.npy\", labels = \"y.npy\" }";
  return text;
}
Text train(std::string lines) { return {.train = std::move(lines)}; }

const std::string kSparse = "sparse_categorical_crossentropy";
const std::string kRows = "categorical_crossentropy";
const std::string kBinary = "binary_crossentropy";

INSTANTIATE_TEST_SUITE_P(
    LastLayer, ConfigFault,
    testing::Values(
        ConfigCase{.name = "a map for the loss",
                   .faulty = {.layers = "{ conv = 10, kernel = 1 }"},
                   .code = "F101",
                   .what = "the network ends in 16×16×10",
                   .fix = "global_avgpool",
                   .near_miss = {.layers = "{ conv = 10, kernel = 1 }, { global_avgpool = true }"}},
        ConfigCase{.name = "nothing to train",
                   .faulty = {.layers = kPool + "{ dropout = 0.0 }"},
                   .code = "A202",
                   .what = "none of the 2 layers has parameters",
                   .fix = "{ dense = 10 }",
                   .near_miss = {.layers = kPool + "{ dense = 10 }, { dropout = 0.0 }"}},
        ConfigCase{.name = "sigmoid with crossentropy",
                   .faulty = ending("{ dense = 10, activation = \"sigmoid\" }", kSparse),
                   .code = "F102",
                   .what = "ends in sigmoid, but sparse_categorical_crossentropy is a loss for softmax",
                   .fix = "activation = \"softmax\"",
                   .near_miss = ending("{ dense = 10, activation = \"softmax\" }", kSparse)},
        ConfigCase{.name = "softmax with binary crossentropy",
                   .faulty = arrays(ending("{ dense = 3, activation = \"softmax\" }", kBinary)),
                   .code = "F102",
                   .what = "ends in softmax, but binary_crossentropy is a loss for sigmoid",
                   .fix = "activation = \"sigmoid\"",
                   .near_miss = arrays(ending("{ dense = 3, activation = \"sigmoid\" }", kBinary))},
        ConfigCase{
            .name = "softmax twice",
            .faulty = ending("{ dense = 10, activation = \"softmax\" }, { activation = \"softmax\" }", kRows),
            .code = "F103",
            .from_last = 1,
            .what = "softmax is applied twice",
            .fix = "leave out activation = \"softmax\" of this layer",
            .near_miss = ending("{ dense = 9, activation = \"softmax\" }, { dense = 10, activation = \"softmax\" }",
                                kRows)},
        ConfigCase{
            .name = "softmax that the loss does not see",
            .faulty = {.layers = "{ conv = 10, kernel = 1, activation = \"softmax\" }, { global_avgpool = true }"},
            .code = "F103",
            .from_last = 1,
            .what = "softmax is applied twice",
            .fix = "leave out",
            .near_miss = {.layers = "{ conv = 10, kernel = 1, activation = \"softmax\" }, { global_avgpool = "
                                    "true }, { dense = 10 }"}},
        ConfigCase{
            .name = "sigmoid twice",
            .faulty = arrays(ending("{ dense = 1, activation = \"sigmoid\" }, { activation = \"sigmoid\" }", kBinary)),
            .code = "F103",
            .from_last = 1,
            .what = "sigmoid is applied twice",
            .fix = "leave out",
            .near_miss = arrays(ending("{ dense = 1 }, { activation = \"sigmoid\" }", kBinary))},
        ConfigCase{.name = "too few outputs",
                   .faulty = ending("{ dense = 9 }", kSparse),
                   .code = "F104",
                   .what = "the network has 9 outputs, the data has 10 classes",
                   .fix = "{ dense = 10 }",
                   .near_miss = ending("{ dense = 10 }", kSparse)},
        ConfigCase{.name = "too many outputs",
                   .faulty = ending("{ dense = 1000 }", kSparse),
                   .code = "F104",
                   .severity = Severity::warning,
                   .what = "the network has 1,000 outputs, the data has 10 classes",
                   .fix = "{ dense = 10 }",
                   .near_miss = arrays(ending("{ dense = 1000 }", kSparse))},
        ConfigCase{.name = "classes of a model file",
                   .faulty = {.layers = kPool + "{ dense = \"classes\" }", .model = "classes = 100"},
                   .code = "F104",
                   .severity = Severity::warning,
                   .what = "100 outputs",
                   .fix = "classes = 10",
                   .near_miss = {.layers = kPool + "{ dense = \"classes\" }", .model = "classes = 10"}},
        ConfigCase{.name = "one output with crossentropy",
                   .faulty = ending("{ dense = 1, activation = \"softmax\" }", kSparse),
                   .code = "F105",
                   .what = "compares classes, and the network has 1 output",
                   .fix = "loss = \"binary_crossentropy\"",
                   .near_miss = ending("{ dense = 1, activation = \"sigmoid\" }", kBinary)},
        ConfigCase{.name = "an activation that hinders",
                   .faulty = ending("{ dense = 10, activation = \"relu\" }", kSparse),
                   .code = "F106",
                   .severity = Severity::warning,
                   .what = "ends in an activation",
                   .fix = "leave out",
                   .near_miss = ending("{ dense = 10, activation = \"relu\" }", "mse")}));

INSTANTIATE_TEST_SUITE_P(
    Training, ConfigFault,
    testing::Values(
        ConfigCase{.name = "warm-up longer than the run",
                   .faulty = train("epochs = 3\nschedule = { name = \"cosine\", warmup_epochs = 3 }"),
                   .code = "T101",
                   .key = "train.schedule.warmup_epochs",
                   .what = "warmup_epochs = 3 of 3 epochs",
                   .fix = "warmup_epochs = 0.3",
                   .near_miss = train("epochs = 3\nschedule = { name = \"cosine\", warmup_epochs = 2.9 }")},
        ConfigCase{.name = "fp16",
                   .faulty = train("precision = \"fp16\""),
                   .code = "T102",
                   .key = "train.precision",
                   .what = "fp16",
                   .fix = "precision = \"fp32\"",
                   .near_miss = train("precision = \"fp32\"")},
        ConfigCase{.name = "tf32",
                   .faulty = train("precision = \"tf32\""),
                   .code = "T103",
                   .severity = Severity::note,
                   .key = "train.precision",
                   .what = "runs as fp32",
                   .fix = "precision = \"fp32\"",
                   .near_miss = {}},
        ConfigCase{.name = "accumulate that does not divide",
                   .faulty = train("batch = 64\naccumulate = 5"),
                   .code = "T104",
                   .severity = Severity::warning,
                   .key = "train.accumulate",
                   .what = "accumulate = 5 does not divide batch = 64",
                   .fix = "accumulate = 4",
                   .near_miss = train("batch = 65\naccumulate = 5")},
        ConfigCase{.name = "patience beyond the run",
                   .faulty = train("epochs = 8\nearly_stopping = { patience = 8 }"),
                   .code = "T105",
                   .severity = Severity::warning,
                   .key = "train.early_stopping.patience",
                   .what = "patience = 8 in 8 epochs",
                   .fix = "patience = 2",
                   .near_miss = train("epochs = 8\nearly_stopping = { patience = 7 }")},
        ConfigCase{.name = "early stopping without validation",
                   .faulty = {.train = "epochs = 8\nearly_stopping = { monitor = \"val_loss\", patience = 2 }",
                              .data = "train = { synthetic = \"shapes\", count = 100 }"},
                   .code = "T106",
                   .key = "train.early_stopping.monitor",
                   .what = "watches val_loss",
                   .fix = "val_split = 0.1",
                   .near_miss = {.train = "epochs = 8\nearly_stopping = { monitor = \"val_loss\", patience = 2 }",
                                 .data = "train = { synthetic = \"shapes\", count = 100 }\nval_split = 0.1"}},
        ConfigCase{.name = "class weights of another number",
                   .faulty = train("class_weights = [1.0, 2.0]"),
                   .code = "T107",
                   .key = "train.class_weights",
                   .what = "class_weights has 2 numbers, the network 10 outputs",
                   .fix = "class_weights = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]",
                   .near_miss = train("class_weights = [1, 2, 1, 1, 1, 1, 1, 1, 1, 0]")},
        ConfigCase{.name = "class weights without classes",
                   .faulty = {.layers = kPool + "{ dense = 2 }", .train = "loss = \"mse\"\nclass_weights = [1.0, 2.0]"},
                   .code = "T107",
                   .key = "train.class_weights",
                   .what = "mse has none",
                   .fix = "class_weights = []",
                   .near_miss = {.layers = kPool + "{ dense = 2 }", .train = "loss = \"mse\""}},
        ConfigCase{.name = "freeze names nothing",
                   .faulty = {.layers = "{ conv = 4, kernel = 3, name = \"stem\" }, " + kPool + "{ dense = 10 }",
                              .train = "freeze = [\"stm\"]"},
                   .code = "T120",
                   .key = "train.freeze",
                   .what = "'stm'",
                   .fix = "freeze = [\"stem\"]",
                   .near_miss = {.layers = "{ conv = 4, kernel = 3, name = \"stem\" }, " + kPool + "{ dense = 10 }",
                                 .train = "freeze = [\"stem\"]"}},
        ConfigCase{
            .name = "all frozen",
            .faulty = {.layers = kPool + "{ dense = 10, name = \"fc\" }", .train = "freeze = [\"fc\"]"},
            .code = "T109",
            .key = "train.freeze",
            .what = "nothing is trained",
            .fix = "backbone",
            .near_miss = {.layers = kPool + "{ dense = 10, name = \"fc\" }", .train = "freeze = [\"backbone\"]"}},
        ConfigCase{.name = "smoothing without classes",
                   .faulty = {.layers = kPool + "{ dense = 2 }", .train = "loss = \"mse\"\nlabel_smoothing = 0.1"},
                   .code = "T110",
                   .severity = Severity::warning,
                   .key = "train.label_smoothing",
                   .what = "no effect with mse",
                   .fix = "label_smoothing = 0.0",
                   .near_miss = train("label_smoothing = 0.1")},
        ConfigCase{
            .name = "BatchNorm of one value",
            .faulty = {.layers = kPool + "{ batchnorm = true }, { dense = 10 }", .train = "batch = 4\naccumulate = 4"},
            .code = "A201",
            .from_last = 1,
            .what = "one value per channel",
            .fix = "batch = 16",
            .near_miss = {.layers = "{ batchnorm = true }, " + kPool + "{ dense = 10 }", .train = "batch = 1"}}));

INSTANTIATE_TEST_SUITE_P(Support, ConfigFault,
                         testing::Values(ConfigCase{
                             .name = "cache on the device",
                             .faulty = {.data = Text{}.data + "\ncache = \"device\""},
                             .code = "C201",
                             .key = "data.cache",
                             .what = "keeps the training images on a GPU; this run is on the CPU",
                             .fix = "cache = \"ram\"",
                             .near_miss = {.data = Text{}.data + "\ncache = \"ram\""}}));

// ---- no false alarms ------------------------------------------------------------------------------------------

const std::string kConv = "{ conv = 8, kernel = 3, activation = \"relu\" }, ";

INSTANTIATE_TEST_SUITE_P(
    Layers, ConfigFault,
    testing::Values(
        ConfigCase{.name = "two linear layers",
                   .faulty = {.layers = kConv + kPool + "{ dense = 32 }, { dropout = 0.5 }, { dense = 10 }"},
                   .code = "A203",
                   .severity = Severity::note,
                   .from_last = 2,
                   .what = "dense and '4' are linear with nothing between",
                   .fix = "activation = \"relu\"",
                   .near_miss = {.layers = kConv + kPool +
                                           "{ dense = 32, activation = \"relu\" }, { dropout = 0.5 }, { dense = 10 }"}},
        ConfigCase{.name = "two linear convolutions",
                   .faulty = {.layers = "{ conv = 8, kernel = 3 }, { conv = 8, kernel = 3, activation = \"relu\" }, " +
                                        kPool + "{ dense = 10 }"},
                   .code = "A203",
                   .severity = Severity::note,
                   .from_last = 3,
                   .what = "conv and '1' are linear",
                   .fix = "activation = \"relu\"",
                   // Separable convolutions and norms between are meant.
                   .near_miss = {.layers = "{ depthwise = 3 }, { conv = 8, kernel = 1, norm = \"batch\" }, { conv = 8, "
                                           "kernel = 3, activation = \"relu\" }, " +
                                           kPool + "{ dense = 10 }"}},
        ConfigCase{
            .name = "an enormous dense layer",
            .faulty = {.layers = "{ conv = 64, kernel = 3, padding = \"same\", activation = \"relu\" }, "
                                 "{ flatten = true }, { dense = 1024, activation = \"relu\" }, { dense = 10 }"},
            .code = "A204",
            .severity = Severity::note,
            .from_last = 1,
            .what = "dense 1,024 behind flatten of 16,384 values has 16,778,240 of 16,790,282 parameters (100 %)",
            .fix = "global_avgpool",
            .near_miss = {.layers = "{ conv = 64, kernel = 3, padding = \"same\", activation = \"relu\" }, " + kPool +
                                    "{ dense = 1024, activation = \"relu\" }, { dense = 10 }"}},
        ConfigCase{.name = "a stride that skips",
                   .faulty = {.layers = "{ conv = 8, kernel = 2, stride = 5, activation = \"relu\" }, " + kPool +
                                        "{ dense = 10 }"},
                   .code = "A205",
                   .severity = Severity::note,
                   .from_last = 2,
                   .what = "kernel 2×2 with stride 5×5 reads 16 % of its 16×16 input",
                   .fix = "stride = 2",
                   .near_miss = {.layers = "{ conv = 8, kernel = 1, stride = 2, activation = \"relu\" }, " + kPool +
                                           "{ dense = 10 }"}},
        ConfigCase{.name = "a pool of one pixel",
                   .faulty = {.layers = kConv + "{ maxpool = 1 }, " + kPool + "{ dense = 10 }"},
                   .code = "A206",
                   .severity = Severity::warning,
                   .from_last = 2,
                   .what = "maxpool of 1×1 hands its input on",
                   .fix = "leave out this layer",
                   .near_miss = {.layers = kConv + "{ maxpool = 2, stride = 1 }, " + kPool + "{ dense = 10 }"}},
        ConfigCase{.name = "relu behind relu",
                   .faulty = {.layers = kConv + "{ activation = \"relu\" }, " + kPool + "{ dense = 10 }"},
                   .code = "A206",
                   .severity = Severity::warning,
                   .from_last = 2,
                   .what = "went through an activation before",
                   .fix = "leave out this layer",
                   .near_miss = {.layers = kConv + "{ batchnorm = true, activation = \"relu\" }, " + kPool +
                                           "{ dense = 10 }"}},
        ConfigCase{.name = "a norm behind a norm",
                   .faulty = {.layers = "{ conv = 8, kernel = 3, norm = \"batch\" }, { batchnorm = true, activation = "
                                        "\"relu\" }, " +
                                        kPool + "{ dense = 10 }"},
                   .code = "A206",
                   .severity = Severity::warning,
                   .from_last = 2,
                   .what = "BatchNorm right behind BatchNorm",
                   .fix = "leave out this layer",
                   .near_miss = {.layers = "{ conv = 8, kernel = 3, bias = false }, { batchnorm = true, activation = "
                                           "\"relu\" }, " +
                                           kPool + "{ dense = 10 }"}},
        ConfigCase{.name = "a bias in front of a norm",
                   .faulty = {.layers = "{ conv = 8, kernel = 3, bias = true, norm = \"batch\" }, " + kPool +
                                        "{ dense = 10 }"},
                   .code = "A207",
                   .severity = Severity::note,
                   .from_last = 2,
                   .what = "takes every mean away",
                   .fix = "bias = false",
                   .near_miss = {.layers = "{ conv = 8, kernel = 3, norm = \"batch\" }, " + kPool + "{ dense = 10 }"}},
        ConfigCase{.name = "outputs pooled behind relu",
                   .faulty = {.layers = "{ conv = 10, kernel = 1, activation = \"relu\" }, { global_avgpool = true }"},
                   .code = "F108",
                   .severity = Severity::note,
                   .from_last = 1,
                   .what = "the 10 outputs for sparse_categorical_crossentropy are pooled behind relu",
                   .fix = "leave out activation = \"relu\"",
                   .near_miss = {.layers = "{ conv = 10, kernel = 1 }, { global_avgpool = true }"}},
        ConfigCase{.name = "dropout on the outputs",
                   .faulty = {.layers = kConv + kPool + "{ dense = 10 }, { dropout = 0.5 }"},
                   .code = "F110",
                   .severity = Severity::warning,
                   .what = "dropout = 0.5 behind the last layer",
                   .fix = "leave out this layer",
                   .near_miss = {.layers = kConv + kPool + "{ dropout = 0.5 }, { dense = 10 }"}}));

INSTANTIATE_TEST_SUITE_P(
    Settings, ConfigFault,
    testing::Values(
        ConfigCase{.name = "a schedule that never steps",
                   .faulty = train("epochs = 10\nschedule = { name = \"step\", every_epochs = 30 }"),
                   .code = "T113",
                   .severity = Severity::note,
                   .key = "train.schedule.every_epochs",
                   .what = "every_epochs = 30 in 10 epochs",
                   .fix = "every_epochs = 3",
                   .near_miss = train("epochs = 90\nschedule = { name = \"step\", every_epochs = 30 }")},
        ConfigCase{.name = "decay that outweighs gradients",
                   .faulty = train("optimizer = { name = \"sgd\", lr = 0.1, momentum = 0.9, weight_decay = 0.1 }"),
                   .code = "T115",
                   .severity = Severity::warning,
                   .key = "train.optimizer.weight_decay",
                   .what = "weight_decay = 0.1 with lr = 0.1",
                   .fix = "weight_decay = 5e-4",
                   .near_miss = train("optimizer = { name = \"sgd\", lr = 0.4, momentum = 0.9, weight_decay = 5e-4 }")},
        ConfigCase{.name = "decay of adamw",
                   .faulty = train("optimizer = { name = \"adamw\", lr = 0.01, weight_decay = 5.0 }"),
                   .code = "T115",
                   .severity = Severity::warning,
                   .key = "train.optimizer.weight_decay",
                   .what = "0.05 of each weight",
                   .fix = "weight_decay = 0.05",
                   .near_miss = train("optimizer = { name = \"adamw\", lr = 0.001, weight_decay = 0.3 }")},
        ConfigCase{.name = "smoothing that hides the class",
                   .faulty = train("label_smoothing = 0.9"),
                   .code = "T117",
                   .severity = Severity::warning,
                   .key = "train.label_smoothing",
                   .what = "label_smoothing = 0.9",
                   .fix = "label_smoothing = 0.1",
                   .near_miss = train("label_smoothing = 0.2")},
        ConfigCase{.name = "clipping to nothing",
                   .faulty = train("clip_norm = 1e-6"),
                   .code = "T119",
                   .severity = Severity::warning,
                   .key = "train.clip_norm",
                   .what = "clip_norm = 1e-06",
                   .fix = "clip_norm = 1.0",
                   .near_miss = train("clip_norm = 0.1")}));

TEST(ShippedConfigs, HaveNoFinding) {
  for (const char* file : {"configs/quickstart.toml", "configs/mnist.toml", "configs/cifar10.toml"}) {
    const Config config = load_config(file);
    EXPECT_THAT(config.warnings, IsEmpty()) << file;
    std::vector<Diagnostic> findings;
    const Graph graph = build_graph(config.model, findings);
    EXPECT_THAT(findings, IsEmpty()) << file;
    EXPECT_THAT(check_config(config, graph), IsEmpty()) << file;
  }
}

TEST(ShippedModels, HaveNoFinding) {
  for (const char* file : {"lenet", "resnet9", "resnet18", "resnet18-cifar"}) {
    const Config config = load_config(std::string("configs/models/") + file + ".toml", {.model_only = true});
    std::vector<Diagnostic> findings;
    const Graph graph = build_graph(config.model, findings);
    EXPECT_THAT(check_config(config, graph), IsEmpty()) << file;
  }
}

TEST(SoundNetworks, HaveNoFinding) {
  const std::vector<Text> sound{
      {},
      ending("{ dense = 10 }, { activation = \"softmax\" }", kSparse),
      ending("{ dense = 4, activation = \"sigmoid\" }, { dense = 10 }", kSparse),
      ending("{ dense = 4, activation = \"softmax\" }, { dropout = 0.1 }, { dense = 10 }", kSparse),
      arrays(ending("{ dense = 4, activation = \"sigmoid\" }", kBinary)),
      arrays(ending("{ dense = 2 }", kBinary)),  // two labels that may both be set
      arrays(ending("{ dense = 1, activation = \"tanh\" }", "mse")),
      arrays(ending("{ dense = 3, activation = \"softmax\" }", "mse")),
      {.layers = "{ squeeze_excite = 1 }, " + kPool + "{ dense = 10 }"},
      {.layers =
           "{ conv = 10, kernel = 1, activation = \"relu\" }, { global_avgpool = true }"},  // as published nets do
      train("epochs = 5\nschedule = { name = \"onecycle\", max_lr = 0.1 }"),
      train("batch = \"max\"\naccumulate = 3"),
      train("batch = 1"),
      {.memory = "strategy = \"auto\"\nbudget = \"1GiB\""},
  };
  for (const Text& text : sound) {
    const Checked checked = check(text);
    for (const Diagnostic& found : checked.findings) {
      EXPECT_EQ(found.severity, Severity::note) << to_toml(text) << "\n" << to_string(found);
    }
  }
}

TEST(CutGraphs, GiveNoFindingsThatFollow) {
  const Checked checked = check({.layers = "{ conv = 8, kernel = 99 }, { dense = 7, activation = \"sigmoid\" }"});
  EXPECT_EQ(checked.graph_findings.size(), 1U);
  EXPECT_THAT(checked.findings, IsEmpty());
}

TEST(Order, IsThatOfThePlaces) {
  std::vector<Diagnostic> findings;
  for (const char* where :
       {"x.npy[10]", "b.toml:2:9", "x.npy[9]", "b.toml:10:1", "b.toml:2:10", "a.toml", "b.toml:2:9"}) {
    findings.push_back({.code = "D" + std::to_string(findings.size()), .where = where});
  }
  order_by_place(findings);
  std::vector<std::string> codes;
  codes.reserve(findings.size());
  for (const Diagnostic& finding : findings) codes.push_back(finding.code);
  EXPECT_THAT(codes, testing::ElementsAre("D5", "D1", "D6", "D4", "D3", "D2", "D0"));

  const Checked checked = check({.train = "precision = \"fp16\"", .data = Text{}.data + "\ncache = \"device\""});
  ASSERT_EQ(checked.findings.size(), 2U);
  EXPECT_THAT(checked.findings[0].what, HasSubstr("data.cache"));
  EXPECT_EQ(checked.findings[1].code, "T102");
}

}  // namespace
}  // namespace snug::test
