#include "train/evaluation.h"

#include <fmt/format.h>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/base64.h"
#include "data/sample_pictures.h"
#include "train/outcomes.h"
#include "train/stored_json.h"

namespace snug {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kShown = 12;          // samples and mistakes that a run keeps
constexpr std::int64_t kLongestSide = 112;  // pixels: some 20 KB of a photograph

std::string class_name(std::span<const std::string> classes, std::int32_t number) {
  const auto place = static_cast<std::size_t>(number);
  return number >= 0 && place < classes.size() ? classes[place] : std::string();
}

/// `count` of them, evenly.
std::vector<SampleOutcome> spread(std::span<const SampleOutcome> outcomes, std::size_t count) {
  std::vector<SampleOutcome> taken;
  const std::size_t most = std::min(count, outcomes.size());
  for (std::size_t i = 0; i < most; ++i) taken.push_back(outcomes[(2 * i + 1) * outcomes.size() / (2 * most)]);
  return taken;
}

Json sample_object(const ShownSample& sample) {
  Json object{{"sample", sample.outcome.sample}, {"where", sample.where}, {"loss", sample.outcome.loss}};
  if (sample.outcome.truth >= 0) {
    object["truth"] = sample.truth;
    object["predicted"] = sample.predicted;
    object["correct"] = sample.outcome.truth == sample.outcome.predicted;
    object["probability"] = sample.outcome.probability;
    object["true_probability"] = sample.outcome.true_probability;
  }
  if (!sample.picture.empty()) object["png"] = sample.picture;
  return object;
}

Json samples_array(std::span<const ShownSample> samples) {
  Json array = Json::array();
  for (const ShownSample& sample : samples) array.push_back(sample_object(sample));
  return array;
}

void add_result(Json& object, const EvalResult& result) {
  Json classes = Json::array();
  for (const ClassMetrics& metrics : result.per_class) {
    classes.push_back({{"name", metrics.name},
                       {"precision", metrics.precision},
                       {"recall", metrics.recall},
                       {"f1", metrics.f1},
                       {"support", metrics.support}});
  }
  object["loss"] = result.loss;
  object["accuracy"] = result.accuracy;
  object["top5_accuracy"] = result.top5_accuracy;
  object["samples"] = result.samples;
  object["confusion"] = result.confusion;
  object["per_class"] = std::move(classes);
  if (result.auc) object["auc"] = *result.auc;
  if (!result.calibration) return;
  Json bins = Json::array();
  for (const CalibrationBin& bin : result.calibration->bins)
    bins.push_back({{"samples", bin.samples}, {"confidence", bin.confidence}, {"accuracy", bin.accuracy}});
  object["calibration"] = {{"expected_error", result.calibration->expected_error}, {"bins", std::move(bins)}};
}

std::string dump(const Json& object) { return object.dump(-1, ' ', false, Json::error_handler_t::replace); }

// Reading: `at`, `get_to` and `whole_number` throw std::exception for what is missing or of another type.

ShownSample read_sample(const Json& json) {
  ShownSample sample;
  sample.outcome.sample = whole_number(json.at("sample"));
  json.at("where").get_to(sample.where);
  json.at("loss").get_to(sample.outcome.loss);
  if (json.contains("png")) json.at("png").get_to(sample.picture);
  if (!json.contains("truth")) return sample;
  json.at("truth").get_to(sample.truth);
  json.at("predicted").get_to(sample.predicted);
  json.at("probability").get_to(sample.outcome.probability);
  json.at("true_probability").get_to(sample.outcome.true_probability);
  sample.outcome.truth = 0;  // names alone are kept: equal or not is what the numbers still say
  sample.outcome.predicted = json.at("correct").get<bool>() ? 0 : 1;
  return sample;
}

EvalResult read_result(const Json& json) {
  EvalResult result;
  json.at("loss").get_to(result.loss);
  json.at("accuracy").get_to(result.accuracy);
  json.at("top5_accuracy").get_to(result.top5_accuracy);
  result.samples = whole_number(json.at("samples"));
  for (const Json& row : json.at("confusion")) {
    result.confusion.emplace_back();
    for (const Json& count : row) result.confusion.back().push_back(whole_number(count));
  }
  for (const Json& row : json.at("per_class"))
    result.per_class.push_back({.name = row.at("name").get<std::string>(),
                                .precision = row.at("precision").get<double>(),
                                .recall = row.at("recall").get<double>(),
                                .f1 = row.at("f1").get<double>(),
                                .support = whole_number(row.at("support"))});
  if (json.contains("auc")) result.auc = json.at("auc").get<double>();
  if (!json.contains("calibration")) return result;
  result.calibration.emplace();
  json.at("calibration").at("expected_error").get_to(result.calibration->expected_error);
  for (const Json& bin : json.at("calibration").at("bins"))
    result.calibration->bins.push_back({.samples = whole_number(bin.at("samples")),
                                        .confidence = bin.at("confidence").get<double>(),
                                        .accuracy = bin.at("accuracy").get<double>()});
  return result;
}

bool is_square(const EvalResult& result) {
  return std::ranges::all_of(result.confusion,
                             [&](const auto& row) { return row.size() == result.confusion.size(); }) &&
         (result.confusion.empty() || result.confusion.size() == result.per_class.size());
}

[[noreturn]] void throw_unreadable(const std::string& where) {
  throw Error(Diagnostic{.code = "D615",
                         .where = where,
                         .what = "the file is not an evaluation as a run writes it",
                         .fix = fmt::format("rm {}   # snug runs report RUN makes a new one", where)});
}

}  // namespace

