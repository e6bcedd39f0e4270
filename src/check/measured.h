// What only running shows: one real batch through the training program (T2xx), and with `deep` some training.
#pragma once

#include <vector>

#include "snug/diagnostic.h"
#include "train/setup.h"

namespace snug {

struct MeasureOptions {
  bool deep = false;       ///< overfit a batch, probe the labels, watch frozen parameters
  bool odd_scale = false;  ///< the images' scale has been told already: what follows from it is not
  int threads = 0;
};

/// Runs on this machine's CPU, whatever the run is for; what needs more memory than is sensible is left out. In a
/// process of its own, so that the caller's memory stays its own. Call while this process has one thread.
[[nodiscard]] std::vector<Diagnostic> measure_apart(const Config& config, const RunSetup& setup,
                                                    const MeasureOptions& options);

/// The same in this process.
[[nodiscard]] std::vector<Diagnostic> measure(const Config& config, const RunSetup& setup,
                                              const MeasureOptions& options);

}  // namespace snug
