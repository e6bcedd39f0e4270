// Watches a training while it runs: findings that only time shows, each told once, with the step and a remedy.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/loader.h"
#include "graph/graph.h"
#include "snug/config.h"
#include "snug/trainer.h"
#include "train/parameters.h"

namespace snug {

/// Which samples one pass over the data brought.
class PassCount {
 public:
  explicit PassCount(std::int64_t samples) : counts_(static_cast<std::size_t>(samples)) {}
  void begin();
  void add(std::span<const std::int64_t> samples);
  /// Samples that came more than once, and such that did not come.
  struct Result {
    std::int64_t repeated = 0, missing = 0;
  };
  [[nodiscard]] Result result() const;

 private:
  std::vector<std::uint8_t> counts_;
};

/// A few weights of every channel, kept from one epoch to the next: enough to see which channels no gradient reaches.
class ChannelWatch {
 public:
  ChannelWatch(const Graph& graph, const std::vector<bool>& frozen, TensorStore& tensors);
  struct Layer {
    std::string path;
    Position where;
    std::int64_t channels = 0, still = 0;  ///< still: changed by decay alone, or by nothing
    double moved = 0;                      ///< change at the upper quarter of the channels, relative to their weights
    double grown = 1;                      ///< size of the weights against that at the begin
  };
  /// What happened in the `steps` since the last call, or since the begin.
  [[nodiscard]] std::vector<Layer> look(std::int64_t steps);

 private:
  static constexpr std::size_t kTaken = 8;
  struct Weight {
    std::string name, path;
    Position where;
    std::int64_t channels = 0, row = 0;
    std::vector<float> before;
    double size = 0;  ///< at the begin
  };
  static void take(const Weight& weight, std::span<const float> values, std::vector<float>& out);

  TensorStore& tensors_;
  std::vector<Weight> weights_;
  std::vector<float> now_;
};

class TrainingWatch {
 public:
  struct Run {
    const Config& config;
    const Graph& graph;
    const std::vector<bool>& frozen;
    TensorStore& tensors;
    std::int64_t samples = 0, outputs = 0, steps_per_epoch = 0;
    std::int64_t pass_samples = 0;  ///< that a pass over the data brings
    bool drawn_evenly = false;      ///< samples come as often as their classes ask for
  };
  explicit TrainingWatch(const Run& run);

  /// A pass over the data begins; `whole`: at its first batch. What the pass before brought is looked at.
  [[nodiscard]] std::vector<Diagnostic> begin_pass(bool whole);
  /// What a step is given.
  void take(const Batch& batch);
  /// After every step, once its loss is known, which may be after the next was given its batch: a few additions.
  [[nodiscard]] std::optional<Diagnostic> step(std::int64_t step, double loss);
  [[nodiscard]] std::vector<Diagnostic> end_epoch(const EpochEvent& epoch, std::int64_t step);

 private:
  using Found = std::optional<Diagnostic>;
  [[nodiscard]] Found still_loss(const EpochEvent& epoch, std::int64_t step);
  [[nodiscard]] Found drift(const EpochEvent& epoch, std::int64_t step);
  [[nodiscard]] Found val_at_chance(const EpochEvent& epoch, std::int64_t step);
  [[nodiscard]] std::vector<Diagnostic> channels(std::int64_t step);
  [[nodiscard]] bool told(std::string_view code) const;
  [[nodiscard]] bool once(std::string_view code);  ///< whether to tell it: not again, and not what follows from another
  [[nodiscard]] std::string rate_line(double factor) const;

  const Config& config_;
  std::int64_t outputs_, pass_samples_, steps_per_epoch_;
  bool drawn_evenly_;
  PassCount pass_;
  bool whole_pass_ = false;
  std::int64_t came_ = 0;  ///< samples of this pass
  ChannelWatch channels_;
  std::vector<std::string> told_;

  // Losses: means over windows of steps, and of epochs.
  static constexpr std::int64_t kWindow = 10;
  std::int64_t in_window_ = 0, steps_ = 0;
  double window_sum_ = 0, begin_loss_ = 0;
  std::array<double, 4> quarters_{};  ///< of the first epoch: sums
  std::array<std::int64_t, 4> quarter_steps_{};
  std::optional<double> first_epoch_loss_;
  std::array<double, 4> last_losses_{};  ///< of the last epochs, in turn
  std::int64_t epochs_ = 0, epoch_began_ = 0;
  std::optional<double> best_val_loss_;
  double best_val_accuracy_ = 0;
  std::int64_t since_best_loss_ = 0, since_best_accuracy_ = 0;
};

}  // namespace snug
