// What one real batch and some training show: each fault with its fix, and sound networks that nothing is said about.
#include "check/measured.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "check/catalogue.h"
#include "check/deep.h"
#include "check/whole.h"
#include "lowering/lowering.h"

namespace snug::test {
namespace {

using testing::HasSubstr;

struct MeasuredCase {
  std::string name, code;
  Severity severity = Severity::warning;
  std::string where, what, fix;
  std::function<void(const DataFolder&, Config4&)> fault;
  std::function<void(const DataFolder&, Config4&)> mend;  ///< else the fix is pasted
  std::function<void(const DataFolder&, Config4&)> near_miss;
  bool deep = false;
};
void PrintTo(const MeasuredCase& c, std::ostream* out) { *out << c.name; }  // NOLINT(readability-identifier-naming)

std::string all(const Outcome& outcome) {
  std::string text;
  for (const Diagnostic& finding : outcome.findings) text += to_string(finding) + "\n";
  return text;
}

class Measured : public testing::TestWithParam<MeasuredCase> {
 protected:
  Measured() {
    write_split(folder_, "train", 900);
    write_split(folder_, "val", 120, 2000);
  }
  Outcome check(const std::string& text) {
    folder_.text("c.toml", text);
    return check_file(folder_ / "c.toml", {.measured = true, .deep = GetParam().deep});
  }
  DataFolder folder_;
  Config4 config_;
};

TEST_P(Measured, IsFoundAndGoneWithItsFix) {
  const MeasuredCase& c = GetParam();
  c.fault(folder_, config_);
  const Outcome outcome = check(config_.text());
  const Diagnostic* found = outcome.find(c.code);
  ASSERT_NE(found, nullptr) << all(outcome);
  EXPECT_EQ(outcome.faults().size(), 1U) << all(outcome);
  EXPECT_EQ(found->severity, c.severity);
  EXPECT_THAT(found->where, HasSubstr(c.where));
  EXPECT_THAT(found->what, HasSubstr(c.what));
  EXPECT_THAT(found->fix, HasSubstr(c.fix));
  EXPECT_NE(find_code(found->code), nullptr);
  EXPECT_EQ(outcome.exit_code, c.severity == Severity::error ? 2 : 0);
  std::string text = pasted(config_.text(), *found);
  if (c.mend) {
    c.mend(folder_, config_);
    text = config_.text();
  }
  const Outcome mended = check(text);
  EXPECT_TRUE(mended.faults().empty()) << text << all(mended);
}

TEST_P(Measured, IsNotSeenInTheNearMiss) {
  if (GetParam().near_miss) GetParam().near_miss(folder_, config_);
  const Outcome outcome = check(config_.text());
  EXPECT_TRUE(outcome.faults().empty()) << all(outcome);
}

std::function<void(const DataFolder&, Config4&)> config(std::function<void(Config4&)> change) {
  return [=](const DataFolder&, Config4& c) { change(c); };
}
/// `count` convolutions of `filters`, then the class layer.
std::function<void(const DataFolder&, Config4&)> stack(int count, int filters, const std::string& activation,
                                                       bool norm = false, int kernel = 3) {
  return config([=](Config4& c) {
    c.layers = "  { repeat = " + std::to_string(count) + ", block = [ { conv = " + std::to_string(filters) +
               ", kernel = " + std::to_string(kernel) + ", padding = \"same\", " + (norm ? "norm = \"batch\", " : "") +
               "activation = \"" + activation + "\" } ] },\n  { global_avgpool = true },\n  { dense = 4 },\n";
  });
}
std::function<void(const DataFolder&, Config4&)> initializer(const std::string& value) {
  return config([=](Config4& c) {
    c.layers = "  { conv = 8, kernel = 3, activation = \"relu\" },\n  { flatten = true },\n  { dense = 4 },\n";
    c.train += "initializer = " + value + "\n";
  });
}
std::function<void(const DataFolder&, Config4&)> optimizer(const std::string& value) {
  return config([=](Config4& c) { c.train = "epochs = 4\nbatch = 20\noptimizer = " + value + "\n"; });
}
/// Labels by an unrelated generator: as if the images had been shuffled and the labels had not.
void shuffle_labels(const DataFolder& folder, Config4&) {
  write_array<std::int64_t>(folder / "train-y.npy", "<i8", {900}, [](std::int64_t i) {
    return static_cast<std::int64_t>((static_cast<std::uint64_t>(i) * 2'654'435'761ULL >> 13U) % 4);
  });
}

INSTANTIATE_TEST_SUITE_P(Batch, Measured,
                         testing::Values(MeasuredCase{.name = "all relus dead",
                                                      .code = "T202",
                                                      .severity = Severity::error,
                                                      .where = "c.toml:7:",
                                                      .what = "behind its relu are 0 on 16 images",
                                                      .fix = "norm = \"batch\"",
                                                      .fault = stack(16, 1, "relu", false, 1),
                                                      .mend = stack(16, 8, "relu", true),
                                                      .near_miss = stack(16, 8, "relu")},
                                         MeasuredCase{.name = "signals that vanish",
                                                      .code = "T203",
                                                      .where = "c.toml:",
                                                      .what = "",
                                                      .fix = "relu",
                                                      .fault = stack(24, 6, "sigmoid"),
                                                      .mend = stack(24, 6, "relu"),
                                                      .near_miss = stack(2, 8, "sigmoid")},
                                         MeasuredCase{.name = "a first loss far off",
                                                      .code = "T201",
                                                      .where = "c.toml:",
                                                      .what = "guessing evenly among 4 classes gives 1.386",
                                                      .fix = "initializer = \"he_normal\"",
                                                      .fault = initializer("{ name = \"normal\", std = 2.0 }"),
                                                      .near_miss = initializer("{ name = \"normal\", std = 0.02 }")},
                                         MeasuredCase{.name = "values beyond all numbers",
                                                      .code = "T204",
                                                      .severity = Severity::error,
                                                      .where = "c.toml:7:",
                                                      .what = "not finite on the first 16 images",
                                                      .fix = "initializer = \"he_normal\"",
                                                      .fault = initializer("{ name = \"normal\", std = 1e38 }")}));

INSTANTIATE_TEST_SUITE_P(
    Deep, Measured,
    testing::Values(MeasuredCase{.name = "a rate that learns nothing",
                                 .code = "T205",
                                 .where = "c.toml:14:",
                                 .what = "after 150 steps",
                                 .fix = "optimizer = { name = \"adam\", lr = 0.001 }",
                                 .fault = optimizer("{ name = \"sgd\", lr = 2e-5 }"),
                                 .mend = optimizer("{ name = \"adam\", lr = 0.001 }"),
                                 .deep = true},
                    MeasuredCase{
                        .name = "statistics of frozen norms",
                        .code = "T206",
                        .where = "c.toml:",
                        .what = "0.norm.running_mean",
                        .fix = "freeze_stats = true",
                        .fault = config([](Config4& c) { c.train += "freeze = [\"0\"]\n"; }),
                        .near_miss = config([](Config4& c) { c.train += "freeze = [\"0\"]\nfreeze_stats = true\n"; }),
                        .deep = true},
                    MeasuredCase{.name = "labels that are shuffled",
                                 .code = "L212",
                                 .where = "train-y.npy[0]",
                                 .what = "labels look shuffled: learned from 600 images, 288 others",
                                 .fix = "labels = \"FILE\"",
                                 .fault = shuffle_labels,
                                 .mend = [](const DataFolder& folder, Config4&) { write_split(folder, "train", 900); },
                                 .deep = true}));

TEST(CastsOfAStep, AreNoneInARunOfFp32) {
  const Config config = parse_config(
      "[data]\ntrain = { synthetic = \"shapes\" }\n[model]\ninput = [16, 16, 3]\nlayers = [\n"
      "{ conv = 8, kernel = 3, activation = \"relu\" }, { global_avgpool = true }, { dense = 10 } ]\n"
      "[train]\nprecision = \"fp32\"\n",
      "run.toml");
  std::vector<Diagnostic> ignored;
  const Graph graph = build_graph(config.model, ignored);
  const auto program = [&](DType type) { return lower(graph, {.batch = 2, .dtype = type, .train = config.train}); };
  Findings findings;
  check_types(config, DType::f32, program(DType::f32), findings);
  check_types(config, DType::bf16, program(DType::bf16), findings);
  EXPECT_TRUE(findings.empty()) << to_string(findings.at(0));
  check_types(config, DType::f32, program(DType::bf16), findings);
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].code, "T207");
  EXPECT_EQ(findings[0].where, "run.toml:8:13");
  EXPECT_THAT(findings[0].what, HasSubstr("weights are cast in a run of fp32"));
  EXPECT_THAT(findings[0].fix, HasSubstr("please report it"));
}

TEST(MeasureApart, SaysTheSameFromAProcessOfItsOwn) {
  const DataFolder folder;
  write_split(folder, "train", 100);
  Config4 text;
  text.data = "train = { images = \"train-x.npy\", labels = \"train-y.npy\" }\n";
  stack(16, 1, "relu", false, 1)(folder, text);
  folder.text("c.toml", text.text());
  const Config config = load_config(folder / "c.toml");
  std::vector<Diagnostic> findings;
  const Graph graph = build_graph(config.model, findings);
  const Splits splits = open_data(config.data, config.model.input, config.train.seed);
  const RunSetup setup = make_setup(config, graph, splits);
  const auto here = measure(config, setup, {.threads = 1});
  const auto apart = measure_apart(config, setup, {.threads = 1});
  ASSERT_EQ(here.size(), 1U);
  ASSERT_EQ(apart.size(), 1U);
  EXPECT_EQ(to_string(apart[0]), to_string(here[0]));
  EXPECT_EQ(apart[0].severity, here[0].severity);
}

}  // namespace
}  // namespace snug::test
