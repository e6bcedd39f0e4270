// Faults of the config over sound data: each is found at its place, and gone with its fix pasted there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "check/catalogue.h"
#include "check/whole.h"

namespace snug::test {
namespace {

using testing::HasSubstr;

struct WrittenCase {
  std::string name, code;
  Severity severity = Severity::error;
  std::string where, what, fix;
  std::string layers, train, data;  ///< instead of the sound ones, where given
  /// Where the fix is a sentence, or of several lines: what it says, done.
  std::string mended_layers{}, mended_train{}, mended_data{};
};
void PrintTo(const WrittenCase& c, std::ostream* out) { *out << c.name; }  // NOLINT(readability-identifier-naming)

Config4 config_of(const std::string& layers, const std::string& train, const std::string& data) {
  Config4 config;
  if (!layers.empty()) config.layers = layers;
  if (!train.empty()) config.train = train;
  config.data += data;
  return config;
}

class Written : public testing::TestWithParam<WrittenCase> {};

TEST_P(Written, IsFoundAndGoneWithItsFix) {
  const WrittenCase& c = GetParam();
  const DataFolder folder;
  write_split(folder, "train", 240);
  write_split(folder, "val", 120, 1000);
  const std::string text = config_of(c.layers, c.train, c.data).text();
  folder.text("c.toml", text);
  const Outcome outcome = check_file(folder / "c.toml");
  std::string all = text;
  for (const Diagnostic& finding : outcome.findings) all += to_string(finding) + "\n";
  const std::vector<Diagnostic> faults = outcome.faults();
  ASSERT_EQ(faults.size(), 1U) << "one cause, one finding\n" << all;
  EXPECT_EQ(faults[0].code, c.code) << all;
  EXPECT_EQ(faults[0].severity, c.severity);
  EXPECT_THAT(faults[0].where, HasSubstr(c.where));
  EXPECT_THAT(faults[0].what, HasSubstr(c.what));
  EXPECT_THAT(faults[0].fix, HasSubstr(c.fix));
  EXPECT_NE(find_code(c.code), nullptr);
  EXPECT_EQ(outcome.exit_code, c.severity == Severity::error ? 2 : 0);

  const bool by_hand = !c.mended_layers.empty() || !c.mended_train.empty() || !c.mended_data.empty();
  const std::string mended = by_hand ? config_of(c.mended_layers.empty() ? c.layers : c.mended_layers,
                                                 c.mended_train.empty() ? c.train : c.mended_train,
                                                 c.mended_data.empty() ? c.data : c.mended_data)
                                           .text()
                                     : pasted(text, faults[0]);
  folder.text("c.toml", mended);
  const Outcome after = check_file(folder / "c.toml");
  all = mended;
  for (const Diagnostic& finding : after.findings) all += to_string(finding) + "\n";
  EXPECT_TRUE(after.faults().empty()) << all;
}

const std::string kConv = "  { conv = 8, kernel = 3, activation = \"relu\" },\n";
const std::string kEnd = "  { global_avgpool = true },\n  { dense = 4 },\n";
const std::string kSgd = "optimizer = { name = \"sgd\", lr = 0.05, momentum = 0.9 }\n";
const std::string kRun = "epochs = 4\nbatch = 20\n";

INSTANTIATE_TEST_SUITE_P(
    Architecture, Written,
    testing::Values(
        WrittenCase{"a kernel that is too large", "A101", Severity::error, "c.toml:7:15",
                    "kernel 15 on 12×12 input: it does not fit", "kernel = 12   # the largest that fits",
                    "  { conv = 8, kernel = 15, activation = \"relu\" },\n" + kEnd},
        WrittenCase{"blocks that shrink to nothing", "A101", Severity::error,
                    "c.toml:7:", "on 1×1 input: it does not fit", "repeat = 3   # so many turns fit",
                    "  { repeat = 5, block = [ { conv = 8, kernel = 3, padding = \"same\", activation = \"relu\" }, "
                    "{ maxpool = 2 } ] },\n" +
                        kEnd,
                    "", "",
                    "  { repeat = 3, block = [ { conv = 8, kernel = 3, padding = \"same\", activation = \"relu\" }, "
                    "{ maxpool = 2 } ] },\n" +
                        kEnd},
        WrittenCase{"groups that do not divide", "A102", Severity::error, "c.toml:8:27",
                    "groups = 3 must divide both 8 input channels and 8 filters", "groups = 2",
                    kConv + "  { conv = 8, kernel = 3, groups = 3, activation = \"relu\" },\n" + kEnd},
        WrittenCase{"dense on a map", "A104", Severity::error, "c.toml:8:5", "10×10×8", "flatten",
                    kConv + "  { dense = 4 },\n", "", "", kConv + "  { flatten = true },\n  { dense = 4 },\n"},
        WrittenCase{
            "a sum of different shapes", "A105", Severity::error, "c.toml:8:5", "10×10×16",
            "shortcut = [ { conv = 16, kernel = 1, stride = 1, norm = \"batch\" } ]",
            kConv +
                "  { residual = [ { conv = 16, kernel = 3, padding = \"same\", norm = \"batch\" } ], activation = "
                "\"relu\" },\n" +
                kEnd},
        WrittenCase{"a join of different sizes", "A106", Severity::error, "c.toml:8:5", "branch", "",
                    kConv + "  { branches = [ [], [ { maxpool = 2 } ] ] },\n" + kEnd, "", "",
                    kConv + "  { branches = [ [], [ { maxpool = 3, stride = 1, padding = 1 } ] ] },\n" + kEnd},
        WrittenCase{"stride 0", "A004", Severity::error, "c.toml:7:", "stride is 0",
                    "stride = ", "  { conv = 8, kernel = 3, stride = 0, activation = \"relu\" },\n" + kEnd},
        WrittenCase{"dropout in percent", "A004", Severity::error, "c.toml:9:", "is 50", "dropout = 0.5",
                    kConv + "  { global_avgpool = true },\n  { dropout = 50 },\n  { dense = 4 },\n"},
        WrittenCase{"a misspelt key", "C007", Severity::error, "c.toml:7:", "did you mean \"kernel\"?", "kernel = 3",
                    "  { conv = 8, kernal = 3, activation = \"relu\" },\n" + kEnd, "", "", kConv + kEnd},
        WrittenCase{"a misspelt layer", "C007", Severity::error, "c.toml:9:", "did you mean \"dense\"?", "dense = 4",
                    kConv + "  { global_avgpool = true },\n  { dens = 4 },\n", "", "", kConv + kEnd},
        WrittenCase{"one value per channel", "A201", Severity::error, "c.toml:10:", "one value per channel",
                    "batch = 16",
                    kConv + "  { global_avgpool = true },\n  { dense = 8 },\n  { batchnorm = true, activation = "
                            "\"relu\" },\n  { dense = 4 },\n",
                    "epochs = 4\nbatch = 1\n", "", "", "epochs = 4\nbatch = 16\n"}));

INSTANTIATE_TEST_SUITE_P(
    LastLayer, Written,
    testing::Values(
        WrittenCase{"a map at the end", "F101", Severity::error, "c.toml:8:", "ends in 8×8×4", "global_avgpool",
                    kConv + "  { conv = 4, kernel = 3 },\n", "", "",
                    kConv + "  { conv = 4, kernel = 3 },\n  { global_avgpool = true },\n"},
        WrittenCase{"sigmoid for classes", "F102", Severity::error, "c.toml:9:", "ends in sigmoid",
                    "activation = \"softmax\"",
                    kConv + "  { global_avgpool = true },\n  { dense = 4, activation = \"sigmoid\" },\n"},
        WrittenCase{"softmax twice", "F103", Severity::error, "c.toml:9:", "softmax is applied twice", "leave out",
                    kConv + "  { global_avgpool = true },\n  { dense = 4, activation = \"softmax\" },\n  { activation "
                            "= \"softmax\" },\n",
                    "", "", kConv + "  { global_avgpool = true },\n  { dense = 4, activation = \"softmax\" },\n"},
        WrittenCase{"too few outputs", "F104", Severity::error, "c.toml:9:", "3 outputs, the data has 4 classes",
                    "{ dense = 4 }", kConv + "  { global_avgpool = true },\n  { dense = 3 },\n"},
        WrittenCase{"too many outputs", "F104", Severity::warning, "c.toml:9:", "10 outputs, the data has 4 classes",
                    "{ dense = 4 }", kConv + "  { global_avgpool = true },\n  { dense = 10 },\n"},
        WrittenCase{"one output for classes", "F105", Severity::error, "c.toml:9:", "the network has 1 output",
                    "loss = ", kConv + "  { global_avgpool = true },\n  { dense = 1 },\n", "", "", kConv + kEnd},
        WrittenCase{"relu at the end", "F106", Severity::warning, "c.toml:9:", "limits what", "leave out",
                    kConv + "  { global_avgpool = true },\n  { dense = 4, activation = \"relu\" },\n", "", "",
                    kConv + kEnd},
        WrittenCase{"dropout at the end", "F110", Severity::warning, "c.toml:10:", "dropout = 0.5", "before the last",
                    kConv + kEnd + "  { dropout = 0.5 },\n", "", "",
                    kConv + "  { global_avgpool = true },\n  { dropout = 0.5 },\n  { dense = 4 },\n"}));

INSTANTIATE_TEST_SUITE_P(
    Settings, Written,
    testing::Values(
        WrittenCase{"a rate that is too high", "T111", Severity::warning, "c.toml:14:", "lr = 5 is far above",
                    "lr = 0.1", "", kRun + "optimizer = { name = \"sgd\", lr = 5.0, momentum = 0.9 }\n"},
        WrittenCase{"a rate that is too low", "T112", Severity::warning, "c.toml:14:", "moves nothing", "lr = 0.001",
                    "", kRun + "optimizer = { name = \"adam\", lr = 1e-9 }\n"},
        WrittenCase{"momentum of one and more", "T004", Severity::error, "c.toml:14:", "momentum is 1.5",
                    "momentum = ", "", kRun + "optimizer = { name = \"sgd\", lr = 0.05, momentum = 1.5 }\n"},
        WrittenCase{"a warm-up beyond the run", "T101", Severity::error, "c.toml:15:", "warmup_epochs = 5 of 4 epochs",
                    "warmup_epochs = 0.4", "", kRun + kSgd + "schedule = { name = \"cosine\", warmup_epochs = 5 }\n"},
        WrittenCase{"no epochs", "T004", Severity::error, "c.toml:12:", "epochs is 0", "epochs = ", "",
                    "epochs = 0\nbatch = 20\n" + kSgd},
        WrittenCase{"a batch beyond the data", "T108", Severity::warning, "c.toml:13:",
                    "larger than the training data of 240", "batch = 24", "", "epochs = 4\nbatch = 500\n" + kSgd},
        WrittenCase{"no batch at all", "T108", Severity::error, "c.toml:14:", "drop_last leaves no batch at all",
                    "batch = 24", "", "epochs = 4\nbatch = 500\n" + kSgd, "drop_last = true\n"},
        WrittenCase{"much is dropped", "T116", Severity::warning, "c.toml:4:", "leaves out 90 of 240 samples",
                    "drop_last = false", "", "epochs = 4\nbatch = 150\n" + kSgd, "drop_last = true\n"},
        WrittenCase{"parts that do not divide", "T104", Severity::warning,
                    "c.toml:15:", "accumulate = 3 does not divide batch = 20", "accumulate = 2", "",
                    kRun + kSgd + "accumulate = 3\n"},
        WrittenCase{"fp16 on the CPU", "T102", Severity::error, "c.toml:15:", "fp16", "precision = \"fp32\"", "",
                    kRun + kSgd + "precision = \"fp16\"\n"},
        WrittenCase{"patience beyond the run", "T105", Severity::warning, "c.toml:15:", "patience = 9 in 4 epochs",
                    "patience = 1", "", kRun + kSgd + "early_stopping = { patience = 9 }\n"},
        WrittenCase{"decay that outweighs", "T115", Severity::warning, "c.toml:14:", "weight_decay = 1",
                    "weight_decay = 5e-4", "",
                    kRun + "optimizer = { name = \"sgd\", lr = 0.05, momentum = 0.9, weight_decay = 1.0 }\n"},
        WrittenCase{"smoothing that hides", "T117", Severity::warning, "c.toml:15:", "label_smoothing = 0.9",
                    "label_smoothing = 0.1", "", kRun + kSgd + "label_smoothing = 0.9\n"},
        WrittenCase{"clipping to nothing", "T119", Severity::warning, "c.toml:15:", "clip_norm = 1e-06",
                    "clip_norm = 1.0", "", kRun + kSgd + "clip_norm = 1e-6\n"}));

}  // namespace
}  // namespace snug::test
