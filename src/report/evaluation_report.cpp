#include "report/evaluation_report.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "base/file.h"
#include "data/contact_sheet.h"
#include "data/sample_pictures.h"
#include "report/csv.h"
#include "report/reports.h"
#include "report/table.h"
#include "train/outcomes.h"

namespace snug {

namespace {

constexpr std::size_t kListed = 5;       // mistakes in the text
constexpr std::size_t kMostListed = 25;  // in the JSON

std::vector<ShownSample> worst(const Evaluation& evaluation, std::size_t most) {
  return shown_samples(worst_outcomes(evaluation.result.outcomes, most), *evaluation.data, evaluation.classes);
}

std::string percent(float share) { return fmt::format("{:.1f} %", 100 * share); }

}  // namespace

std::string evaluation_text(const Evaluation& evaluation) {
  std::string text = to_text(evaluation.result);
  const std::vector<ShownSample> mistakes = worst(evaluation, kListed);
  if (mistakes.empty()) return text;
  const bool classified = mistakes.front().outcome.truth >= 0;
  Table table(classified ? std::vector<std::string>{"worst mistakes", "is", "taken for", ">by"}
                         : std::vector<std::string>{"farthest off", ">loss"});
  for (const ShownSample& sample : mistakes) {
    if (classified) {
      table.add_row({from_here(sample.where), sample.truth, sample.predicted, percent(sample.outcome.probability)});
    } else {
      table.add_row({from_here(sample.where), fmt::format("{:.4g}", sample.outcome.loss)});
    }
  }
  return text + "\n" + table.text();
}

std::string evaluation_json(const Evaluation& evaluation) {
  return eval_json(evaluation.result, worst(evaluation, kMostListed));
}

std::string outcomes_csv(const Evaluation& evaluation) {
  std::string text = "index,file,truth,predicted,probability,true_probability,loss\n";
  for (const ShownSample& sample : shown_samples(evaluation.result.outcomes, *evaluation.data, evaluation.classes)) {
    const SampleOutcome& outcome = sample.outcome;
    const auto probability = [&](float value) { return outcome.truth < 0 ? std::string() : fmt::format("{}", value); };
    text += fmt::format("{},{},{},{},{},{},{}\n", outcome.sample, csv_field(sample.where), csv_field(sample.truth),
                        csv_field(sample.predicted), probability(outcome.probability),
                        probability(outcome.true_probability), outcome.loss);
  }
  return text;
}

Picture mistakes_sheet(const Evaluation& evaluation, std::size_t most) {
  const std::vector<ShownSample> mistakes = worst(evaluation, most);
  std::vector<std::int64_t> samples;
  samples.reserve(mistakes.size());
  for (const ShownSample& sample : mistakes) samples.push_back(sample.outcome.sample);
  std::vector<Picture> pictures = sample_pictures(*evaluation.data, samples);
  std::vector<SheetEntry> entries;
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const ShownSample& sample = mistakes[i];
    entries.push_back({std::move(pictures[i]), sample.outcome.truth < 0
                                                   ? fmt::format("{:.3g}", sample.outcome.loss)
                                                   : fmt::format("{}\nNOT {} {:.0f}%", sample.truth, sample.predicted,
                                                                 100 * sample.outcome.probability)});
  }
  return contact_sheet(entries);
}

}  // namespace snug
