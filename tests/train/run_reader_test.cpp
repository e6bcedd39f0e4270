// Run folders as people leave them: whole, killed, cut, emptied, edited.
#include "train/run_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"
#include "train/run_folder.h"
#include "train/test_folder.h"

namespace snug {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kConfig = R"(
name = "small"
[data]
train = { synthetic = "shapes", count = 40 }
val = { synthetic = "shapes", count = 20 }
[model]
input = [16, 16, 1]
layers = [ { conv = 4, kernel = 3, stride = 2, activation = "relu" }, { flatten = true }, { dense = 10 } ]
[train]
epochs = 2
batch = 16
optimizer = { name = "sgd", lr = 0.05 }
)";

class Silent : public Reporter {
 public:
  void on_event(const TrainEvent&) override {}
};

class RunReader : public testing::Test {
 protected:
  [[nodiscard]] fs::path out(const std::string& name) const { return folder_.path() / name; }
  void train_one(const std::string& name, TrainOptions options = {}) const {
    options.out = out(name);
    options.threads = 1;
    options.command = "snug train 'a b.toml'";
    Silent silent;
    (void)train(parse_config(kConfig, "small.toml"), options, silent);
  }
  void cut(const fs::path& file, std::uintmax_t bytes) const { fs::resize_file(file, bytes); }
  TestFolder folder_;
};

TEST_F(RunReader, AWholeRunSaysWhatAReproductionNeeds) {
  std::vector<fs::path> ended;
  train_one("run", {.versions = {{"snug", "1"}}, .at_end = [&](const fs::path& run) { ended.push_back(run); }});
  EXPECT_THAT(ended, testing::ElementsAre(out("run")));
  const RunDetails run = read_details(out("run"));
  EXPECT_THAT(run.problems, testing::IsEmpty());
  EXPECT_EQ(run.state, "finished");
  ASSERT_EQ(run.record.starts.size(), 1U);
  const RunStart& start = run.record.starts[0];
  EXPECT_EQ(start.command, "snug train 'a b.toml'");
  EXPECT_EQ(start.versions, (std::vector<std::pair<std::string, std::string>>{{"snug", "1"}}));
  EXPECT_EQ(start.started.size(), 20U) << start.started;
  EXPECT_FALSE(start.ended.empty());
  EXPECT_GT(run.seconds(), 0);
  EXPECT_EQ(run.epochs.size(), 2U);
  EXPECT_EQ(run.metric, "val_accuracy");
  ASSERT_TRUE(run.best.has_value());
  EXPECT_EQ(run.model, "3 layers");
  EXPECT_EQ(run.parameters(), 4 * 9 + 4 + 4 * 49 * 10 + 10);
  EXPECT_EQ(run.done.value_or(DoneEvent{.step_allocations = -1}).step_allocations, 0);
  const StoredPlan stored = run.plan.value_or(StoredPlan());
  EXPECT_FALSE(stored.buffers.empty());
  EXPECT_EQ(stored.plan.breakdown.total(), stored.plan.total_bytes);
  const RunEvaluation evaluation = run.evaluation.value_or(RunEvaluation());
  EXPECT_EQ(evaluation.epoch, run.best_epoch);
  EXPECT_EQ(evaluation.result.accuracy, run.best);
  ASSERT_EQ(evaluation.samples.size(), 12U);
  EXPECT_THAT(evaluation.samples[0].picture, testing::StartsWith("iVBORw0KGgo")) << "a PNG";
}

TEST_F(RunReader, ARunThatGoesOnKnowsAllItsStarts) {
  const Diagnostic told{.code = "D213", .severity = Severity::note, .where = "x.npy[3]", .what = "w", .fix = "f"};
  train_one("run", {.max_steps = 3, .findings = {told}});
  EXPECT_EQ(read_overview(out("run")).state, "stopped");
  train_one("run", {.resume = true, .findings = {told}});
  const std::vector<Diagnostic> findings = read_details(out("run")).findings;
  ASSERT_EQ(findings.size(), 1U) << "told at both starts";
  EXPECT_EQ(findings[0].where, "x.npy[3]");
  EXPECT_EQ(findings[0].severity, Severity::note);
  const RunOverview run = read_overview(out("run"));
  EXPECT_EQ(run.state, "finished");
  ASSERT_EQ(run.record.starts.size(), 2U);
  EXPECT_EQ(run.record.starts[0].state, "stopped");
  EXPECT_EQ(run.record.starts[1].step, 3);
  EXPECT_EQ(run.epochs.size(), 2U);
}

