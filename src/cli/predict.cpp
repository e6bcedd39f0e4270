#include <glob.h>

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include <fmt/format.h>

#include "base/file.h"
#include "cli/command.h"
#include "cli/common.h"
#include "cli/next_step.h"
#include "cli/target.h"
#include "data/findings.h"
#include "report/csv.h"
#include "report/findings.h"
#include "report/npy.h"
#include "report/reports.h"
#include "report/terminal.h"
#include "snug/trainer.h"
#include "train/inference.h"

namespace snug {

namespace {

void write_logits(const std::string& path, const std::vector<Prediction>& predictions) {
  std::vector<float> values;
  for (const Prediction& prediction : predictions)
    values.insert(values.end(), prediction.logits.begin(), prediction.logits.end());
  const auto rows = static_cast<std::int64_t>(predictions.size());
  write_npy(path, values, rows, rows == 0 ? 0 : static_cast<std::int64_t>(values.size()) / rows);
}

/// Whether the file can be written is known before the work is done.
void require_writable(std::string_view option, const std::string& path) {
  try {
    const AtomicFile probe(path);
  } catch (const std::system_error& error) {
    throw Error({.code = "C914",
                 .where = fmt::format("--{} {}", option, path),
                 .what = fmt::format("{} cannot be written: {}", brief_name(path), error.code().message()),
                 .fix = fmt::format("--{} out.{}", option, option == "csv" ? "csv" : "npy")});
  }
}

struct GlobCloser {
  void operator()(glob_t* found) const { ::globfree(found); }
};

/// Patterns that came in quotes, as the shell would have expanded them; a file of that very name counts first.
std::vector<std::filesystem::path> expanded(std::span<const std::string> words) {
  std::vector<std::filesystem::path> files;
  for (const std::string& word : words) {
    std::error_code ignored;
    glob_t found{};
    const bool pattern = word.find_first_of("*?[") != std::string::npos && !std::filesystem::exists(word, ignored);
    if (!pattern || ::glob(word.c_str(), 0, nullptr, &found) != 0) {
      files.emplace_back(word);  // what is not there is told by name
      continue;
    }
    const std::unique_ptr<glob_t, GlobCloser> closer(&found);
    files.insert(files.end(), found.gl_pathv, found.gl_pathv + found.gl_pathc);
  }
  return files;
}

/// Of numbers to meet there is no class: their outputs are in --logits.
std::string csv_of(const std::vector<Prediction>& predictions) {
  std::string text = "file,class,probability\n";
  for (const Prediction& prediction : predictions) {
    text +=
        fmt::format("{},{},{:.6f}\n", csv_field(prediction.file), csv_field(prediction.label), prediction.probability);
  }
  return text;
}

int run(const Arguments& arguments) {
  const Computer computer = run_target(arguments).value_or(this_computer(thread_count(arguments)));
  for (const std::string_view option : {"logits", "csv"})
    if (const auto path = arguments.text(option)) require_writable(option, *path);
  const auto& words = arguments.positional();
  const std::vector<std::filesystem::path> files = expanded(std::span(words).subspan(1));
  std::vector<Diagnostic> findings;
  const std::vector<Prediction> predictions = predict_on(computer, words[0], files, findings);
  for (const Prediction& prediction : predictions) print_result(arguments, to_json(prediction), to_text(prediction));
  if (const auto path = arguments.text("logits")) write_logits(*path, predictions);
  if (const auto path = arguments.text("csv")) write_text(*path, csv_of(predictions));
  apply_strict(arguments, findings);
  if (arguments.has("json")) {
    if (has_errors(findings)) write(Stream::out, findings_json(findings) + "\n");
  } else {
    show_asides(arguments, findings);
    if (!has_errors(findings)) suggest_exporting(arguments, words[0]);
  }
  return exit_code(findings);
}

}  // namespace

Command predict_command() {
  return {.name = "predict",
          .arguments = "CHECKPOINT FILE…",
          .summary = "class and probability of every picture (files, folders, globs) and every image of .npy files",
          .example = "snug predict runs/quickstart-1 photos/ images.npy --logits out.npy",
          .least_arguments = 2,
          .most_arguments = static_cast<std::size_t>(-1),
          .options = {{"logits", "FILE", "write the network's outputs as an .npy file, a row per image"},
                      {"csv", "FILE", "write file, class and probability, a line per image"},
                      kDeviceOption,
                      kThreadsOption},
          .run = run};
}

}  // namespace snug
