// The files of one run while it trains: logs, checkpoints and the state that commits them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "planner/planner.h"
#include "snug/trainer.h"
#include "train/checkpoint.h"
#include "train/evaluation.h"
#include "train/event_file.h"
#include "train/run_folder.h"
#include "train/run_record.h"
#include "train/state.h"

namespace snug {

class RunFiles {
 public:
  /// Makes the folder, or goes on in it: logs are cut back to `state`. Writes config.toml and plan.json, and adds
  /// `start` to run.json.
  RunFiles(const RunChoice& choice, const Config& config, const Plan& plan, const TrainState& state, RunStart start);

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  void log(const TrainEvent& event);
  [[nodiscard]] EventFile& events() { return events_; }

  /// What a save writes the tensors of.
  struct Weights {
    const Graph& graph;
    TensorStore& tensors;
    std::vector<float>& buffer;
  };
  /// Commits `state` with the lengths of the logs, then derives last.safetensors, and best.safetensors when the
  /// best is of this very step.
  void save(TrainState& state, const Weights& weights, CheckpointInfo info);
  /// After a restart: derives again what a killed save had left behind the state.
  void repair(const TrainState& state, const Weights& weights, CheckpointInfo info) const;
  /// Keeps what came of the samples; how the run ended. Throw Error.
  void write_evaluation(const RunEvaluation& evaluation) const;
  void end(std::string_view state, double seconds);
  /// best.safetensors if there is one, else last.safetensors.
  [[nodiscard]] std::filesystem::path checkpoint() const;

 private:
  void derive(const TrainState& state, const Weights& weights, CheckpointInfo& info, bool last, bool best) const;

  std::filesystem::path folder_;
  RunLock lock_;
  AppendFile log_, metrics_;
  RunRecord record_;
  EventFile events_;
};

}  // namespace snug
