// Pictures of how a run predicts: a confusion matrix, and samples with what is said of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/picture.h"
#include "snug/trainer.h"

namespace snug {

inline constexpr std::size_t kMostDrawnClasses = 200;

/// `counts` is [true class][predicted class], at most kMostDrawnClasses of them. True classes are rows, named on the
/// left; the shade is a cell's share of its row: right answers blue, wrong ones red. Counts stand in cells that are
/// large enough.
[[nodiscard]] Picture confusion_picture(const std::vector<std::vector<std::int64_t>>& counts,
                                        const std::vector<std::string>& classes);

/// "cat 93%", of a mistake "dog, is cat"; of samples without a class "loss 0.12".
[[nodiscard]] std::string outcome_text(const SampleOutcome& outcome, const std::vector<std::string>& classes);

}  // namespace snug
