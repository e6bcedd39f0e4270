// --set KEY=VALUE
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "config/findings.h"
#include "config/value.h"

namespace snug::config {

/// Writes the options into the tree, in order. What they say is checked later, like the rest of the tree; only faults
/// of the keys themselves are findings here. Their values stand at "--set KEY".
void apply_overrides(const std::vector<std::pair<std::string, std::string>>& options, Value& root, Findings& findings);

}  // namespace snug::config
