#include "cli/next_step.h"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>

#include "base/file.h"
#include "base/shell.h"
#include "data/picture_source.h"
#include "report/terminal.h"
#include "train/inference.h"
#include "train/setup.h"

namespace snug {

namespace {

namespace fs = std::filesystem;

bool for_people(const Arguments& arguments) { return !arguments.has("json") && !arguments.has("quiet"); }

/// Something that `predict` reads: a picture or an array of the split.
std::optional<std::string> example_of(const std::optional<DataSource>& source) {
  if (!source) return std::nullopt;
  if (source->format == DataFormat::numpy && source->images.ends_with(".npy")) return source->images;
  if (source->format != DataFormat::folder || is_archive(source->path)) return std::nullopt;
  const std::vector<std::string> pictures = pictures_below(source->path);
  if (pictures.empty()) return std::nullopt;
  return pictures.front();
}

}  // namespace

void suggest(const Arguments& arguments, std::string_view why, const std::vector<std::string>& words) {
  if (!for_people(arguments)) return;
  std::string line = shell_word(arguments.program());
  for (const std::string& word : words) line += " " + shell_word(word);
  write(Stream::out, fmt::format("\nnext: {}\n  {}\n", why, line));
}

void suggest_training(const Arguments& arguments, std::string_view why, const std::vector<std::string>& more) {
  constexpr std::array<std::string_view, 5> kChanging{"set", "data-root", "epochs", "device", "threads"};
  std::vector<std::string> words{"train", arguments.positional()[0]};
  words.insert(words.end(), more.begin(), more.end());
  for (const auto& [name, value] : arguments.options()) {
    if (std::ranges::find(kChanging, name) == kChanging.end()) continue;
    words.push_back("--" + name);
    if (!value.empty()) words.push_back(value);
  }
  suggest(arguments, why, words);
}

void show_report(const Arguments& arguments, const fs::path& run) {
  std::error_code ignored;
  const fs::path page = run / "report.html";
  if (for_people(arguments) && fs::exists(page, ignored))
    write(Stream::out, fmt::format("report: {}   curves, samples, mistakes, memory: open it in a browser\n",
                                   from_here(page.string())));
}

void suggest_after_training(const Arguments& arguments, const fs::path& run, bool validated) {
  if (validated) {
    suggest(arguments, "look at it class by class", {"eval", run.string()});
  } else {
    suggest_predicting(arguments, run);
  }
}

void suggest_predicting(const Arguments& arguments, const fs::path& checkpoint) {
  if (!for_people(arguments)) return;
  std::optional<std::string> example;
  try {
    const Checkpoint opened = open_checkpoint(checkpoint);
    const Config config = checkpoint_config(opened.info, opened.path);
    example = example_of(config.data.test);
    if (!example) example = example_of(config.data.val);
    if (!example) example = example_of(config.data.train);
  } catch (const Error&) {
    // A suggestion is not worth a fault.
  }
  std::error_code ignored;
  if (example && fs::exists(*example, ignored)) {
    suggest(arguments, "classify pictures; files, folders and arrays of your own go the same way",
            {"predict", checkpoint.string(), from_here(*example)});
  } else {
    suggest_exporting(arguments, checkpoint);
  }
}

void suggest_exporting(const Arguments& arguments, const fs::path& checkpoint) {
  const fs::path run = checkpoint.has_filename() ? checkpoint : checkpoint.parent_path();
  const bool file = run.extension() == ".safetensors";
  std::string name = (file ? fs::absolute(run).parent_path() : run).filename().string();
  if (name.empty() || name.front() == '.') name = "model";
  std::error_code ignored;
  std::string out = name + ".onnx";
  for (int number = 2; fs::exists(out, ignored); ++number) out = fmt::format("{}-{}.onnx", name, number);
  suggest(arguments, "take the network to other programs",
          {"export", checkpoint.string(), "--to", "onnx", "--out", out});
}

}  // namespace snug
