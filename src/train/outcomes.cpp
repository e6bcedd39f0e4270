#include "train/outcomes.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "train/inference.h"

namespace snug {

namespace {

constexpr std::size_t kBins = 15;  // of calibration, as most papers have it

double share(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0.0;
}

std::int32_t arg_max(std::span<const float> row) {
  return static_cast<std::int32_t>(std::ranges::max_element(row) - row.begin());
}

/// log Σ exp(row).
float log_sum(std::span<const float> row) {
  const float most = std::ranges::max(row);
  float sum = 0;
  for (const float value : row) sum += std::exp(value - most);
  return most + std::log(sum);
}

/// −t log σ(x) − (1 − t) log(1 − σ(x)), without overflow.
float yes_no_loss(float logit, float truth) {
  return std::max(logit, 0.0F) - logit * truth + std::log1p(std::exp(-std::abs(logit)));
}

float sigmoid(float logit) { return 1 / (1 + std::exp(-logit)); }

bool has_several(const OutcomesOptions& options) {
  return options.loss == Loss::binary_crossentropy && options.outputs > 1;
}

/// Of samples with one class: what softmax says of it.
SampleOutcome classified(std::int32_t truth, std::span<const float> row) {
  const std::int32_t predicted = arg_max(row);
  const float all = log_sum(row);
  const auto log_of = [&](std::int32_t c) { return row[static_cast<std::size_t>(c)] - all; };
  return {.truth = truth,
          .predicted = predicted,
          .probability = std::exp(log_of(predicted)),
          .true_probability = std::exp(log_of(truth)),
          .loss = -log_of(truth)};
}

/// Of samples that are or are not: class 1 is what the one output says yes to.
SampleOutcome yes_or_no(float truth, float logit) {
  const float yes = sigmoid(logit);
  const auto of = [&](bool positive) { return positive ? yes : 1 - yes; };
  return {.truth = truth > 0.5F ? 1 : 0,
          .predicted = logit > 0 ? 1 : 0,
          .probability = of(logit > 0),
          .true_probability = of(truth > 0.5F),
          .loss = yes_no_loss(logit, truth)};
}

}  // namespace

std::optional<double> area_under_roc(std::vector<RankedScore> scores) {
  std::ranges::sort(scores, {}, &RankedScore::score);
  double below = 0;  // negatives with a lower score
  double sum = 0;
  double positives = 0;
  for (std::size_t begin = 0; begin < scores.size();) {
    std::size_t end = begin;
    double yes = 0;
    double no = 0;
    for (; end < scores.size() && scores[end].score == scores[begin].score; ++end) ++(scores[end].positive ? yes : no);
    sum += yes * (below + no / 2);
    below += no;
    positives += yes;
    begin = end;
  }
  if (positives == 0 || below == 0) return std::nullopt;
  return sum / (positives * below);
}

std::vector<SampleOutcome> worst_outcomes(std::span<const SampleOutcome> outcomes, std::size_t count) {
  std::vector<SampleOutcome> wrong;
  for (const SampleOutcome& outcome : outcomes) {
    if (outcome.truth < 0 || outcome.truth != outcome.predicted) wrong.push_back(outcome);
  }
  const std::size_t kept = std::min(count, wrong.size());
  const auto middle = wrong.begin() + static_cast<std::ptrdiff_t>(kept);
  std::ranges::partial_sort(wrong, middle, [](const SampleOutcome& a, const SampleOutcome& b) {
    return a.loss != b.loss ? a.loss > b.loss : a.sample < b.sample;
  });
  wrong.erase(middle, wrong.end());
  return wrong;
}

std::vector<std::string> outcome_classes(const OutcomesOptions& options) {
  const bool yes_no = options.loss == Loss::binary_crossentropy && options.outputs == 1;
  return class_names(options.classes, yes_no ? 2 : options.outputs);
}

Outcomes::Outcomes(OutcomesOptions options)
    : options_(std::move(options)),
      names_(outcome_classes(options_)),
      several_(has_several(options_) ? names_.size() : 0),
      confusion_(has_one_class() && std::ssize(names_) <= options_.most_classes ? names_ : std::vector<std::string>()),
      bins_(has_one_class() ? kBins : 0) {
  if (has_one_class() && names_.size() == 2) scores_.reserve(static_cast<std::size_t>(options_.samples));
  const std::int64_t most = options_.most_outcomes;
  if (most > 0) stride_ = std::max<std::int64_t>(1, (options_.samples + most - 1) / most);
  if (stride_ > 0) kept_.reserve(static_cast<std::size_t>((options_.samples + stride_ - 1) / stride_));
}

std::int64_t outcomes_bytes(const OutcomesOptions& options) {
  const auto bytes = [](std::int64_t count, std::size_t size) { return count * static_cast<std::int64_t>(size); };
  const std::int64_t classes = std::max<std::int64_t>(options.outputs, 2);
  std::int64_t sum = bytes(std::min(options.most_outcomes, options.samples), sizeof(SampleOutcome));
  if (options.loss != Loss::mse && classes <= options.most_classes)
    sum += bytes(classes * classes, sizeof(std::int64_t));
  if (options.loss != Loss::mse && classes == 2) sum += bytes(options.samples, sizeof(RankedScore));
  return sum;
}

SampleOutcome Outcomes::outcome_of(const Batch& batch, std::size_t i, std::span<const float> row) const {
  const std::span<const float> truth = batch.rows.empty() ? batch.rows : batch.rows.subspan(i * row.size(), row.size());
  SampleOutcome outcome;
  if (batch.rows.empty()) {
    outcome = classified(batch.labels[i], row);
  } else if (options_.loss != Loss::binary_crossentropy && options_.loss != Loss::mse) {
    // Of class numbers too, where the training mixes samples.
    outcome = classified(arg_max(truth), row);
    const float all = log_sum(row);
    outcome.loss = 0;
    for (std::size_t c = 0; c < row.size(); ++c) outcome.loss += truth[c] * (all - row[c]);
  } else if (options_.loss == Loss::binary_crossentropy && several_.empty()) {
    outcome = yes_or_no(truth[0], row[0]);
  } else {
    float sum = 0;
    for (std::size_t c = 0; c < row.size(); ++c) {
      const float miss = row[c] - truth[c];
      sum += options_.loss == Loss::mse ? miss * miss : yes_no_loss(row[c], truth[c]);
    }
    outcome.loss = sum / static_cast<float>(row.size());
  }
  outcome.sample = batch.samples[i];
  return outcome;
}

void Outcomes::add(const Batch& batch, std::span<const float> logits) {
  const auto width = static_cast<std::size_t>(options_.outputs);
  for (std::size_t i = 0; i < static_cast<std::size_t>(batch.count); ++i) {
    const std::span<const float> row = logits.subspan(i * width, width);
    const SampleOutcome outcome = outcome_of(batch, i, row);
    if (!several_.empty()) add_several(batch.rows.subspan(i * width, width), row);
    if (has_one_class()) add_classified(outcome, row);
    if (stride_ > 0 && outcome.sample % stride_ == 0) kept_.push_back(outcome);
  }
}

void Outcomes::add_several(std::span<const float> truth, std::span<const float> row) {
  for (std::size_t c = 0; c < several_.size(); ++c) {
    const bool there = truth[c] > 0.5F;
    const bool predicted = row[c] > 0.0F;
    several_[c].there += there ? 1 : 0;
    several_[c].predicted += predicted ? 1 : 0;
    several_[c].hits += there && predicted ? 1 : 0;
  }
}

void Outcomes::add_classified(const SampleOutcome& outcome, std::span<const float> row) {
  if (!confusion_.counts().empty()) confusion_.add(outcome.truth, outcome.predicted);
  const auto place = static_cast<std::size_t>(static_cast<double>(outcome.probability) * kBins);
  Bin& bin = bins_[std::min(place, kBins - 1)];
  ++bin.samples;
  bin.hits += outcome.truth == outcome.predicted ? 1 : 0;
  bin.confidence += static_cast<double>(outcome.probability);
  if (names_.size() == 2)
    scores_.push_back({.score = row.size() == 1 ? row[0] : row[1] - row[0], .positive = outcome.truth == 1});
}

EvalResult Outcomes::take_result(const Metrics& metrics) {
  EvalResult result{.loss = metrics.loss,
                    .accuracy = metrics.accuracy,
                    .top5_accuracy = metrics.top5_accuracy,
                    .samples = metrics.samples,
                    .confusion = confusion_.counts(),
                    .per_class = confusion_.per_class(),
                    .auc = area_under_roc(std::exchange(scores_, {})),
                    .outcomes = std::exchange(kept_, {})};
  for (std::size_t c = 0; c < several_.size(); ++c) {
    const Counts& counts = several_[c];
    result.per_class.push_back({.name = names_[c],
                                .precision = share(counts.hits, counts.predicted),
                                .recall = share(counts.hits, counts.there),
                                .f1 = share(2 * counts.hits, counts.there + counts.predicted),
                                .support = counts.there});
  }
  if (bins_.empty()) return result;
  result.calibration.emplace();
  for (const Bin& bin : bins_) {
    const auto samples = static_cast<double>(std::max<std::int64_t>(bin.samples, 1));
    const CalibrationBin& mean = result.calibration->bins.emplace_back(CalibrationBin{
        .samples = bin.samples, .confidence = bin.confidence / samples, .accuracy = share(bin.hits, bin.samples)});
    result.calibration->expected_error +=
        std::abs(mean.confidence - mean.accuracy) * share(mean.samples, std::max<std::int64_t>(metrics.samples, 1));
  }
  return result;
}

}  // namespace snug
