#include <glob.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include <fmt/format.h>

#include "base/file.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/common.h"
#include "cli/next_step.h"
#include "cli/output_file.h"
#include "cli/target.h"
#include "data/findings.h"
#include "report/findings.h"
#include "report/npy.h"
#include "report/prediction_report.h"
#include "report/reports.h"
#include "report/terminal.h"
#include "train/prediction.h"

namespace snug {

namespace {

constexpr std::size_t kMostPictures = 100;  // on a sheet: ten by ten

void write_logits(AtomicFile& file, const std::vector<Prediction>& predictions) {
  std::vector<float> values;
  for (const Prediction& prediction : predictions)
    values.insert(values.end(), prediction.logits.begin(), prediction.logits.end());
  const auto rows = static_cast<std::int64_t>(predictions.size());
  write_npy(file, values, rows, rows == 0 ? 0 : static_cast<std::int64_t>(values.size()) / rows);
  file.commit();
}

/// Without pictures there is nothing to draw; what kept them away is told as a finding.
void write_sheet(AtomicFile& file, const PredictedImages& images, std::vector<Diagnostic>& findings) {
  if (images.pictures.empty()) return;
  file.write(encode_png(predictions_sheet(images)));
  file.commit();
  if (images.predictions.size() == images.pictures.size()) return;
  findings.push_back({.code = "C926",
                      .severity = Severity::note,
                      .where = "--sheet",
                      .what = fmt::format("the sheet has the first {} of {} pictures", images.pictures.size(),
                                          format_count(std::ssize(images.predictions))),
                      .fix = "--csv out.csv   # has a line for every picture"});
}

struct GlobCloser {
  void operator()(glob_t* found) const { ::globfree(found); }
};

/// Patterns that came in quotes, or that matched nothing, as the shell would have expanded them; a file of that very
/// name counts first.
std::vector<std::filesystem::path> expanded(std::span<const std::string> words, std::vector<Diagnostic>& findings) {
  std::vector<std::filesystem::path> files;
  for (const std::string& word : words) {
    std::error_code ignored;
    glob_t found{};
    const bool pattern = word.find_first_of("*?[") != std::string::npos && !std::filesystem::exists(word, ignored);
    if (!pattern) {
      files.emplace_back(word);
      continue;
    }
    const std::unique_ptr<glob_t, GlobCloser> closer(&found);
    if (::glob(word.c_str(), 0, nullptr, &found) != 0) {
      const std::string folder = std::filesystem::path(word).parent_path().string();
      findings.push_back({.code = "D101",
                          .where = word,
                          .what = fmt::format("no file matches {}", brief_name(word)),
                          .fix = fmt::format("ls {}   # and correct the pattern", folder.empty() ? "." : folder)});
    }
    files.insert(files.end(), found.gl_pathv, found.gl_pathv + found.gl_pathc);
  }
  return files;
}

void print_predictions(const Arguments& arguments, const std::vector<Prediction>& predictions) {
  std::string text;
  if (arguments.has("json")) {
    for (const Prediction& prediction : predictions) text += to_json(prediction) + "\n";
  } else {
    text = predictions_text(predictions, is_terminal(Stream::out) ? static_cast<std::size_t>(terminal_width()) : 0);
  }
  write(Stream::out, text);
}

int run(const Arguments& arguments) {
  const Computer computer = run_target(arguments).value_or(this_computer(thread_count(arguments)));
  std::optional<AtomicFile> logits, csv, sheet;
  open_output(arguments, "logits", "out.npy", logits);
  open_output(arguments, "csv", "out.csv", csv);
  open_output(arguments, "sheet", "sheet.png", sheet);
  const auto& words = arguments.positional();
  std::vector<Diagnostic> findings;
  const std::vector<std::filesystem::path> files = expanded(std::span(words).subspan(1), findings);
  const PredictedImages made = predict_images(computer, words[0], files, sheet ? kMostPictures : 0, findings);
  print_predictions(arguments, made.predictions);
  if (logits) write_logits(*logits, made.predictions);
  if (csv) {
    csv->write(predictions_csv(made.predictions));
    csv->commit();
  }
  if (sheet) write_sheet(*sheet, made, findings);
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
  return {
      .name = "predict",
      .arguments = "CHECKPOINT FILE…",
      .summary = "class and probability of every picture (files, folders, globs) and every image of .npy files",
      .example = "snug predict runs/quickstart-1 photos/ images.npy --logits out.npy",
      .more =
          {"snug predict runs/quickstart-1 'photos/*.jpg' --sheet sheet.png   # pictures with what they are taken for"},
      .least_arguments = 2,
      .most_arguments = static_cast<std::size_t>(-1),
      .options = {{"logits", "FILE", "write the network's outputs as an .npy file, a row per image"},
                  {"csv", "FILE", "write file, class and probability, a line per image"},
                  {"sheet", "FILE.png", "draw the pictures (the first 100) with class and probability on one sheet"},
                  kComputeDeviceOption,
                  kThreadsOption},
      .run = run};
}

}  // namespace snug