TEST_F(RunReader, WhatARunCallsAtItsEndMayFail) {
  train_one("run",
            {.at_end = [](const fs::path&) { throw Error(Diagnostic{.code = "C602", .what = "no", .fix = "x"}); }});
  EXPECT_EQ(read_overview(out("run")).state, "finished");
}

TEST_F(RunReader, StatesAreWhatTheFoldersShow) {
  train_one("killed");
  const std::string record = read_text(out("killed") / "run.json");
  RunRecord parsed = read_run_record(record, "run.json");
  parsed.starts.back().state.clear();
  write_text(out("killed") / "run.json", run_record_json(parsed));
  EXPECT_EQ(read_overview(out("killed")).state, "finished") << "it had saved its last state";
  fs::remove(out("killed") / "last.state");
  EXPECT_EQ(read_overview(out("killed")).state, "interrupted");
  const RunLock lock(out("killed"));
  EXPECT_EQ(read_overview(out("killed")).state, "running");
}

TEST_F(RunReader, ADamagedFolderIsShownAndBreaksNoList) {
  train_one("good");
  fs::copy(out("good"), out("bad"));
  fs::copy(out("good"), out("cut"));
  for (const fs::path file : {"config.toml", "run.json", "plan.json", "evaluation.json"})
    write_text(out("bad") / file, "\xff{[");
  for (const fs::directory_entry& entry : fs::directory_iterator(out("cut")))
    cut(entry.path(), fs::file_size(entry.path()) / 2);
  fs::create_directory(out("empty"));
  fs::create_directory(out("data"));
  write_text(out("data") / "config.toml", std::string(kConfig));
  write_text(out("file"), "");

  const std::vector<RunOverview> runs = list_runs(folder_.path());
  ASSERT_EQ(runs.size(), 3U) << "folders without anything of a run are none";
  const RunDetails bad = read_details(out("bad"));
  EXPECT_EQ(bad.state, "damaged");
  EXPECT_EQ(bad.problems.size(), 4U);
  EXPECT_EQ(bad.epochs.size(), 2U) << "what is whole is shown";
  const RunDetails halves = read_details(out("cut"));
  EXPECT_LT(halves.epochs.size(), 2U);
  EXPECT_FALSE(halves.plan.has_value());
  EXPECT_FALSE(halves.problems.empty());
  EXPECT_THROW((void)read_overview(out("empty")), Error);
  EXPECT_THROW((void)read_overview(out("none")), Error);
  EXPECT_TRUE(list_runs(out("none")).empty());
}

TEST_F(RunReader, WhatIsOfTheWrongTypeIsNoRecordPlanOrEvaluation) {
  EXPECT_THROW((void)read_run_record(R"({"format":2,"starts":[]})", "x"), Error);
  EXPECT_THROW((void)read_run_record(R"({"format":1,"starts":[{}]})", "x"), Error);
  EXPECT_THROW((void)read_plan("[]", "x"), Error);
  EXPECT_THROW((void)read_run_evaluation(R"({"loss":"low"})", "x"), Error);
  train_one("run");
  const std::string plan = read_text(out("run") / "plan.json");
  std::string beyond = plan;
  const std::size_t at = beyond.rfind("\"last\": ");
  ASSERT_NE(at, std::string::npos);
  beyond.insert(at + 8, "9999");
  EXPECT_THROW((void)read_plan(beyond, "x"), Error) << "a buffer that lives behind the last step";
  std::string ragged = read_text(out("run") / "evaluation.json");
  const std::size_t row = ragged.find("[[");
  ragged.insert(row + 2, "1,");
  EXPECT_THROW((void)read_run_evaluation(ragged, "x"), Error) << "a confusion matrix that is no square";
}

}  // namespace
}  // namespace snug
