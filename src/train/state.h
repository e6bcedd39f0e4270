// last.state: everything that a run needs to go on bit for bit, in one file that is replaced whole.
//
// It is the run's only point of commit. The safetensors files are derived from it and the logs are cut back to the
// lengths it names, so that whatever moment a run was killed at, resuming makes the folder agree with this file.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "program/op_list.h"
#include "snug/diagnostic.h"
#include "snug/plan.h"
#include "train/parameters.h"
#include "train/safetensors.h"

namespace snug {

inline constexpr int kStateFormat = 1;

/// How far the events for TensorBoard are committed: the last file of them, and of that the first bytes.
struct EventMark {
  std::string file;  ///< name in the run's folder; empty: there is none
  std::int64_t bytes = 0;
  friend bool operator==(const EventMark&, const EventMark&) = default;
};

struct TrainState {
  std::int64_t step = 0;   ///< optimizer steps done; names epoch and batch, as every epoch has steps_per_epoch of them
  std::int64_t epoch = 0;  ///< epochs done, evaluation included
  std::int64_t steps_per_epoch = 0, batch = 0, samples = 0;  ///< what the numbers above count in
  std::uint64_t seed = 0;
  std::array<double, TrainStats::count> totals{};  ///< of the running epoch so far
  double last_lr = 0;
  std::array<double, LossScale::count> scaling{};  ///< of fp16; all zero without
  double skipped_before = 0;                       ///< of them, steps skipped before the running epoch
  double epoch_seconds = 0;                        ///< spent in its steps
  std::optional<double> best;                      ///< of the metric that chooses the best checkpoint
  std::int64_t best_step = -1, best_epoch = 0;
  double best_val_accuracy = 0;
  std::optional<double> monitored;  ///< early stopping: the best so far
  std::int64_t stale_epochs = 0;    ///< early stopping: epochs since
  std::int64_t log_bytes = 0, metrics_bytes = 0;
  EventMark events{};
  bool finished = false;  ///< all epochs done, or stopped early
  /// What convolutions and products were computed with: by "layer step" the library's engine. Bits are promised for
  /// equal ones.
  std::map<std::string, std::string> engines{};
  friend bool operator==(const TrainState&, const TrainState&) = default;
};

/// Writes the state with every tensor of `graph` that lives from step to step: parameters, optimizer state, averages.
/// Throws Error as write_safetensors does.
void write_state(const std::filesystem::path& path, const Graph& graph, TensorStore& tensors, const TrainState& state);

/// What the bytes of a state file say, checked: format, checksum, numbers that a run can have. `path` names it. Throws
/// Error (D).
[[nodiscard]] TrainState read_state(const SafetensorsView& view, const std::filesystem::path& path);

/// A state file, read.
class StateFile {
 public:
  /// Throws Error (D) when it is damaged or of another format.
  explicit StateFile(const std::filesystem::path& path);
  [[nodiscard]] const TrainState& state() const { return state_; }
  /// Fills every tensor. Throws Error (T) unless the file and the run have the same tensors.
  void restore(const Graph& graph, TensorStore& tensors) const;

 private:
  std::filesystem::path path_;
  SafetensorsFile file_;
  TrainState state_;
};

/// The engines of a plan, as a state keeps them.
[[nodiscard]] std::map<std::string, std::string> engines_of(const PlanReport& plan);
/// The finding on a run that goes on with other engines; nothing where they are equal or were not recorded.
[[nodiscard]] std::optional<Diagnostic> changed_engines(const std::map<std::string, std::string>& saved,
                                                        const std::map<std::string, std::string>& now,
                                                        const std::filesystem::path& path);

/// Whether the state in `path` is whole and says that its run has ended.
[[nodiscard]] bool is_finished_run(const std::filesystem::path& path);

}  // namespace snug
