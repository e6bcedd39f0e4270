// Other settings of a run, for where it does not fit: what `plan` proposes beside a smaller batch.
#pragma once

#include <vector>

#include "train/setup.h"

namespace snug {

/// The change by which images that do not fit the device come from the host.
inline constexpr std::string_view kImagesFromHost = "data.cache = \"ram\"";

/// From what changes little to what changes much: every strategy, less scratch, two-byte activations, an optimizer with
/// less state, smaller pictures; and several of them. `request`: of the run as it is, for `device`.
[[nodiscard]] std::vector<ChangedRun> changed_runs(const Config& config, const RunSetup& setup,
                                                   const PlanRequest& request, const DeviceMemory& device,
                                                   const PlanRunOptions& options, const PlanReport& refused);

}  // namespace snug
