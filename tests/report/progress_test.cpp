#include "report/progress.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "report/table.h"

namespace snug {
namespace {

/// A console whose text and clock the test holds.
struct Console {
  std::string text;
  double now = 0;
  std::unique_ptr<Reporter> reporter;

  explicit Console(bool rewrite, int width = 80)
      : reporter(make_console_reporter({.epochs = 12,
                                        .rewrite = rewrite,
                                        .width = width,
                                        .write = [this](std::string_view piece) { text += piece; },
                                        .now_seconds = [this] { return now; }})) {}
  void progress(std::int64_t step) {
    reporter->on_event(ProgressEvent{.epoch = 1,
                                     .epochs = 12,
                                     .step = step,
                                     .steps = 100,
                                     .loss = 0.5,
                                     .images_per_second = 2865.4,
                                     .eta_seconds = 75,
                                     .memory_bytes = 64 << 20});
  }
  void epoch() {
    reporter->on_event(EpochEvent{.epoch = 1,
                                  .train_loss = 0.25,
                                  .train_accuracy = 0.9,
                                  .val_loss = 0.2,
                                  .val_accuracy = 0.95,
                                  .images_per_second = 3000,
                                  .lr = 0.1});
  }
};

TEST(Progress, OnATerminalOneLineIsWrittenOver) {
  Console console(true);
  console.progress(1);
  console.progress(2);
  EXPECT_EQ(console.text,
            "\r\x1b[Kepoch 1/12  step 1/100  loss 0.5000  2,865 img/s  64.0 MiB  1 min 15 s left"
            "\r\x1b[Kepoch 1/12  step 2/100  loss 0.5000  2,865 img/s  64.0 MiB  1 min 15 s left");
}

TEST(Progress, TheEpochsLineReplacesTheProgressLine) {
  Console console(true);
  console.progress(1);
  console.text.clear();
  console.epoch();
  EXPECT_EQ(console.text,
            "\r\x1b[Kepoch  1/12  loss 0.2500  accuracy 90.00 %  val loss 0.2000  val accuracy 95.00 %  3,000 img/s\n");
}

TEST(Progress, ANarrowTerminalNeverWraps) {
  Console console(true, 20);
  console.progress(1);
  EXPECT_EQ(display_width(console.text), std::string("\r\x1b[K").size() + 19);
}

TEST(Progress, InALogThereIsALineEveryTenSecondsAndNoEscape) {
  Console console(false);
  for (int tenth = 0; tenth <= 250; ++tenth) {
    console.now = 0.1 * tenth;
    console.progress(tenth);
  }
  EXPECT_EQ(std::ranges::count(console.text, '\n'), 2);
  EXPECT_EQ(console.text.find_first_of("\r\x1b"), std::string::npos);
}

TEST(Progress, FindingsAndTheEndAreTold) {
  Console console(false);
  console.reporter->on_event(
      FindingEvent{{.code = "T201", .severity = Severity::warning, .where = "a", .what = "w", .fix = "f"}});
  console.epoch();
  console.reporter->on_event(
      DoneEvent{.epochs = 12, .best_val_accuracy = 0.95, .planned_peak_bytes = 1 << 20, .checkpoint = "runs/x"});
  EXPECT_NE(console.text.find("warning T201 at a\n  w\n  fix: f\n"), std::string::npos);
  EXPECT_NE(console.text.find("done: 12 epochs, best val accuracy 95.00 %"), std::string::npos);
  EXPECT_NE(console.text.find("checkpoint: runs/x\n"), std::string::npos);
}

TEST(JsonReporter, WritesOneObjectALineAndNoProgress) {
  std::string text;
  const auto reporter = make_json_reporter([&](std::string_view piece) { text += piece; });
  reporter->on_event(ProgressEvent{});
  EXPECT_EQ(text, "");
  reporter->on_event(StepEvent{.step = 3, .loss = 0.5, .lr = 0.25});
  EXPECT_EQ(text, "{\"event\":\"step\",\"step\":3,\"loss\":0.5,\"lr\":0.25}\n");
}

TEST(QuietReporter, TellsWarningsAndErrorsAlone) {
  std::string text;
  const auto reporter = make_quiet_reporter([&](std::string_view piece) { text += piece; });
  reporter->on_event(EpochEvent{});
  reporter->on_event(FindingEvent{{.code = "D1", .severity = Severity::note, .what = "n", .fix = "f"}});
  EXPECT_EQ(text, "");
  reporter->on_event(FindingEvent{{.code = "D2", .severity = Severity::warning, .what = "w", .fix = "f"}});
  EXPECT_NE(text.find("warning D2"), std::string::npos);
}

}  // namespace
}  // namespace snug
