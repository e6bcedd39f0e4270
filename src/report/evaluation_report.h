// What `eval` shows beside its numbers: the worst mistakes as text and as a picture, every sample as a line of CSV.
#pragma once

#include <cstddef>
#include <string>

#include "data/picture.h"
#include "train/evaluation.h"

namespace snug {

/// The numbers, then the worst mistakes; for people.
[[nodiscard]] std::string evaluation_text(const Evaluation& evaluation);
/// The object of `eval --json`, with the worst mistakes.
[[nodiscard]] std::string evaluation_json(const Evaluation& evaluation);
/// index,file,truth,predicted,probability,true_probability,loss with a line for every sample.
[[nodiscard]] std::string outcomes_csv(const Evaluation& evaluation);
/// The worst mistakes with what they are and what they were taken for; where there are none, an empty picture.
[[nodiscard]] Picture mistakes_sheet(const Evaluation& evaluation, std::size_t most);

}  // namespace snug
