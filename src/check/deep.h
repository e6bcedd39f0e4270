// What takes training steps: `check --deep`. Internal to the folder.
#pragma once

#include <cstdint>
#include <memory>

#include "check/families.h"
#include "check/rehearsal.h"

namespace snug {

/// A run of fp32 casts nothing (T207). `program`: of a training step whose activations are of `type`.
void check_types(const Config& config, DType type, const Program& program, Findings& findings);

/// One batch that cannot be learned (T205), frozen parameters that change (T206), labels that say nothing about their
/// images (L212).
void check_deeply(const Config& config, const RunSetup& setup, int threads, Findings& findings);

/// A program for as many of `most_samples` as memory allows; null where not even two fit.
[[nodiscard]] std::unique_ptr<Rehearsal> rehearsal_of(const RunSetup& setup, std::int64_t most_samples, int threads);

}  // namespace snug
