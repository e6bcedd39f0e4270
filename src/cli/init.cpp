#include <cctype>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/shell.h"
#include "base/text.h"
#include "check/recipe.h"
#include "cli/command.h"
#include "cli/common.h"
#include "cli/next_step.h"
#include "data/findings.h"
#include "report/terminal.h"

namespace snug {

namespace {

namespace fs = std::filesystem;

/// Where to write: nothing that is there already is written over.
fs::path read_out(const Arguments& arguments) {
  const std::string out = arguments.text("out").value_or("config.toml");
  if (out.empty()) {
    throw Error({.code = "C915", .where = "--out", .what = "--out names no file", .fix = "--out config.toml"});
  }
  std::error_code ignored;
  if (!fs::exists(fs::symlink_status(out, ignored))) return out;
  const fs::path path = out;
  fs::path other = path;
  for (int number = 2; fs::exists(fs::symlink_status(other, ignored)); ++number)
    other = path.parent_path() / fmt::format("{}-{}{}", path.stem().string(), number, path.extension().string());
  throw Error({.code = "C916",
               .where = "--out " + out,
               .what = fmt::format("{} is there already and is not written over", brief_name(path)),
               .fix = "--out " + shell_word(other.string())});
}

/// A name for the run: of the folder, in letters that every system takes.
std::string run_name(const RecognizedData& data, const std::string& given) {
  std::error_code ignored;
  fs::path path = fs::weakly_canonical(given, ignored);
  if (path.empty() || !path.has_filename()) path = fs::weakly_canonical(data.root, ignored);
  std::string name;
  for (const char c : (fs::is_directory(path, ignored) ? path : path.stem()).filename().string()) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
    if (plain || (!name.empty() && name.back() != '-')) name += plain ? c : '-';
  }
  while (name.ends_with('-')) name.pop_back();
  return name.empty() ? "run" : name.substr(0, 60);
}

/// The data's folder as a config in `folder` finds it, by the names that were typed: relative, so that both can be
/// moved together, but for a path from the root that leads elsewhere.
std::string root_from(const std::string& root, const fs::path& folder) {
  std::error_code error;
  const fs::path from = folder.empty() ? fs::path(".") : folder;
  const auto plain = [&](const fs::path& path) { return fs::absolute(path, error).lexically_normal(); };
  for (const bool resolved : {false, true}) {  // ".." behind a link leads to where the link's target lies
    const fs::path relative = resolved
                                  ? fs::weakly_canonical(root, error).lexically_relative(fs::canonical(from, error))
                                  : (plain(root) / "").lexically_relative(plain(from) / "");
    const bool leaves = relative.empty() || *relative.begin() == "..";
    if (fs::path(root).is_absolute() && leaves) break;
    if (fs::equivalent(from / relative, root, error)) return (relative / "").parent_path().string();
  }
  return plain(root).string();
}

std::string labels_text(const DataFacts& facts) {
  switch (facts.loss) {
    case Loss::mse: return fmt::format("{} numbers to meet", facts.outputs);
    case Loss::binary_crossentropy: return fmt::format("{} marks, each 0 or 1", facts.outputs);
    case Loss::sparse_categorical_crossentropy:
    case Loss::categorical_crossentropy: return fmt::format("{} classes", facts.outputs);
  }
  return {};
}

std::string text_of(const RecognizedData& data, const DataFacts& facts, const Recipe& recipe, const fs::path& out) {
  std::string text =
      fmt::format("found {} in {}: {} images to train on", data.layout, data.root, format_count(facts.train));
  if (facts.val > 0) text += fmt::format(", {} for validation", format_count(facts.val));
  if (facts.test > 0) text += fmt::format(", {} for the test", format_count(facts.test));
  text += fmt::format("; {}\n", labels_text(facts));
  for (const std::string& remark : data.remarks) text += fmt::format("  {}\n", remark);
  text += fmt::format("wrote {}: {} on {}×{}×{}, {} epochs", out.string(), recipe.model, recipe.input[0],
                      recipe.input[1], recipe.input[2], recipe.epochs);
  if (recipe.val_split > 0) text += fmt::format(", {:g} % of the images kept for validation", 100 * recipe.val_split);
  return text + "\n";
}

std::string json_of(const RecognizedData& data, const DataFacts& facts, const Recipe& recipe, const fs::path& out) {
  const nlohmann::ordered_json json{
      {"config", out.string()},        {"folder", data.root},      {"layout", data.layout},
      {"train", facts.train},          {"val", facts.val},         {"test", facts.test},
      {"val_split", recipe.val_split}, {"classes", facts.classes}, {"outputs", facts.outputs},
      {"loss", to_string(facts.loss)}, {"input", recipe.input},    {"epochs", recipe.epochs},
      {"remarks", data.remarks}};
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

int run(const Arguments& arguments) {
  const fs::path out = read_out(arguments);
  const std::string& folder = arguments.positional()[0];
  const RecognizedData data = recognize_data(folder);
  const DataFacts facts = measure_facts(data);
  const Recipe recipe = choose_recipe(facts);
  const std::string text =
      recipe_toml(data, facts, recipe, run_name(data, folder), root_from(data.root, out.parent_path()));
  (void)parse_config(text, out);  // what cannot be read is not written
  write_text(out, text);
  print_result(arguments, json_of(data, facts, recipe, out), text_of(data, facts, recipe, out));
  suggest(arguments, "look for faults before anything runs", {"check", out.string()});
  return 0;
}

}  // namespace

Command init_command() {
  return {.name = "init",
          .arguments = "FOLDER",
          .summary = "look at the data in a folder and write a fitting, commented config",
          .example = "snug init photos --out photos.toml",
          .more = {"snug init .   # data of this folder"},
          .least_arguments = 1,
          .most_arguments = 1,
          .options = {{"out", "FILE", "the config to write (config.toml); must not exist"}},
          .run = run};
}

}  // namespace snug
