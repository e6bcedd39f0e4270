#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cli/checked.h"
#include "cli/command.h"
#include "cli/common.h"
#include "cli/conditions.h"
#include "cli/loader_bench.h"
#include "cli/signals.h"
#include "report/bench.h"

namespace snug {

namespace {

constexpr std::int64_t kDefaultBatch = 128;
constexpr std::int64_t kDefaultSeconds = 3;

int run(const Arguments& arguments) {
  const auto batch = arguments.integer("batch", 1);
  const std::int64_t seconds = arguments.integer("seconds", 1).value_or(kDefaultSeconds);
  Config config = read_config(arguments.positional()[0], arguments);
  if (const auto workers = arguments.integer("workers", 1)) config.data.workers = *workers;
  CheckedRun checked = check_run(config, arguments);
  if (has_errors(checked.findings)) throw Error(checked.findings);
  const RunSetup setup = take_setup(config, checked);
  const Conditions conditions = conditions_here("bench loader", arguments, 0);
  const std::int64_t samples = setup.splits.train->info().samples;
  const bool number = config.train.batch.kind == BatchChoice::Kind::number;
  const std::int64_t asked = batch.value_or(number ? config.train.batch.number : kDefaultBatch);
  if (batch && *batch > samples) {
    throw Error({.code = "C904",
                 .where = "--batch",
                 .what = fmt::format("--batch is {}, data.train has {} images", *batch, samples),
                 .fix = fmt::format("--batch {}", std::min(kDefaultBatch, samples))});
  }
  const StopSignals signals;
  LoaderBench bench =
      measure_loader(config, setup, std::min(asked, samples), static_cast<double>(seconds), &StopSignals::flag());
  bench.conditions = conditions;
  bench.conditions.threads = bench.workers;
  print_result(arguments, to_json(bench), to_text(bench));
  show_asides(arguments, checked.findings);
  return bench.interrupted ? kInterrupted : 0;
}

}  // namespace

Command bench_loader_command() {
  return {.name = "bench loader",
          .arguments = "CONFIG",
          .summary = "the speed of the input alone: reading, decoding, augmenting, into batches",
          .example = "snug bench loader configs/quickstart.toml --batch 128",
          .least_arguments = 1,
          .most_arguments = 1,
          .options = {{"batch", "N", "instead of the config's train.batch (128 where that is auto)"},
                      {"workers", "N", "instead of the config's data.workers"},
                      {"seconds", "S", "how long (3)"},
                      kSetOption,
                      kDataRootOption},
          .run = run};
}

}  // namespace snug
