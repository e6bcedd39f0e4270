// `snug runs`: run folders as tables and JSON.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "train/run_reader.h"

namespace snug {

/// Runs side by side: what came of them, and where their configs differ.
struct RunComparison {
  struct Row {
    std::string name;
    std::vector<std::string> values;  ///< one a run; empty where a run has none
  };
  std::vector<std::string> runs;
  std::vector<Row> results;
  std::vector<Row> keys;  ///< dotted keys of the config whose values differ, as TOML
};
[[nodiscard]] RunComparison compare_runs(std::span<const RunDetails> runs);

// One line of JSON without its end; text for people with its end.
[[nodiscard]] std::string runs_json(std::span<const RunOverview> runs);
[[nodiscard]] std::string runs_text(std::span<const RunOverview> runs, const std::string& folder);
[[nodiscard]] std::string run_json(const RunDetails& run);
[[nodiscard]] std::string run_text(const RunDetails& run);
[[nodiscard]] std::string comparison_json(const RunComparison& comparison);
/// `{"report":"runs/a-1/report.html"}`.
[[nodiscard]] std::string report_json(const std::string& page);
[[nodiscard]] std::string comparison_text(const RunComparison& comparison);

/// "val_accuracy 91.20 %"; "–" where nothing is known.
[[nodiscard]] std::string best_text(const RunOverview& run);
/// "3/5": epochs done of those that the config asks for.
[[nodiscard]] std::string epochs_text(const RunOverview& run);
/// "2026-01-31 12:00".
[[nodiscard]] std::string started_text(const RunOverview& run);

}  // namespace snug
