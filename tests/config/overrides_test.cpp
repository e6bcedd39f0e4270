// --set KEY=VALUE
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.h"

namespace snug::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string kBase = std::string(kData) + R"([model]
input = [28, 28, 1]
layers = [{ conv = 8, kernel = 3 }, { residual = [{ conv = 8, kernel = 3, padding = 1 }] }, { flatten = true }]
[train]
epochs = 2
optimizer = { name = "sgd", lr = 0.1 }
)";

TEST(Overrides, SetValuesOfEveryKind) {
  const Outcome outcome = parse(kBase, {{"train.epochs", "7"},
                                        {"train.optimizer.lr", "5e-2"},
                                        {"train.batch", "max"},
                                        {"train.schedule", "{ name = 'step', factor = 0.5 }"},
                                        {"train.class_weights", "[1, 2.0, 3]"},
                                        {"data.normalize", "per-channel"},
                                        {"data.val_split", " 0.25 "},
                                        {"data.train.count", "17"},
                                        {"model.layers.0.conv", "32"},
                                        {"model.layers.1.residual.0.kernel", "[5, 3]"},
                                        {"memory.budget", "50%"},
                                        {"memory.workspace", "64MiB"},
                                        {"name", "other"}});
  ASSERT_TRUE(outcome.config) << all(outcome.findings);
  const Config& run = *outcome.config;
  EXPECT_EQ(run.train.epochs, 7);
  EXPECT_EQ(run.train.optimizer.lr, 0.05);
  EXPECT_EQ(run.train.batch.kind, BatchChoice::Kind::maximum);
  EXPECT_EQ(run.train.schedule.kind, ScheduleKind::step);
  EXPECT_EQ(run.train.schedule.factor, 0.5);
  EXPECT_THAT(run.train.class_weights, ElementsAre(1, 2, 3));
  EXPECT_EQ(run.data.normalize.kind, Normalization::per_channel);
  EXPECT_EQ(run.data.val_split, 0.25);
  EXPECT_EQ(run.data.train->count, 17);
  EXPECT_EQ(std::get<ConvLayer>(run.model.layers[0].what).filters, 32);
  const auto& residual = std::get<ResidualLayer>(run.model.layers[1].what);
  EXPECT_THAT(std::get<ConvLayer>(residual.body[0].what).kernel, ElementsAre(5, 3));
  EXPECT_EQ(run.memory.budget.fraction, 0.5);
  EXPECT_EQ(run.memory.workspace_bytes, 64 << 20);
  EXPECT_EQ(run.name, "other");
}

TEST(Overrides, MendAFaultOfTheFile) {
  EXPECT_EQ(parse(kBase + "batch = 'all'\n").findings.size(), 1U);
  EXPECT_TRUE(parse(kBase + "batch = 'all'\n", {{"train.batch", "8"}}).config);
}

TEST(Overrides, FaultsStandAtTheOption) {
  struct Case {
    std::string key, value;
    char family;
    std::string what, fix;
  };
  for (const Case& c : std::vector<Case>{
           {"train.epochs", "5x", 'C', "\"5x\"", "--set train.epochs=5"},
           {"train.epochs", "5.0", 'C', "5.0", "--set train.epochs=5"},
           {"train.epochs", "", 'C', "\"\"", "--set train.epochs=5"},
           {"train.epochs", "0", 'T', "0", "--set train.epochs=5"},
           {"train.epochs", "5 # five", 'C', "5 # five", "--set train.epochs=5"},
           {"train.epochs", "1\nseed = 4", 'C', "string", "--set train.epochs=5"},
           {"train.epochs", "1, 2", 'C', "\"1, 2\"", "--set train.epochs=5"},
           {"train.optimizer.lr", "1e-3x", 'C', "1e-3x", "--set train.optimizer.lr=0.05"},
           {"train.optimizer.lr", "nan", 'T', "nan", "--set train.optimizer.lr=0.05"},
           {"train.optimizer.lrr", "0.1", 'C', "did you mean \"lr\"", "--set train.optimizer.lr=0.1"},
           {"train.epoch", "4", 'C', "did you mean \"epochs\"", "--set train.epochs=4"},
           {"trian.epochs", "4", 'C', "did you mean \"train\"", "--set train.epochs=4"},
           {"train.optimzer.lr", "0.1", 'C', "did you mean \"optimizer\"", "--set train.optimizer.lr=0.1"},
           {"model.layers.9.conv", "4", 'C', "list of 3", "0 to 2"},
           {"model.layers.x.conv", "4", 'C', "\"x\"", "0 to 2"},
           {"model.layers.0.covn", "4", 'C', "did you mean \"conv\"", "--set model.layers.0.conv=4"},
           {"train.epochs.more", "4", 'C', "integer 2", "whole table"},
           {"", "4", 'C', "no dotted key", "--set"},
           {"train..epochs", "4", 'C', "no dotted key", "--set"},
           {"train.", "4", 'C', "no dotted key", "--set"},
           {"name", "5", 'C', "integer 5", "--set name="},
       }) {
    const Outcome outcome = parse(kBase, {{c.key, c.value}});
    ASSERT_EQ(outcome.findings.size(), 1U) << c.key << "=" << c.value << "\n" << all(outcome.findings);
    const Diagnostic& finding = outcome.findings[0];
    EXPECT_EQ(finding.code[0], c.family) << all(outcome.findings);
    EXPECT_EQ(finding.where, "--set " + c.key);
    EXPECT_THAT(finding.what, HasSubstr(c.what));
    EXPECT_THAT(finding.fix, HasSubstr(c.fix));
  }
}

TEST(Overrides, AKeyIsSetOnce) {
  for (const Set& set : std::vector<Set>{
           {{"train.epochs", "1"}, {"train.epochs", "1"}},
           {{"train.optimizer.lr", "0.1"}, {"train.optimizer", "{ lr = 0.2 }"}},
       }) {
    const Outcome outcome = parse(kBase, set);
    ASSERT_EQ(outcome.findings.size(), 1U) << all(outcome.findings);
    EXPECT_EQ(outcome.findings[0].where, "--set " + set[1].first);
    EXPECT_THAT(outcome.findings[0].what, HasSubstr("more than once"));
  }
  // A part of what an earlier option set is a different key.
  EXPECT_TRUE(parse(kBase, {{"train.optimizer", "{ lr = 0.2 }"}, {"train.optimizer.momentum", "0.5"}}).config);
}

}  // namespace
}  // namespace snug::config
