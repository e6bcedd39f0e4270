// Predictions with what they were made of: for whoever shows both.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <vector>

#include "data/picture.h"
#include "snug/trainer.h"
#include "train/setup.h"

namespace snug {

struct PredictedImages {
  std::vector<Prediction> predictions;
  std::vector<Picture> pictures;  ///< of the first of them, as the network sees them but before scaling
};

/// As `predict` does, on whatever computes, and keeps the pictures of the first `most_pictures`.
[[nodiscard]] PredictedImages predict_images(const Computer& computer, const std::filesystem::path& checkpoint,
                                             std::span<const std::filesystem::path> files, std::size_t most_pictures,
                                             std::vector<Diagnostic>& findings);

}  // namespace snug
