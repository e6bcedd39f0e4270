#include <fmt/format.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "cli/calibrate.h"
#include "cli/checked.h"
#include "cli/command.h"
#include "cli/common.h"
#include "cli/conditions.h"
#include "cli/next_step.h"
#include "cli/plan_files.h"
#include "cli/signals.h"
#include "cli/target.h"
#include "report/progress.h"
#include "report/terminal.h"
#include "snug/trainer.h"
#include "snug_commit.h"
#include "train/run_folder.h"

namespace snug {

namespace {

TrainOptions train_options(const Arguments& arguments) {
  TrainOptions options;
  options.out = arguments.text("out").value_or("");
  options.resume = arguments.has("resume");
  if (const auto init = arguments.text("init")) options.init = *init;
  options.max_steps = arguments.integer("max-steps", 1).value_or(0);
  options.log_every = arguments.integer("log-every", 1).value_or(0);
  options.threads = thread_count(arguments);
  options.stop = &StopSignals::flag();
  options.command = command_line("train", arguments);
  const VersionReport versions = version_report();
  options.versions = {{"snug", versions.version}, {"commit", kCommit}, {"compiler", versions.compiler}};
  for (const LibraryVersion& library : versions.libraries) options.versions.emplace_back(library.name, library.version);
  for (const std::string& architecture : versions.architectures) options.versions.emplace_back("on", architecture);
  options.at_end = write_run_page;
  return options;
}

std::unique_ptr<Reporter> make_reporter(const Arguments& arguments, const Config& config) {
  if (arguments.has("json")) return make_json_reporter([](std::string_view text) { write(Stream::out, text); });
  if (arguments.has("quiet")) return make_quiet_reporter([](std::string_view text) { write(Stream::error, text); });
  return make_console_reporter(console_options(config.train.epochs));
}

void suggest_after(const Arguments& arguments, const Config& config, const DoneEvent& done) {
  if (done.checkpoint.empty()) return;
  const std::filesystem::path run = std::filesystem::path(done.checkpoint).parent_path();
  show_report(arguments, run);
  if (!done.interrupted) {
    suggest_after_training(arguments, run, config.data.val || config.data.val_split > 0);
    return;
  }
  suggest_training(arguments, "go on where it stopped", {"--resume", "--out", run.string()});
}

/// Once events are written, what ends the run is one of them: a reader of lines meets nothing else.
int train_to_the_end(const Config& config, const TrainOptions& options, Reporter& reporter, CheckedRun& checked,
                     const std::optional<Computer>& computer, const Arguments& arguments) {
  const bool json = arguments.has("json");
  try {
    const DoneEvent done = train(config, options, reporter, take_setup(config, checked), computer);
    suggest_after(arguments, config, done);
    return done.interrupted ? kInterrupted : 0;
  } catch (...) {
    if (!json) throw;
    const std::vector<Diagnostic> findings = current_exception_findings();
    for (const Diagnostic& finding : findings) reporter.on_event(FindingEvent{finding});
    return exit_code(findings);
  }
}

int run(const Arguments& arguments) {
  TrainOptions options = train_options(arguments);
  std::vector<Diagnostic> device;
  std::optional<Computer> computer;
  collect(device, [&] { computer = run_target(arguments); });
  std::optional<Config> config;
  CheckedRun checked;
  collect(checked.findings, [&] {
    config = read_sound_parts(arguments.positional()[0], arguments);
    checked = check_run(*config, arguments, computer ? computer->processor : this_processor());
    // Of weights that come from elsewhere the first batch says nothing. It is tried on the processor in a process of
    // its own, which a process with a GPU must not begin.
    const bool on_cpu = !computer && device.empty();
    if (!options.resume && !options.init && on_cpu) measure_run(*config, arguments, checked);
    collect(checked.findings, [&] { (void)choose_run_folder(options.out, options.resume, config->name); });
  });
  checked.findings.insert(checked.findings.end(), device.begin(), device.end());
  if (!config || has_errors(checked.findings)) throw Error(checked.findings);

  options.findings = checked.findings;
  if (!computer) ensure_cpu_rates(options.threads);
  const StopSignals signals;
  const auto reporter = make_reporter(arguments, *config);
  for (const Diagnostic& finding : checked.findings) reporter->on_event(FindingEvent{finding});
  return train_to_the_end(*config, options, *reporter, checked, computer, arguments);
}

}  // namespace

Command train_command() {
  return {.name = "train",
          .arguments = "CONFIG",
          .summary = "check, plan and train; writes a run folder",
          .example = "snug train configs/quickstart.toml --epochs 3 --set train.optimizer.lr=0.1",
          .more = {"snug train config.toml --resume   # go on after Ctrl-C",
                   "snug train config.toml --init resnet18.safetensors   # fine-tune weights from PyTorch"},
          .least_arguments = 1,
          .most_arguments = 1,
          .options = {{"out", "DIR", "the run folder (runs/NAME-N)"},
                      {"resume", "", "go on with the run in --out, else with the newest unfinished one"},
                      {"init", "FILE", "begin with the weights of a .safetensors file"},
                      kEpochsOption,
                      {"max-steps", "N", "stop after N steps; the schedule stays that of the whole run"},
                      {"log-every", "N", "with --json: a step event every N steps instead of once a second"},
                      kSetOption,
                      kDataRootOption,
                      kComputeDeviceOption,
                      kThreadsOption},
          .run = run};
}

}  // namespace snug
