// An evaluation with what it was made of: for whoever shows samples beside the numbers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "snug/trainer.h"

namespace snug {

struct Evaluation {
  EvalResult result;
  std::filesystem::path checkpoint;
  std::int64_t epoch = 0;  ///< of the checkpoint
  Config config;           ///< that it was made with
  std::shared_ptr<const Dataset> data;
  std::vector<std::string> classes;  ///< names of SampleOutcome's classes, or of the outputs
};
/// As `evaluate` does. Throws Error.
[[nodiscard]] Evaluation evaluate_split(const std::filesystem::path& checkpoint, const EvalOptions& options);

}  // namespace snug
