// Whether labels say anything about their images, as a linear classifier on small pictures sees it. Internal.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/dataset.h"

namespace snug {

/// Classes as they are and as they were told.
struct Agreement {
  std::int64_t samples = 0, right = 0;
  double by_chance = 0;  ///< share of right answers that the same answers would give on shuffled samples
  [[nodiscard]] double share() const;
  /// Deviations above chance.
  [[nodiscard]] double above_chance() const;
};
[[nodiscard]] Agreement agreement_of(std::span<const std::int64_t> truth, std::span<const std::int64_t> told,
                                     std::int64_t classes);

/// Which samples a probe learns from, and which it is asked about.
struct ProbeSamples {
  std::vector<std::int64_t> learned, asked;
};
[[nodiscard]] ProbeSamples probe_samples(std::int64_t samples, std::uint64_t seed);

/// Ridge regression from averaged pixels to classes.
[[nodiscard]] Agreement linear_probe(const Dataset& data, const std::vector<std::int64_t>& labels, std::int64_t classes,
                                     const ProbeSamples& samples);

}  // namespace snug
