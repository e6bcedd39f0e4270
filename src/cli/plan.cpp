#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "backend/backend.h"
#include "base/text.h"
#include "check/check.h"
#include "cli/calibrate.h"
#include "cli/checked.h"
#include "cli/command.h"
#include "cli/common.h"
#include "cli/holders.h"
#include "cli/plan_files.h"
#include "cli/plan_problem.h"
#include "cli/target.h"
#include "report/reports.h"
#include "train/event_json.h"

namespace snug {

namespace {

[[noreturn]] void throw_option(const std::string& option, const std::string& text, std::string_view expected,
                               std::string_view example) {
  throw Error({.code = "C904",
               .where = "--" + option,
               .what = fmt::format("--{} expects {}, got '{}'", option, expected, text),
               .fix = fmt::format("--{} {}", option, example)});
}

BatchChoice parse_batch(const std::string& text) {
  if (text == "auto") return {.kind = BatchChoice::Kind::automatic, .number = 0};
  if (text == "max") return {.kind = BatchChoice::Kind::maximum, .number = 0};
  const auto number = parse_integer(text);
  if (!number || *number < 1) throw_option("batch", text, "a whole number of at least 1, auto or max", "128");
  return {.kind = BatchChoice::Kind::number, .number = *number};
}

Budget parse_budget(const std::string& text) {
  if (text.ends_with('%')) {
    const auto percent = parse_number(std::string_view(text).substr(0, text.size() - 1));
    if (percent && *percent > 0 && *percent <= 100) return {.fraction = *percent / 100, .bytes = {}};
  } else if (const auto bytes = parse_size_bytes(text); bytes && *bytes > 0) {
    return {.fraction = 1, .bytes = bytes};
  }
  throw_option("budget", text, "a size or a share of the free memory", "20GiB");
}

std::optional<std::int64_t> parse_arena_budget(const Arguments& arguments) {
  const auto text = arguments.text("arena-budget");
  if (!text) return std::nullopt;
  const auto bytes = parse_size_bytes(*text);
  if (!bytes || *bytes == 0) throw_option("arena-budget", *text, "a size", "16GiB");
  return bytes;
}

RunSetup setup_for_plan(const Config& config, CheckedRun& checked) {
  if (checked.splits && checked.splits->train != nullptr) return take_setup(config, checked);
  return setup_without_data(config, std::move(checked.graph), checked.findings);
}

/// Others matter when what they hold is missing: not when the user's own number is the bound.
void add_holders(const Config& config, PlanReport& report, std::string_view device) {
  if (report.fits) return;
  if (config.memory.budget.bytes && report.total_bytes <= report.free_bytes) return;
  report.processes = memory_holders(device);
}

/// The smallest of the larger cards on which the same run fits with nothing done to make it fit.
std::vector<std::string> larger_cards(const Config& config, const RunSetup& setup, const DeviceProfile& here,
                                      const PlanReport& refused, int threads) {
  constexpr std::size_t kMostCards = 3;
  std::vector<DeviceProfile> profiles = installed_profiles();
  std::ranges::stable_sort(profiles, {}, [](const DeviceProfile& profile) { return profile.usable_bytes.value; });
  std::vector<std::string> names;
  for (DeviceProfile& profile : profiles) {
    const std::int64_t usable = profile.usable_bytes.value;
    if (names.size() == kMostCards) break;
    if (usable <= here.usable_bytes.value || usable < refused.total_bytes) continue;
    const std::string name = profile.name;
    const Target card = target_of(std::move(profile));
    if (cannot_compute(config.train.precision, card.processor)) continue;
    const Planning planning = planning_for(card, config, threads);
    PlanRunOptions options = plan_options(card, planning, threads);
    options.batch = refused.batch;
    options.alone = true;
    std::vector<Diagnostic> beyond;  // what cuDNN can address
    collect(beyond, [&] {
      if (plan_run(config, setup, planning.memory, *planning.make_backend(), options).report.fits)
        names.push_back(name);
    });
  }
  return names;
}

std::vector<BatchPoint> plan_batches(const Config& config, const RunSetup& setup, const DeviceMemory& device,
                                     const PlanReport& chosen, PlanRunOptions options) {
  options.alone = true;
  std::vector<BatchPoint> points;
  for (const std::int64_t batch : shown_batches(chosen.batch, chosen.max_batch)) {
    options.batch = batch;
    std::vector<Diagnostic> refused;  // beyond what the library counts up to there is nothing to show
    collect(refused, [&] {
      const PlanReport report = plan_run(config, setup, device, *options.trial_backend(), options).report;
      points.push_back({.batch = batch, .total_bytes = report.total_bytes, .fits = report.fits});
    });
  }
  return points;
}

int run(const Arguments& arguments) {
  if (arguments.has("problem")) return run_plan_problem(arguments);
  refuse_problem_options(arguments);
  PlanFiles files(arguments);
  std::vector<Diagnostic> device;
  Target target;
  collect(device, [&] { target = plan_target(arguments); });
  std::optional<Config> read;
  collect(device, [&] { read = read_config(arguments.positional()[0], arguments, true); });
  if (!read) throw Error(device);
  Config config = *std::move(read);
  if (const auto batch = arguments.text("batch")) config.train.batch = parse_batch(*batch);
  if (const auto budget = arguments.text("budget")) config.memory.budget = parse_budget(*budget);
  const auto arena_budget = parse_arena_budget(arguments);
  const int threads = thread_count(arguments);

  CheckedRun checked = check_run(config, arguments, target.processor);
  if (only_data_missing(checked)) {
    std::erase_if(checked.findings, [](const Diagnostic& finding) { return finding.severity == Severity::error; });
    checked.findings.push_back({.code = "D901",
                                .severity = Severity::note,
                                .where = to_string(config.where("data")),
                                .what = "planned without the data: the number of images and host memory are unknown",
                                .fix = "give their folder: --data-root DIR"});
  }
  checked.findings.insert(checked.findings.end(), device.begin(), device.end());
  if (has_errors(checked.findings)) throw Error(checked.findings);
  const RunSetup setup = setup_for_plan(config, checked);
  if (!target.profile && !arguments.has("no-measure")) ensure_cpu_rates(threads);
  const Planning planning = planning_for(target, config, threads);
  // What would fit is the question, whatever the data: the number of samples does not bound the batch.
  PlanRunOptions options = plan_options(target, planning, threads);
  options.arena_budget_bytes = arena_budget;
  options.batch_limit = kBatchLimit;
  Plan plan = plan_run(config, setup, planning.memory, *planning.make_backend(), options);
  if (!target.profile) add_holders(config, plan.report, "cpu");
  if (target.profile && !plan.report.fits && !config.memory.budget.bytes && !arena_budget)
    plan.report.fits_on = larger_cards(config, setup, *target.profile, plan.report, threads);
  PlanPage page{.findings = checked.findings};
  if (!plan.report.fits) page.findings.push_back(does_not_fit(config, plan.report));
  if (files.wants_page()) page.batches = plan_batches(config, setup, planning.memory, plan.report, options);
  files.write(config, arguments, plan, std::move(page));
  print_result(arguments, plan_json(plan.report), to_text(plan.report, config.name));
  show_asides(arguments, checked.findings);
  return plan.report.fits ? 0 : 4;
}

}  // namespace

Command plan_command() {
  return {.name = "plan",
          .arguments = "CONFIG",
          .summary = "the byte plan: totals, parts, the step at which memory peaks",
          .example = "snug plan configs/quickstart.toml --batch 256",
          .more = {"snug plan config.toml --batch max --budget 4GiB   # the largest batch in 4 GiB",
                   "snug plan config.toml --report plan.html   # the memory as a picture"},
          .least_arguments = 1,
          .most_arguments = 1,
          .instead = "problem",
          .options = {{"batch", "N", "a number, auto or max, instead of the config's train.batch", "auto max"},
                      {"budget", "SIZE", "20GiB or 90% of the free memory, for the total; host memory is beside it"},
                      {"arena-budget", "SIZE", "16GiB, for weights, activations and input alone"},
                      {"report", "FILE.html", "write the plan as a page: floor plan, memory, batches, layers"},
                      {"no-measure", "", "do not measure this processor where that was not done before: no times then"},
                      {"timeline", "FILE.csv", "write a line for every step: bytes alive, FLOP, bytes moved"},
                      kSetOption,
                      kDataRootOption,
                      kPlanDeviceOption,
                      kThreadsOption,
                      kProblemOptions[0],
                      kProblemOptions[1],
                      kProblemOptions[2],
                      kProblemOptions[3]},
          .run = run};
}

}  // namespace snug
