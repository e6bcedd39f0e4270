#include <fmt/format.h>

#include "backend/backend.h"
#include "check/check.h"
#include "cli/calibrate.h"
#include "cli/checked.h"
#include "cli/command.h"
#include "cli/common.h"
#include "cli/target.h"
#include "report/findings.h"
#include "report/terminal.h"

namespace snug {

namespace {

/// The last stage: does the run fit?
void check_memory(const Config& config, CheckedRun& checked, const Target& target, const Arguments& arguments) {
  collect(checked.findings, [&] {
    const RunSetup setup = take_setup(config, checked);
    const int threads = thread_count(arguments);
    if (!target.profile) ensure_cpu_rates(threads);
    const Planning planning = planning_for(target, config, threads);
    const Plan plan =
        plan_run(config, setup, planning.memory, *planning.make_backend(), plan_options(target, planning, threads));
    if (!plan.report.fits) checked.findings.push_back(does_not_fit(config, plan.report));
  });
}

std::string text_of(const Arguments& arguments, const CheckedRun& checked) {
  const std::string text = findings_text(checked.findings, use_colour(Stream::out));
  return arguments.has("quiet") ? text : text + findings_count(checked.findings) + "\n";
}

int run(const Arguments& arguments) {
  (void)config_options(arguments);  // usage comes first, and is no finding on a config
  (void)thread_count(arguments);
  std::vector<Diagnostic> device;
  Target target;
  collect(device, [&] { target = plan_target(arguments); });
  CheckedRun checked;
  // What is wrong with the config itself is a result of `check` like any other.
  collect(checked.findings, [&] {
    const Config config = read_config(arguments.positional()[0], arguments);
    checked = check_run(config, arguments, target.processor);
    if (!has_errors(checked.findings) && device.empty()) check_memory(config, checked, target, arguments);
  });
  checked.findings.insert(checked.findings.end(), device.begin(), device.end());
  order_by_place(checked.findings);
  fix_options(checked.findings);
  print_result(arguments, findings_json(checked.findings), text_of(arguments, checked));
  return exit_code(checked.findings);
}

}  // namespace

Command check_command() {
  return {.name = "check",
          .arguments = "CONFIG",
          .summary = "everything that is wrong with a config, its data and its memory, before anything runs",
          .example = "snug check configs/quickstart.toml",
          .least_arguments = 1,
          .most_arguments = 1,
          .options = {kSetOption, kDataRootOption, kEpochsOption, kDeviceOption, kThreadsOption},
          .run = run};
}

}  // namespace snug
