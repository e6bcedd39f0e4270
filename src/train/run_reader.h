// Run folders as they are found: whole, running, cut short, damaged. Nothing that is wrong with a folder is an error
// here; it is what the run shows.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "snug/trainer.h"
#include "train/evaluation.h"
#include "train/plan_reader.h"
#include "train/run_record.h"

namespace snug {

/// What a list shows of a run.
struct RunOverview {
  std::filesystem::path folder;
  /// finished, stopped (--max-steps), interrupted (killed too), running, diverged, failed, damaged.
  std::string state;
  std::vector<std::string> problems;   ///< files that are missing or cannot be read, and why
  std::vector<Diagnostic> unreadable;  ///< of those that were changed by hand
  RunRecord record;
  std::optional<Config> config;
  std::vector<EpochEvent> epochs;
  std::string metric;  ///< what chooses the best epoch; empty where the config cannot be read
  std::optional<double> best;
  std::int64_t best_epoch = 0;
  std::string model;                          ///< the model file's name, else a count of layers
  std::int64_t bytes = 0;                     ///< of all files
  [[nodiscard]] std::string started() const;  ///< of the first start, or of the oldest file; UTC
  [[nodiscard]] double seconds() const;       ///< in all starts that have ended
};

/// And all that a run folder holds besides.
struct RunDetails : RunOverview {
  std::string config_text;
  std::optional<StoredPlan> plan;
  std::vector<StepEvent> steps;
  std::vector<Diagnostic> findings;
  std::optional<DoneEvent> done;
  std::optional<RunEvaluation> evaluation;
  [[nodiscard]] std::int64_t parameters() const;
};

/// Whether a folder is one of a run, be it damaged: something that only runs write lies in it.
[[nodiscard]] bool is_run_folder(const std::filesystem::path& folder);
/// Throws Error (C) when the folder is none of a run.
[[nodiscard]] RunOverview read_overview(const std::filesystem::path& folder);
[[nodiscard]] RunDetails read_details(const std::filesystem::path& folder);
/// The runs below a folder, the newest first; none where it does not exist.
[[nodiscard]] std::vector<RunOverview> list_runs(const std::filesystem::path& folder);

}  // namespace snug
