#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include <fmt/format.h>

#include "base/file.h"
#include "cli/command.h"
#include "cli/common.h"
#include "data/findings.h"
#include "report/findings.h"
#include "report/npy.h"
#include "report/reports.h"
#include "report/terminal.h"
#include "snug/trainer.h"

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
void require_writable(const std::string& path) {
  try {
    const AtomicFile probe(path);
  } catch (const std::system_error& error) {
    throw Error({.code = "C914",
                 .where = "--logits " + path,
                 .what = fmt::format("{} cannot be written: {}", brief_name(path), error.code().message()),
                 .fix = "--logits out.npy"});
  }
}

int run(const Arguments& arguments) {
  require_cpu(arguments, DeviceUse::train);
  if (const auto path = arguments.text("logits")) require_writable(*path);
  const auto& words = arguments.positional();
  const std::vector<std::filesystem::path> files(words.begin() + 1, words.end());
  std::vector<Diagnostic> findings;
  const std::vector<Prediction> predictions = predict(words[0], files, thread_count(arguments), findings);
  for (const Prediction& prediction : predictions) print_result(arguments, to_json(prediction), to_text(prediction));
  if (const auto path = arguments.text("logits")) write_logits(*path, predictions);
  apply_strict(arguments, findings);
  if (arguments.has("json")) {
    if (has_errors(findings)) write(Stream::out, findings_json(findings) + "\n");
  } else {
    show_asides(arguments, findings);
  }
  return exit_code(findings);
}

}  // namespace

Command predict_command() {
  return {.name = "predict",
          .arguments = "CHECKPOINT FILE…",
          .summary = "class and probability of every picture (files, folders) and every image of .npy files",
          .example = "snug predict runs/quickstart-1 photos/ images.npy --logits out.npy",
          .least_arguments = 2,
          .most_arguments = static_cast<std::size_t>(-1),
          .options = {{"logits", "FILE", "write the network's outputs as an .npy file, a row per image"},
                      kDeviceOption,
                      kThreadsOption},
          .run = run};
}

}  // namespace snug
