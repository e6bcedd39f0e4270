#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/text.h"
#include "cli/command.h"
#include "cli/common.h"
#include "report/reports.h"
#include "snug/trainer.h"

namespace snug {

namespace {

std::string read_split(const Arguments& arguments) {
  static const std::vector<std::string> kSplits{"train", "val", "test"};
  const std::string split = arguments.text("split").value_or("val");
  if (std::ranges::find(kSplits, split) != kSplits.end()) return split;
  const auto near = nearest(split, kSplits);
  throw Error({.code = "C912",
               .where = "--split",
               .what = fmt::format("--split is train, val or test, not '{}'", split),
               .fix = fmt::format("--split {}", near.value_or("val"))});
}

/// Without --config the checkpoint's own config counts, which options cannot change.
void require_config_for(const Arguments& arguments) {
  if (arguments.has("config")) return;
  for (const std::string_view option : {"set", "data-root"}) {
    if (!arguments.has(option)) continue;
    throw Error({.code = "C913",
                 .where = fmt::format("--{}", option),
                 .what = fmt::format("--{} changes a config, and none is given", option),
                 .fix = fmt::format("--config RUN/config.toml --{} …", option)});
  }
}

int run(const Arguments& arguments) {
  require_cpu(arguments, DeviceUse::train);
  require_config_for(arguments);
  EvalOptions options{.config = {}, .split = read_split(arguments), .batch = 0, .threads = thread_count(arguments)};
  if (const auto config = arguments.text("config")) options.config = read_config(*config, arguments);
  const EvalResult result = evaluate(arguments.positional()[0], options);
  print_result(arguments, to_json(result), to_text(result));
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
