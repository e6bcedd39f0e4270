#include "cli/calibrate.h"
#include "cli/command.h"
#include "cli/common.h"
#include "cli/conditions.h"
#include "cli/signals.h"
#include "cli/target.h"
#include "report/bench.h"

namespace snug {

namespace {

int run(const Arguments& arguments) {
  const int threads = thread_count(arguments);
  const Computer computer = run_target(arguments).value_or(this_computer(threads));
  DeviceBench bench{.conditions = conditions_here("bench device", arguments, threads)};
  const StopSignals signals;
  measure_device(*computer.make_backend({}), bench, computer.processor, computer.device, &StopSignals::flag());
  print_result(arguments, to_json(bench), to_text(bench));
  return bench.interrupted ? kInterrupted : 0;
}

}  // namespace

Command bench_device_command() {
  return {.name = "bench device",
          .arguments = "",
          .summary = "what this device can do: copies in memory and caches, matrix products by type",
          .example = "snug bench device --json",
          .options = {kComputeDeviceOption, kThreadsOption},
          .run = run};
}

}  // namespace snug
