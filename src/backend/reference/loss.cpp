#include <algorithm>
#include <cmath>

#include "backend/reference/call.h"
#include "backend/reference/functions.h"

namespace snug::reference {

namespace {

/// The operands of a loss step.
struct LossCall {
  const LossAttributes& attributes;
  Doubles outputs;
  Reader labels;
  Doubles stats;
  Doubles gradient;  ///< not set without attributes.gradient
  double mean_over;  ///< what the sum of losses is divided by
  [[nodiscard]] Index samples() const { return outputs.n(); }
  [[nodiscard]] Index width() const { return outputs.c(); }
};

LossCall loss_call(const Call& call) {
  const auto& attributes = call.attributes<LossAttributes>();
  const int stats = attributes.class_weights ? 4 : 2;
  return {attributes,
          call[0],
          call.reader(1),
          call[stats],
          attributes.gradient ? call[stats + 1] : Doubles{},
          attributes.class_weights ? call.reader(3)(0) : attributes.mean_over};
}

void count_sample(const LossCall& loss, double weight, double value) {
  loss.stats(TrainStats::loss_sum) += weight * value;
  loss.stats(TrainStats::weight_sum) += weight;
  loss.stats(TrainStats::samples) += 1;
  if (!std::isfinite(value)) loss.stats(TrainStats::not_finite) = 1;
}

/// Places before `target` when a row is sorted from large to small, equal values by their index.
Index rank_of(const Doubles& row_of, Index n, Index target) {
  Index before = 0;
  for (Index k = 0; k < row_of.c(); ++k) {
    const bool larger = row_of(n, k) > row_of(n, target);
    const bool equal_and_earlier = row_of(n, k) == row_of(n, target) && k < target;
    if (larger || equal_and_earlier) ++before;
  }
  return before;
}

/// Cross entropy of one sample: target(k) is the label's share of class k before smoothing, `label` its largest.
template <class Target>
void crossentropy_sample(const LossCall& loss, Index n, double weight, Index label, Target target) {
  const Doubles& z = loss.outputs;
  const auto classes = static_cast<double>(loss.width());
  double largest = z(n, 0);
  for (Index k = 1; k < loss.width(); ++k) largest = std::max(largest, z(n, k));
  double sum = 0;
  for (Index k = 0; k < loss.width(); ++k) sum += std::exp(z(n, k) - largest);
  const double log_sum = largest + std::log(sum);
  const auto smooth = [&](Index k) {
    return target(k) * (1 - loss.attributes.label_smoothing) + loss.attributes.label_smoothing / classes;
  };
  double value = 0;
  double shares = 0;
  for (Index k = 0; k < loss.width(); ++k) {
    value -= smooth(k) * (z(n, k) - log_sum);
    shares += smooth(k);
  }
  count_sample(loss, weight, value);
  const Index rank = rank_of(z, n, label);
  if (std::isfinite(value) && rank == 0) loss.stats(TrainStats::correct) += 1;
  if (std::isfinite(value) && rank < 5) loss.stats(TrainStats::correct_top5) += 1;
  if (!loss.attributes.gradient) return;
  for (Index k = 0; k < loss.width(); ++k) {
    const double probability = std::exp(z(n, k) - log_sum);
    loss.gradient(n, k) = weight * (shares * probability - smooth(k)) / loss.mean_over;
  }
}

/// Weight of a row: that of each class by the row's share of it.
double row_weight(const Reader& labels, const Reader& class_weights, Index n, Index classes) {
  double weight = 0;
  for (Index k = 0; k < classes; ++k) weight += labels(n, k) * class_weights(k);
  return weight;
}

}  // namespace

void weight_sum(const Call& call) {
  const Doubles sum = call[2];
  const Reader labels = call.reader(0);
  const Reader class_weights = call.reader(1);
  const Extents extents = call.extents(0);
  sum(0) = 0;
  if (labels.dtype() == DType::i32) {  // [n]: n stands on the last axis
    for (Index n = 0; n < extents[3]; ++n) sum(0) += class_weights(static_cast<Index>(labels(n)));
    return;
  }
  for (Index n = 0; n < extents[0]; ++n) sum(0) += row_weight(labels, class_weights, n, extents[3]);
}

void softmax_crossentropy(const Call& call) {
  const LossCall loss = loss_call(call);
  for (Index n = 0; n < loss.samples(); ++n) {
    const auto label = static_cast<Index>(loss.labels(n));
    const double weight = loss.attributes.class_weights ? call.reader(2)(label) : 1.0;
    crossentropy_sample(loss, n, weight, label, [&](Index k) { return k == label ? 1.0 : 0.0; });
  }
}

void softmax_crossentropy_rows(const Call& call) {
  const LossCall loss = loss_call(call);
  for (Index n = 0; n < loss.samples(); ++n) {
    Index label = 0;
    for (Index k = 1; k < loss.width(); ++k) {
      if (loss.labels(n, k) > loss.labels(n, label)) label = k;
    }
    const double weight =
        loss.attributes.class_weights ? row_weight(loss.labels, call.reader(2), n, loss.width()) : 1.0;
    crossentropy_sample(loss, n, weight, label, [&](Index k) { return loss.labels(n, k); });
  }
}

void sigmoid_crossentropy(const Call& call) {
  const LossCall loss = loss_call(call);
  const auto outputs = static_cast<double>(loss.width());
  for (Index n = 0; n < loss.samples(); ++n) {
    double value = 0;
    bool correct = true;
    for (Index k = 0; k < loss.width(); ++k) {
      const double z = loss.outputs(n, k);
      const double label = loss.labels(n, k);
      const double target = label * (1 - loss.attributes.label_smoothing) + loss.attributes.label_smoothing / 2;
      // −target · log p − (1 − target) · log (1 − p) without the overflow of either logarithm.
      value += (std::max(z, 0.0) - z * target + std::log1p(std::exp(-std::abs(z)))) / outputs;
      correct = correct && (z > 0) == (label > 0.5);
      if (loss.attributes.gradient) {
        loss.gradient(n, k) = (1 / (1 + std::exp(-z)) - target) / outputs / loss.mean_over;
      }
    }
    count_sample(loss, 1, value);
    if (correct) loss.stats(TrainStats::correct) += 1;
  }
}

void mean_squared_error(const Call& call) {
  const LossCall loss = loss_call(call);
  const auto outputs = static_cast<double>(loss.width());
  for (Index n = 0; n < loss.samples(); ++n) {
    double value = 0;
    for (Index k = 0; k < loss.width(); ++k) {
      const double difference = loss.outputs(n, k) - loss.labels(n, k);
      value += difference * difference / outputs;
      if (loss.attributes.gradient) loss.gradient(n, k) = 2 * difference / outputs / loss.mean_over;
    }
    count_sample(loss, 1, value);
  }
}

void add_stats(const Call& call) {
  const Doubles stats = call[0];
  const Doubles totals = call[1];
  for (Index i = 0; i < stats.c(); ++i) totals(i) += stats(i);
}

}  // namespace snug::reference
