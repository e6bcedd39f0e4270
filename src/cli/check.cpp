#include <filesystem>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "backend/backend.h"
#include "base/text.h"
#include "check/check.h"
#include "cli/calibrate.h"
#include "cli/checked.h"
#include "cli/command.h"
#include "cli/common.h"
#include "cli/next_step.h"
#include "cli/target.h"
#include "data/findings.h"
#include "report/findings.h"
#include "report/terminal.h"

namespace snug {

namespace {

/// Data that are more than memory holds stream from the disk: as fast as that is.
void tell_streaming(const Config& config, const RunSetup& setup, std::vector<Diagnostic>& findings) {
  const std::int64_t bytes = mapped_bytes(setup.splits);
  const std::int64_t free_bytes = cpu_memory().free_bytes;
  if (bytes <= free_bytes / 2 || config.data.cache == CacheMode::ram) return;
  findings.push_back({.code = "M615",
                      .severity = Severity::note,
                      .where = to_string(config.where("data.train")),
                      .what = fmt::format("the data are {}, {} of memory are free: they stream from the disk in every "
                                          "epoch",
                                          format_bytes(bytes), format_bytes(free_bytes)),
                      .fix = "np.save(\"x.npy\", x.astype(np.uint8))   # smaller types, or snug data pack"});
}

/// Checkpoints go into runs/ below this folder.
void tell_disk(const Config& config, const RunSetup& setup, std::vector<Diagnostic>& findings) {
  std::error_code error;
  const auto space = std::filesystem::space(std::filesystem::current_path(error), error);
  const std::int64_t needed = checkpoint_bytes(config, setup.graph);
  if (error || std::cmp_greater_equal(space.available, needed)) return;
  findings.push_back({.code = "M616",
                      .where = to_string(config.where("model")),
                      .what = fmt::format("checkpoints take {} of disk, {} are free in {}", format_bytes(needed),
                                          format_bytes(static_cast<std::int64_t>(space.available)),
                                          shorten(std::filesystem::current_path(error).string(), 60)),
                      .fix = "snug train CONFIG --out DIR   # on a disk with more space"});
}

/// The last stage: does the run fit? A run with errors is planned too, as far as that goes, for what memory says of it.
void check_memory(const Config& config, CheckedRun& checked, const Target& target, const Arguments& arguments) {
  if (!checked.splits || !checked.graph.complete) return;
  const bool faulty = has_errors(checked.findings);
  std::vector<Diagnostic> findings;
  collect(findings, [&] {
    const RunSetup setup = take_setup(config, checked);
    tell_streaming(config, setup, findings);
    tell_disk(config, setup, findings);
    const int threads = thread_count(arguments);
    if (!target.profile) ensure_cpu_rates(threads);
    const Planning planning = planning_for(target, config, threads);
    const auto plan = [&](const Config& run, const RunSetup& with) {
      const Plan made =
          plan_run(run, with, planning.memory, *planning.make_backend(), plan_options(target, planning, threads));
      if (!made.report.fits) findings.push_back(does_not_fit(run, made.report));
    };
    const std::size_t before = findings.size();
    collect(findings, [&] { plan(config, setup); });
    // Images that memory does not hold do not hide what the network needs beside them.
    if (findings.size() == before || findings.back().code != "M614") return;
    Config streamed = config;
    streamed.data.cache = CacheMode::stream;
    plan(streamed, make_setup(streamed));  // opened anew: data that are kept in memory count as such
  });
  // What the set-up says of faulty data or settings has been said.
  if (faulty) std::erase_if(findings, [](const Diagnostic& finding) { return !finding.code.starts_with('M'); });
  apply_strict(arguments, findings);
  checked.findings.insert(checked.findings.end(), findings.begin(), findings.end());
}

std::string text_of(const Arguments& arguments, const CheckedRun& checked) {
  const std::string text = findings_text(checked.findings, use_colour(Stream::out));
  return arguments.has("quiet") ? text : text + findings_count(checked.findings) + "\n";
}

/// A GPU that was only planned for cannot be trained on.
bool can_train_on(const std::optional<std::string>& device) {
  return !device || *device == "cpu" || device->starts_with("cuda");
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
    const Config config = read_sound_parts(arguments.positional()[0], arguments);
    checked = check_run(config, arguments, target.processor, {.full = arguments.has("full")});
    if (device.empty() && !config.faulty.any()) {
      measure_run(config, arguments, checked, arguments.has("deep"));
      check_memory(config, checked, target, arguments);
    }
  });
  checked.findings.insert(checked.findings.end(), device.begin(), device.end());
  order_by_place(checked.findings);
  fix_options(checked.findings);
  print_result(arguments, findings_json(checked.findings), text_of(arguments, checked));
  if (!has_errors(checked.findings) && can_train_on(arguments.text("device")))
    suggest_training(arguments, "train; Ctrl-C saves, and --resume goes on");
  return exit_code(checked.findings);
}

}  // namespace

Command check_command() {
  return {.name = "check",
          .arguments = "CONFIG",
          .summary = "everything that is wrong with a config, its data and its memory, before anything runs",
          .example = "snug check configs/quickstart.toml",
          .more = {"snug check config.toml --deep   # also trains a little: can the network learn this?",
                   "snug check config.toml --device rtx4090   # would it fit there?"},
          .least_arguments = 1,
          .most_arguments = 1,
          .options = {{"full", "", "look at every image, however long it takes"},
                      {"deep", "", "train a little: can it learn a batch, do labels belong to their images"},
                      kSetOption,
                      kDataRootOption,
                      kEpochsOption,
                      kPlanDeviceOption,
                      kThreadsOption},
          .run = run};
}

}  // namespace snug
