// What to do next: the last lines of a command that went well, for people alone.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "cli/arguments.h"

namespace snug {

/// "next: why" and below it a line to paste: the program with `words`. Nothing with --json or --quiet.
void suggest(const Arguments& arguments, std::string_view why, const std::vector<std::string>& words);

/// Train what was given, with the options that change the run; `more` comes before them.
void suggest_training(const Arguments& arguments, std::string_view why, const std::vector<std::string>& more = {});
/// Where the page of a run lies.
void show_report(const Arguments& arguments, const std::filesystem::path& run);
/// After a training into `run`: evaluate it, or where nothing was set aside for that, predict.
void suggest_after_training(const Arguments& arguments, const std::filesystem::path& run, bool validated);
/// After an evaluation or a training: classify an image that the checkpoint's config names, or export.
void suggest_predicting(const Arguments& arguments, const std::filesystem::path& checkpoint);
/// After a prediction.
void suggest_exporting(const Arguments& arguments, const std::filesystem::path& checkpoint);

}  // namespace snug
