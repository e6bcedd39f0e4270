// What `predict` shows: a table for people, lines of JSON and CSV, the pictures with what they were taken for.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "data/picture.h"
#include "train/prediction.h"

namespace snug {

/// File, class, probability and the next two classes, a line per image. No line is longer than `width` columns as far
/// as that can be had: first names of files lose their beginning, then the third and the second class go, then names of
/// classes lose their end. 0: nothing is cut.
[[nodiscard]] std::string predictions_text(std::span<const Prediction> predictions, std::size_t width);
/// file,class,probability with a line per image. Of numbers to meet there is no class.
[[nodiscard]] std::string predictions_csv(std::span<const Prediction> predictions);
/// The pictures that were kept, each with its class, probability and file below.
[[nodiscard]] Picture predictions_sheet(const PredictedImages& images);

}  // namespace snug
