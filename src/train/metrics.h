// From sums of the loss steps to the numbers of an epoch; which metric is better; the confusion matrix.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "snug/config.h"
#include "snug/trainer.h"

namespace snug {

struct Metrics {
  double loss = 0, accuracy = 0, top5_accuracy = 0;
  std::int64_t samples = 0;
};
/// `totals` as TrainStats names its elements.
[[nodiscard]] Metrics metrics_of(std::span<const double> totals);

/// The metric that chooses the best checkpoint: accuracy, or the loss for mse; of the validation data where there is
/// some.
[[nodiscard]] std::string best_metric(Loss loss, bool has_val);
/// The value of "train_loss", "train_accuracy", "val_loss" or "val_accuracy"; nothing when the epoch has none.
[[nodiscard]] std::optional<double> metric_value(const EpochEvent& epoch, std::string_view name);
/// Whether `value` is strictly better than `best` (nothing yet: always). Losses fall, accuracies rise.
[[nodiscard]] bool improves(std::string_view metric, double value, const std::optional<double>& best);

/// Counts classes as they are and as they are predicted.
class Confusion {
 public:
  explicit Confusion(std::vector<std::string> classes);
  void add(std::int64_t truth, std::int64_t predicted);
  /// [true class][predicted class].
  [[nodiscard]] const std::vector<std::vector<std::int64_t>>& counts() const { return counts_; }
  /// Precision, recall and F1 of each class; 0 where a class was never predicted or never there.
  [[nodiscard]] std::vector<ClassMetrics> per_class() const;

 private:
  std::vector<std::string> classes_;
  std::vector<std::vector<std::int64_t>> counts_;
};

}  // namespace snug
