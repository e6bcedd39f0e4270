#include "train/run_folder.h"

#include <gtest/gtest.h>

#include "snug/diagnostic.h"
#include "train/fake_tensors.h"
#include "train/state.h"
#include "train/test_folder.h"

namespace snug {
namespace {

namespace fs = std::filesystem;

class RunFolders : public testing::Test {
 protected:
  fs::path make(const std::string& name) { return make_run_folder({}, name, runs_); }
  static void finish(const fs::path& folder, bool finished) {
    const Graph graph = small_graph();
    FakeTensors tensors(graph, {});
    write_state(folder / "last.state", graph, tensors,
                {.steps_per_epoch = 1, .batch = 1, .samples = 1, .finished = finished});
  }
  TestFolder folder_;
  fs::path runs_ = folder_.path() / "runs";
};

TEST_F(RunFolders, are_numbered_from_one) {
  EXPECT_EQ(make("mnist"), runs_ / "mnist-1");
  EXPECT_EQ(make("mnist"), runs_ / "mnist-2");
  EXPECT_EQ(make("mnist-2"), runs_ / "mnist-2-1");
  EXPECT_EQ(make("a/b"), runs_ / "a-b-1");
  fs::create_directory(runs_ / "mnist-9");
  fs::create_directory(runs_ / "mnist-010");
  fs::create_directory(runs_ / "mnist-x");
  EXPECT_EQ(make("mnist"), runs_ / "mnist-10");
}

TEST_F(RunFolders, an_out_that_exists_is_refused_unless_the_run_goes_on) {
  const fs::path out = folder_.path() / "deep" / "out";
  const RunChoice fresh = choose_run_folder(out, false, "x", runs_);
  EXPECT_FALSE(fresh.exists);
  EXPECT_EQ(make_run_folder(fresh, "x", runs_), out);
  EXPECT_TRUE(fs::is_directory(out));
  EXPECT_TRUE(choose_run_folder(out, true, "x", runs_).exists);
  EXPECT_FALSE(choose_run_folder(folder_.path() / "new", true, "x", runs_).exists);
  for (const fs::path& again : {out, out / ""}) {
    try {
      (void)choose_run_folder(again, false, "x", runs_);
      FAIL() << again;
    } catch (const Error& error) {
      EXPECT_EQ(exit_code(error.findings()), 2);
    }
  }
}

TEST_F(RunFolders, an_out_with_a_slash_behind_is_made_too) {
  const RunChoice choice = choose_run_folder(folder_.path() / "new" / "", false, "x", runs_);
  EXPECT_TRUE(fs::is_directory(make_run_folder(choice, "x", runs_)));
}

TEST_F(RunFolders, what_cannot_be_made_is_a_finding) {
  EXPECT_THROW((void)make_run_folder({.folder = "/proc/none/x"}, "x", runs_), Error);
  write_text(folder_.path() / "file", "");
  EXPECT_THROW((void)make_run_folder({.folder = folder_.path() / "file" / "x"}, "x", runs_), Error);
  EXPECT_THROW((void)choose_run_folder(folder_.path() / "file", true, "x", runs_), Error);
}

TEST_F(RunFolders, resuming_takes_the_newest_that_has_not_ended) {
  EXPECT_TRUE(choose_run_folder({}, true, "m", runs_).folder.empty());
  for (int i = 0; i < 12; ++i) make("m");
  finish(runs_ / "m-12", true);
  finish(runs_ / "m-11", true);
  finish(runs_ / "m-10", false);
  EXPECT_EQ(choose_run_folder({}, true, "m", runs_).folder, runs_ / "m-10");
  finish(runs_ / "m-10", true);
  EXPECT_EQ(choose_run_folder({}, true, "m", runs_).folder, runs_ / "m-9") << "it never came to a checkpoint";
  EXPECT_TRUE(choose_run_folder({}, false, "m", runs_).folder.empty());
}

TEST_F(RunFolders, belong_to_one_process_at_a_time) {
  const fs::path folder = make("m");
  {
    const RunLock lock(folder);
    EXPECT_THROW(RunLock{folder}, Error);
  }
  EXPECT_NO_THROW(RunLock{folder});
}

TEST_F(RunFolders, logs_grow_and_are_cut_back) {
  const fs::path path = folder_.path() / "log";
  AppendFile(path).append("one\n");
  AppendFile log(path);
  log.append("two\n");
  EXPECT_EQ(log.size_bytes(), 8);
  log.cut(100);
  log.cut(4);
  log.append("3\n");
  log.sync();
  EXPECT_EQ(read_text(path), "one\n3\n");
}

}  // namespace
}  // namespace snug
