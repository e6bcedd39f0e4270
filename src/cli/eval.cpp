#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "base/text.h"
#include "cli/command.h"
#include "cli/common.h"
#include "cli/next_step.h"
#include "cli/output_file.h"
#include "cli/target.h"
#include "data/findings.h"
#include "report/evaluation_report.h"
#include "snug/trainer.h"

namespace snug {

namespace {

std::string read_split(const Arguments& arguments) {
  static const std::vector<std::string> kSplits{"train", "val", "test"};
  std::string split = arguments.text("split").value_or("val");
  if (std::ranges::find(kSplits, split) != kSplits.end()) return split;
  const auto near = nearest(split, kSplits);
  throw Error({.code = "C912",
               .where = "--split",
               .what = fmt::format("--split is train, val or test, not '{}'", split),
               .fix = fmt::format("--split {}", near.value_or("val"))});
}

void require_checkpoint(const std::string& path) {
  if (!path.ends_with(".toml")) return;
  throw Error({.code = "C913",
               .where = path,
               .what = fmt::format("{} is a config; eval takes a checkpoint or a run folder", brief_name(path)),
               .fix = fmt::format("snug eval RUN --config {}", path)});
}

/// Without mistakes there is nothing to draw, and that is said.
void write_sheet(const Arguments& arguments, const Evaluation& evaluation, AtomicFile& file) {
  constexpr std::size_t kMostPictures = 36;
  const Picture sheet = mistakes_sheet(evaluation, kMostPictures);
  if (sheet.pixels.empty()) {
    show_asides(arguments, {{.code = "C919",
                             .severity = Severity::note,
                             .where = "--mistakes",
                             .what = "every prediction is right: there is no mistake to draw, and no file was written",
                             .fix = "--csv outcomes.csv   # has every sample with its probability"}});
    return;
  }
  file.write(encode_png(sheet));
  file.commit();
}

int run(const Arguments& arguments) {
  require_checkpoint(arguments.positional()[0]);
  EvalOptions options{.config = {},
                      .changes = config_options(arguments),
                      .split = read_split(arguments),
                      .batch = 0,
                      .threads = thread_count(arguments),
                      .outcomes = true};
  if (const auto config = arguments.text("config")) options.config = read_config(*config, arguments);
  std::optional<AtomicFile> csv;
  std::optional<AtomicFile> sheet;
  open_output(arguments, "csv", "outcomes.csv", csv);
  open_output(arguments, "mistakes", "mistakes.png", sheet);
  const Evaluation evaluation = evaluate_split(arguments.positional()[0], options, run_target(arguments));
  if (csv) {
    csv->write(outcomes_csv(evaluation));
    csv->commit();
  }
  if (sheet) write_sheet(arguments, evaluation, *sheet);
  print_result(arguments, evaluation_json(evaluation), evaluation_text(evaluation));
  suggest_predicting(arguments, arguments.positional()[0]);
  return 0;
}

}  // namespace

Command eval_command() {
  return {.name = "eval",
          .arguments = "CHECKPOINT",
          .summary = "loss, accuracy and per-class metrics of a checkpoint or run folder",
          .example = "snug eval runs/quickstart-1 --split val --mistakes mistakes.png",
          .more = {"snug eval runs/quickstart-1 --split test --csv outcomes.csv   # every sample, for a spreadsheet"},
          .least_arguments = 1,
          .most_arguments = 1,
          .options = {{"config", "FILE", "data and settings from here instead of the checkpoint's own"},
                      {"split", "NAME", "train, val or test (val)", "train val test"},
                      {"csv", "FILE.csv", "write a line for every sample: file, truth, prediction, probability, loss"},
                      {"mistakes", "FILE.png", "draw the worst mistakes on one sheet"},
                      kSetOption,
                      kDataRootOption,
                      kComputeDeviceOption,
                      kThreadsOption},
          .run = run};
}

}  // namespace snug
