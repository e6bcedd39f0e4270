// What a run tells TensorBoard: curves, histograms, samples with predictions, the confusion matrix, the graph and the
// hyper-parameters.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "graph/graph.h"
#include "snug/plan.h"
#include "snug/trainer.h"
#include "train/event_file.h"
#include "train/parameters.h"

namespace snug {

/// Steps count from 0, as in log.jsonl; what is said of an epoch stands at its last step.
class RunEvents {
 public:
  struct Run {
    const Config& config;
    const Graph& graph;
    const PlanReport& plan;
    TensorStore& tensors;
    std::vector<std::string> classes;
    std::shared_ptr<const Dataset> val;        ///< null: none
    std::function<std::int64_t()> used_bytes;  ///< memory that is taken now
  };
  /// `file` must outlive it.
  RunEvents(EventFile& file, Run run) : file_(file), run_(std::move(run)) {}

  /// The graph and the hyper-parameters, once in a run, and the plan's bytes.
  void begin(std::int64_t step, bool goes_on);
  /// At most once a second.
  void step(std::int64_t step, double loss, double learning_rate);
  /// Whether the gradients of an epoch's last step are to be shown to `take_gradient`.
  [[nodiscard]] bool wants_gradients() const { return run_.config.train.histograms; }
  void take_gradient(std::string_view parameter, std::span<const float> values);
  /// `val`: what came of the validation data, with outcomes; null: there are none. `last`: no other epoch follows.
  void epoch(const EpochEvent& epoch, const EvalResult* val, std::int64_t step, bool last);
  /// The run has ended: all epochs are done, or it diverged.
  void end(std::int64_t step, bool success);

 private:
  void add_histograms(std::vector<ProtoMessage>& values);
  void add_pictures(std::vector<ProtoMessage>& values, const EvalResult& val);
  [[nodiscard]] Picture sample_sheet(const std::vector<SampleOutcome>& outcomes);

  EventFile& file_;
  Run run_;
  std::optional<std::chrono::steady_clock::time_point> told_;
  std::int64_t told_step_ = -1;
  std::vector<ProtoMessage> gradients_;  ///< histograms of this epoch
  std::vector<std::size_t> shown_;       ///< places among the outcomes
  std::vector<Picture> pictures_;        ///< of these samples
};

}  // namespace snug
