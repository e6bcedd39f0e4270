#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "check/check.h"
#include "cli/bench_network.h"
#include "cli/calibrate.h"
#include "cli/checked.h"
#include "cli/command.h"
#include "cli/common.h"
#include "cli/conditions.h"
#include "cli/signals.h"
#include "cli/target.h"
#include "report/bench.h"

namespace snug {

namespace {

constexpr std::int64_t kDefaultSteps = 20;

int run(const Arguments& arguments) {
  const auto begin = std::chrono::steady_clock::now();
  const std::optional<Computer> computer = run_target(arguments);
  const bool turns = arguments.has("turns");
  const auto steps = arguments.integer("steps", 1);
  if (turns && steps) {
    throw Error({.code = "C917",
                 .where = "--steps",
                 .what = "--turns reads numbers of steps from standard input: --steps says nothing then",
                 .fix = "leave one of --turns and --steps out"});
  }
  Config config = read_config(arguments.positional()[0], arguments, true);
  if (const auto batch = arguments.integer("batch", 1))
    config.train.batch = {.kind = BatchChoice::Kind::number, .number = *batch};
  std::vector<Diagnostic> findings;
  Graph graph = build_graph(config.model, findings);
  for (Diagnostic& finding : check_config(config, graph, computer ? computer->processor : this_processor()))
    findings.push_back(std::move(finding));
  apply_strict(arguments, findings);
  if (has_errors(findings)) throw Error(findings);
  const RunSetup setup = setup_without_data(config, std::move(graph), findings);
  if (has_errors(findings)) throw Error(findings);
  const int threads = thread_count(arguments);
  if (!computer) ensure_cpu_rates(threads);
  const Conditions conditions = conditions_here("bench model", arguments, threads);
  BenchNetwork network(
      config, setup,
      {.threads = threads, .computer = computer, .gpu = gpu_number_of(arguments), .stop = &StopSignals::flag()});
  if (turns) {
    take_turns(network);
    return 0;
  }
  const StopSignals signals;
  const std::chrono::duration<double> ready = std::chrono::steady_clock::now() - begin;
  BenchReport report = measure_steps(network, steps.value_or(kDefaultSteps));
  report.conditions = conditions;
  report.start.seconds = ready.count() + report.start.first_step_seconds;
  print_result(arguments, to_json(report), to_text(report));
  return report.interrupted ? kInterrupted : 0;
}

}  // namespace

Command bench_model_command() {
  return {.name = "bench model",
          .arguments = "CONFIG",
          .summary =
              "the speed of a training step on random images: img/s, its spread, shares of the limits, time by layer",
          .example = "snug bench model configs/quickstart.toml --batch 128",
          .least_arguments = 1,
          .most_arguments = 1,
          .options = {{"batch", "N", "instead of the config's train.batch"},
                      {"steps", "N", "steps to time (20)"},
                      {"turns", "", "read numbers of steps from standard input, one a line; answer each with JSON"},
                      kSetOption,
                      kDataRootOption,
                      kComputeDeviceOption,
                      kThreadsOption},
          .run = run};
}

}  // namespace snug
