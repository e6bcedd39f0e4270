// Training, evaluation and prediction from C++.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "snug/config.h"
#include "snug/diagnostic.h"
#include "snug/plan.h"

namespace snug {

struct PlanEvent {
  PlanReport plan;
};
struct StepEvent {
  std::int64_t step = 0;
  double loss = 0, lr = 0;
};
struct EpochEvent {
  std::int64_t epoch = 0;  ///< from 1
  double train_loss = 0, train_accuracy = 0;
  std::optional<double> val_loss, val_accuracy;
  double images_per_second = 0, lr = 0;
  std::optional<double> loss_scale{};  ///< of fp16, after the epoch
  std::int64_t skipped_steps = 0;      ///< of fp16: steps of the epoch that overflowed and changed nothing
};
struct FindingEvent {
  Diagnostic finding;
};
/// Where a running epoch stands; for progress lines, not part of logs. At most ten a second.
struct ProgressEvent {
  std::int64_t epoch = 0, epochs = 0, step = 0, steps = 0;  ///< step of steps in this epoch
  double loss = 0, images_per_second = 0, eta_seconds = 0;
  std::int64_t memory_bytes = 0;
};
struct DoneEvent {
  std::int64_t epochs = 0;
  double best_val_accuracy = 0;
  std::int64_t planned_peak_bytes = 0, measured_peak_bytes = 0, step_allocations = 0;
  std::int64_t arena_bytes = 0;  ///< that the run took: those of PlanReport::allocated
  std::string checkpoint;
  bool interrupted = false;  ///< by a signal: a checkpoint was saved
};
using TrainEvent = std::variant<PlanEvent, StepEvent, EpochEvent, FindingEvent, ProgressEvent, DoneEvent>;

/// Receives what happens, in order, on the training thread.
class Reporter {
 public:
  virtual ~Reporter() = default;
  virtual void on_event(const TrainEvent& event) = 0;
};

struct TrainOptions {
  std::filesystem::path out;  ///< empty: runs/NAME-N
  bool resume = false;
  std::optional<std::filesystem::path> init;  ///< safetensors weights
  std::int64_t max_steps = 0;                 ///< 0: all
  std::int64_t log_every = 0;                 ///< 0: a step event a second
  int threads = 0;                            ///< 0: all cores
  const std::atomic<bool>* stop = nullptr;    ///< set by a signal handler: finish the step, save, return
  std::string command{};                      ///< the line that began the run, as a shell takes it; kept in run.json
  std::vector<std::pair<std::string, std::string>> versions{};  ///< kept beside it: {"oneDNN", "3.1"}
  std::vector<Diagnostic> findings{};  ///< told before the run began; kept in its log and on its page
  /// Called with the run's folder when the run has ended, however it ended: `write_run_page`. What it throws is a note.
  std::function<void(const std::filesystem::path& run)> at_end{};
};

/// Plans and trains. Throws Error for everything that stands in the way.
DoneEvent train(const Config& config, const TrainOptions& options, Reporter& reporter);

/// Writes report.html of a run folder: curves, samples, memory, findings and what else it holds, in one page that loads
/// nothing. Throws Error when it is no run folder.
void write_run_page(const std::filesystem::path& run);

struct ClassMetrics {
  std::string name;
  double precision = 0, recall = 0, f1 = 0;
  std::int64_t support = 0;
};
/// What came of one sample. Classes and probabilities are those of losses that give a sample one class; with others
/// (several yes-or-no outputs, mse) the classes are −1 and the probabilities 0.
struct SampleOutcome {
  std::int64_t sample = 0;  ///< its index in the split
  std::int32_t truth = -1, predicted = -1;
  float probability = 0, true_probability = 0;  ///< of the predicted and of the true class
  float loss = 0;                               ///< of this sample alone, without class weights and smoothing
};
/// Samples whose prediction has a probability of at least i ÷ n and less than (i + 1) ÷ n, for bin i of n.
struct CalibrationBin {
  std::int64_t samples = 0;
  double confidence = 0, accuracy = 0;  ///< their mean probability, and how many of them are right; 0 without samples
};
/// How far probabilities can be believed.
struct Calibration {
  double expected_error = 0;  ///< |confidence − accuracy|, averaged over the samples (ECE)
  std::vector<CalibrationBin> bins;
};
struct EvalResult {
  double loss = 0, accuracy = 0, top5_accuracy = 0;
  std::int64_t samples = 0;
  std::vector<std::vector<std::int64_t>> confusion;  ///< [true class][predicted class]
  std::vector<ClassMetrics> per_class;
  std::optional<double> auc{};               ///< area under the ROC curve; of two classes that are both there
  std::optional<Calibration> calibration{};  ///< where a sample has one class
  std::vector<SampleOutcome> outcomes{};     ///< in the order of the data; when EvalOptions asks
};
struct EvalOptions {
  std::optional<Config> config;  ///< instead of the checkpoint's own
  ConfigOptions changes;         ///< of the checkpoint's own
  std::string split = "val";     ///< train, val, test
  std::int64_t batch = 0;        ///< 0: the training's
  int threads = 0;
  bool outcomes = false;  ///< keep what came of every sample
};
/// `checkpoint`: a .safetensors file of a run, or its folder (the best).
[[nodiscard]] EvalResult evaluate(const std::filesystem::path& checkpoint, const EvalOptions& options);

struct Prediction {
  std::string file;  ///< of array files "x.npy[17]"
  std::string label;
  double probability = 0;
  std::vector<std::pair<std::string, double>> top;  ///< at most five, best first
  std::vector<float> logits;
};
/// Predicts every image of `files`: pictures, folders of them, .npy arrays. Unreadable files are appended to
/// `findings`, the rest goes on. `threads` 0: all cores.
[[nodiscard]] std::vector<Prediction> predict(const std::filesystem::path& checkpoint,
                                              const std::vector<std::filesystem::path>& files, int threads,
                                              std::vector<Diagnostic>& findings);

}  // namespace snug
