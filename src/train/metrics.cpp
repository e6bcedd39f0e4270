#include "train/metrics.h"

#include <utility>

#include "program/op_list.h"

namespace snug {

Metrics metrics_of(std::span<const double> totals) {
  const double weight = totals[TrainStats::weight_sum];
  const double samples = totals[TrainStats::samples];
  const auto share = [](double part, double whole) { return whole > 0 ? part / whole : 0.0; };
  return {.loss = share(totals[TrainStats::loss_sum], weight),
          .accuracy = share(totals[TrainStats::correct], samples),
          .top5_accuracy = share(totals[TrainStats::correct_top5], samples),
          .samples = static_cast<std::int64_t>(samples)};
}

std::string best_metric(Loss loss, bool has_val) {
  return std::string(has_val ? "val_" : "train_") + (loss == Loss::mse ? "loss" : "accuracy");
}

std::optional<double> metric_value(const EpochEvent& epoch, std::string_view name) {
  if (name == "train_loss") return epoch.train_loss;
  if (name == "train_accuracy") return epoch.train_accuracy;
  if (name == "val_loss") return epoch.val_loss;
  if (name == "val_accuracy") return epoch.val_accuracy;
  return std::nullopt;
}

bool improves(std::string_view metric, double value, const std::optional<double>& best) {
  if (!best) return true;
  return metric.ends_with("loss") ? value < *best : value > *best;
}

Confusion::Confusion(std::vector<std::string> classes)
    : classes_(std::move(classes)), counts_(classes_.size(), std::vector<std::int64_t>(classes_.size())) {}

void Confusion::add(std::int64_t truth, std::int64_t predicted) {
  ++counts_[static_cast<std::size_t>(truth)][static_cast<std::size_t>(predicted)];
}

std::vector<ClassMetrics> Confusion::per_class() const {
  std::vector<ClassMetrics> metrics;
  const auto share = [](double part, double whole) { return whole > 0 ? part / whole : 0.0; };
  for (std::size_t c = 0; c < classes_.size(); ++c) {
    std::int64_t there = 0, predicted = 0;
    for (std::size_t other = 0; other < classes_.size(); ++other) {
      there += counts_[c][other];
      predicted += counts_[other][c];
    }
    const auto hits = static_cast<double>(counts_[c][c]);
    const double precision = share(hits, static_cast<double>(predicted));
    const double recall = share(hits, static_cast<double>(there));
    metrics.push_back({.name = classes_[c],
                       .precision = precision,
                       .recall = recall,
                       .f1 = share(2 * precision * recall, precision + recall),
                       .support = there});
  }
  return metrics;
}

}  // namespace snug
