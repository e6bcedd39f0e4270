#pragma once

#include <filesystem>

namespace snug {

/// Where the program keeps what it can find out again: $XDG_CACHE_HOME/snug, else ~/.cache/snug; empty when neither is
/// known.
[[nodiscard]] std::filesystem::path cache_folder();

}  // namespace snug
