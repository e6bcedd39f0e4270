#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "cli/checked.h"
#include "cli/command.h"
#include "cli/common.h"
#include "report/runs.h"
#include "train/evaluation.h"
#include "train/safetensors.h"

namespace snug {

namespace {

constexpr Option kDirOption{"dir", "FOLDER", "where the run folders lie (runs)"};

std::string runs_folder(const Arguments& arguments) { return arguments.text("dir").value_or("runs"); }

/// RUN as it is written: a folder, or the name of one in --dir.
std::filesystem::path run_folder(const Arguments& arguments, const std::string& run) {
  if (is_run_folder(run)) return run;
  const std::filesystem::path below = std::filesystem::path(runs_folder(arguments)) / run;
  return is_run_folder(below) ? below : std::filesystem::path(run);
}

int list(const Arguments& arguments) {
  const std::vector<RunOverview> runs = list_runs(runs_folder(arguments));
  print_result(arguments, runs_json(runs), runs_text(runs, runs_folder(arguments)));
  return 0;
}

int show(const Arguments& arguments) {
  const RunDetails run = read_details(run_folder(arguments, arguments.positional()[0]));
  print_result(arguments, run_json(run), run_text(run));
  show_asides(arguments, run.unreadable);  // what else the folder holds was shown
  return 0;
}

int compare(const Arguments& arguments) {
  std::vector<RunDetails> runs;
  std::vector<Diagnostic> findings;
  for (const std::string& run : arguments.positional())
    collect(findings, [&] { runs.push_back(read_details(run_folder(arguments, run))); });
  if (!findings.empty()) throw Error(findings);
  const RunComparison comparison = compare_runs(runs);
  print_result(arguments, comparison_json(comparison), comparison_text(comparison));
  return 0;
}

/// Of a run that was killed, or is older than its evaluation: made now from its best checkpoint, where the data are.
void evaluate_missing(const Arguments& arguments, const std::filesystem::path& folder) {
  std::error_code ignored;
  if (std::filesystem::exists(folder / "evaluation.json", ignored)) return;
  std::vector<Diagnostic> findings;
  collect(findings, [&] {
    const Evaluation done =
        evaluate_split(folder, {.config = {}, .changes = {}, .threads = thread_count(arguments), .outcomes = true});
    const RunEvaluation kept = run_evaluation(done.result, done.epoch, *done.data, done.classes);
    guard_writing(folder, [&] { write_text(folder / "evaluation.json", run_evaluation_json(kept) + "\n"); });
  });
  for (Diagnostic& finding : findings) finding.severity = Severity::note;  // the page does without
  show_asides(arguments, findings);
}

int report(const Arguments& arguments) {
  const std::filesystem::path folder = run_folder(arguments, arguments.positional()[0]);
  if (read_overview(folder).state != "running") evaluate_missing(arguments, folder);
  write_run_page(folder);
  const std::string page = (folder / "report.html").string();
  print_result(arguments, report_json(page), page + "\n");
  return 0;
}

}  // namespace

Command runs_command() {
  return {.name = "runs",
          .arguments = "",
          .summary = "the run folders: state, epochs, best metric, model, size",
          .example = "snug runs --dir runs",
          .options = {kDirOption},
          .run = list};
}

Command runs_show_command() {
  return {.name = "runs show",
          .arguments = "RUN",
          .summary = "one run: how it was started, its epochs, plan, findings and config",
          .example = "snug runs show quickstart-1",
          .more = {"snug runs show runs/quickstart-1 --json"},
          .least_arguments = 1,
          .most_arguments = 1,
          .options = {kDirOption},
          .run = show};
}

Command runs_compare_command() {
  constexpr std::size_t kMostRuns = 20;
  return {.name = "runs compare",
          .arguments = "RUN RUN…",
          .summary = "runs side by side: what came of them, and where their configs differ",
          .example = "snug runs compare quickstart-1 quickstart-2",
          .least_arguments = 2,
          .most_arguments = kMostRuns,
          .options = {kDirOption},
          .run = compare};
}

Command runs_report_command() {
  return {.name = "runs report",
          .arguments = "RUN",
          .summary = "write the run's report.html anew: curves, samples, mistakes, memory, findings",
          .example = "snug runs report quickstart-1",
          .least_arguments = 1,
          .most_arguments = 1,
          .options = {kDirOption, kThreadsOption},
          .run = report};
}

}  // namespace snug
