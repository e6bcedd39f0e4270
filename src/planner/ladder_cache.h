// Choices of drops that were found once, on disk: a large network's take a second, and depend on it and the device
// alone.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "planner/planner.h"

namespace snug {

/// All that a ladder depends on, in one text. `open`: the program that it is built for.
[[nodiscard]] std::string ladder_subject(const Program& open, const DeviceRates& rates, bool in_place);

using Rungs = std::vector<std::vector<char>>;

/// The rungs of `subject`, each a choice of so many storages; nothing where they are not known. Never trusted: a file
/// that is not whole is none. Without a folder nothing is known and nothing kept.
[[nodiscard]] std::optional<Rungs> load_ladder(const std::filesystem::path& folder, const std::string& subject,
                                               std::size_t storages);
void save_ladder(const std::filesystem::path& folder, const std::string& subject, const Rungs& rungs);

}  // namespace snug
