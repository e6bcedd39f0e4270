// An evaluation with what it was made of: for whoever shows samples beside the numbers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/dataset.h"
#include "snug/trainer.h"
#include "train/setup.h"

namespace snug {

struct Evaluation {
  EvalResult result;
  std::filesystem::path checkpoint;
  std::int64_t epoch = 0;  ///< of the checkpoint
  Config config;           ///< that it was made with
  std::shared_ptr<const Dataset> data;
  std::vector<std::string> classes;  ///< names of SampleOutcome's classes, or of the outputs
};
/// As `evaluate` does. `computer`: what computes it, instead of this processor. Throws Error.
[[nodiscard]] Evaluation evaluate_split(const std::filesystem::path& checkpoint, const EvalOptions& options,
                                        const std::optional<Computer>& computer = {});

/// A sample as people know it.
struct ShownSample {
  SampleOutcome outcome;
  std::string where;             ///< "cats/7.jpg", "x.npy[17]"
  std::string truth, predicted;  ///< names; empty where a sample has no class
  std::string picture{};         ///< a PNG in base64; may be empty
};
/// Names and places of outcomes.
[[nodiscard]] std::vector<ShownSample> shown_samples(std::span<const SampleOutcome> outcomes, const Dataset& data,
                                                     std::span<const std::string> classes);
/// Fills in small pictures. Throws Error as reading the samples does.
void add_pictures(std::vector<ShownSample>& samples, const Dataset& data);

/// What a run folder keeps of an evaluation (evaluation.json): numbers, some samples, the worst mistakes.
struct RunEvaluation {
  std::int64_t epoch = 0;  ///< after which it was made
  std::string split = "val";
  EvalResult result;  ///< without outcomes
  std::vector<ShownSample> samples, mistakes;
};
/// Takes a dozen of the outcomes each. Throws Error as reading the samples does.
[[nodiscard]] RunEvaluation run_evaluation(const EvalResult& result, std::int64_t epoch, const Dataset& data,
                                           std::span<const std::string> classes);

/// The object of `eval --json`, on one line.
[[nodiscard]] std::string eval_json(const EvalResult& result, std::span<const ShownSample> mistakes = {});
[[nodiscard]] std::string run_evaluation_json(const RunEvaluation& evaluation);
/// Throws Error (D) for what is no such file; `where` names it.
[[nodiscard]] RunEvaluation read_run_evaluation(std::string_view text, const std::string& where);

}  // namespace snug
