// What an evaluation finds out sample by sample, beside the sums of the loss steps: a confusion matrix where a sample
// has one class, hits of each output where it has several, the area under the ROC curve, calibration, outcomes.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/loader.h"
#include "train/metrics.h"

namespace snug {

struct OutcomesOptions {
  Loss loss = Loss::sparse_categorical_crossentropy;
  std::int64_t outputs = 0;          ///< of the network, per sample
  std::vector<std::string> classes;  ///< names, where they are known
  std::int64_t samples = 0;          ///< of the split
  std::int64_t most_outcomes = 0;    ///< of more samples every n-th is kept, so that it is not more than these
  std::int64_t most_classes = std::numeric_limits<std::int64_t>::max();  ///< no confusion matrix beyond
};

struct RankedScore {
  float score = 0;  ///< grows with the probability of being positive
  bool positive = false;
};
/// Area under the ROC curve of `scores`, ties counted half; nothing when there is but one class.
[[nodiscard]] std::optional<double> area_under_roc(std::vector<RankedScore> scores);

/// What the classes are called; numbers where they have no names.
[[nodiscard]] std::vector<std::string> outcome_classes(const OutcomesOptions& options);

class Outcomes {
 public:
  explicit Outcomes(OutcomesOptions options);
  /// `logits`: the network's outputs for the batch, [batch, outputs]. Batches come in the order of the data.
  void add(const Batch& batch, std::span<const float> logits);
  /// Leaves nothing behind but the names.
  [[nodiscard]] EvalResult take_result(const Metrics& metrics);
  [[nodiscard]] const std::vector<std::string>& classes() const { return names_; }

 private:
  /// One of several yes-or-no outputs.
  struct Counts {
    std::int64_t there = 0, predicted = 0, hits = 0;
  };
  struct Bin {
    std::int64_t samples = 0, hits = 0;
    double confidence = 0;
  };

  [[nodiscard]] SampleOutcome outcome_of(const Batch& batch, std::size_t i, std::span<const float> row) const;
  void add_several(std::span<const float> truth, std::span<const float> row);
  void add_classified(const SampleOutcome& outcome, std::span<const float> row);
  [[nodiscard]] bool has_one_class() const { return options_.loss != Loss::mse && several_.empty(); }

  OutcomesOptions options_;
  std::vector<std::string> names_;
  std::vector<Counts> several_;
  Confusion confusion_;
  std::vector<Bin> bins_;
  std::vector<RankedScore> scores_;
  std::vector<SampleOutcome> kept_;
  std::int64_t stride_ = 0;
};

/// Memory of an evaluation's outcomes, and of the result that is taken from them.
[[nodiscard]] std::int64_t outcomes_bytes(const OutcomesOptions& options);

/// The outcomes that are wrong, the most expensive first, at most `count`; where samples have no class, those with the
/// largest loss.
[[nodiscard]] std::vector<SampleOutcome> worst_outcomes(std::span<const SampleOutcome> outcomes, std::size_t count);

}  // namespace snug