std::vector<ShownSample> shown_samples(std::span<const SampleOutcome> outcomes, const Dataset& data,
                                       std::span<const std::string> classes) {
  std::vector<ShownSample> shown;
  for (const SampleOutcome& outcome : outcomes)
    shown.push_back({.outcome = outcome,
                     .where = data.where(outcome.sample),
                     .truth = class_name(classes, outcome.truth),
                     .predicted = class_name(classes, outcome.predicted)});
  return shown;
}

void add_pictures(std::vector<ShownSample>& samples, const Dataset& data) {
  std::vector<std::int64_t> indices;
  indices.reserve(samples.size());
  for (const ShownSample& sample : samples) indices.push_back(sample.outcome.sample);
  const std::vector<Picture> pictures = sample_pictures(data, indices);
  for (std::size_t i = 0; i < samples.size(); ++i)
    samples[i].picture = base64(encode_png(thumbnail(pictures[i], kLongestSide)));
}

RunEvaluation run_evaluation(const EvalResult& result, std::int64_t epoch, const Dataset& data,
                             std::span<const std::string> classes) {
  RunEvaluation evaluation{.epoch = epoch,
                           .result = result,
                           .samples = shown_samples(spread(result.outcomes, kShown), data, classes),
                           .mistakes = shown_samples(worst_outcomes(result.outcomes, kShown), data, classes)};
  evaluation.result.outcomes.clear();
  add_pictures(evaluation.samples, data);
  add_pictures(evaluation.mistakes, data);
  return evaluation;
}

std::string eval_json(const EvalResult& result, std::span<const ShownSample> mistakes) {
  Json object;
  add_result(object, result);
  if (!mistakes.empty()) object["mistakes"] = samples_array(mistakes);
  return dump(object);
}

std::string run_evaluation_json(const RunEvaluation& evaluation) {
  Json object{{"epoch", evaluation.epoch}, {"split", evaluation.split}};
  add_result(object, evaluation.result);
  object["shown"] = samples_array(evaluation.samples);
  object["mistakes"] = samples_array(evaluation.mistakes);
  return dump(object);
}

RunEvaluation read_run_evaluation(std::string_view text, const std::string& where) {
  try {
    const Json json = Json::parse(text);
    RunEvaluation evaluation{.result = read_result(json), .samples = {}, .mistakes = {}};
    evaluation.epoch = whole_number(json.at("epoch"));
    json.at("split").get_to(evaluation.split);
    for (const Json& sample : json.at("shown")) evaluation.samples.push_back(read_sample(sample));
    for (const Json& sample : json.at("mistakes")) evaluation.mistakes.push_back(read_sample(sample));
    if (is_square(evaluation.result)) return evaluation;
  } catch (const std::exception&) {  // told below
  }
  throw_unreadable(where);
}

}  // namespace snug
