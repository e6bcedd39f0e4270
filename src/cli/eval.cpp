#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/text.h"
#include "cli/command.h"
#include "cli/common.h"
#include "cli/next_step.h"
#include "data/findings.h"
#include "report/reports.h"
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

int run(const Arguments& arguments) {
  require_cpu(arguments, DeviceUse::train);
  require_checkpoint(arguments.positional()[0]);
  EvalOptions options{.config = {},
                      .changes = config_options(arguments),
                      .split = read_split(arguments),
                      .batch = 0,
                      .threads = thread_count(arguments)};
  if (const auto config = arguments.text("config")) options.config = read_config(*config, arguments);
  const EvalResult result = evaluate(arguments.positional()[0], options);
  print_result(arguments, to_json(result), to_text(result));
  suggest_predicting(arguments, arguments.positional()[0]);
  return 0;
}

}  // namespace

Command eval_command() {
  return {.name = "eval",
          .arguments = "CHECKPOINT",
          .summary = "loss, accuracy and per-class metrics of a checkpoint or run folder",
          .example = "snug eval runs/quickstart-1 --split val",
          .least_arguments = 1,
          .most_arguments = 1,
          .options = {{"config", "FILE", "data and settings from here instead of the checkpoint's own"},
                      {"split", "NAME", "train, val or test (val)"},
                      kSetOption,
                      kDataRootOption,
                      kDeviceOption,
                      kThreadsOption},
          .run = run};
}

}  // namespace snug
