#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>

namespace snug {

/// Where the program keeps what it can find out again: $XDG_CACHE_HOME/snug, else ~/.cache/snug; empty when neither is
/// known.
[[nodiscard]] std::filesystem::path cache_folder();

/// Keeps a folder bounded: of the files whose names begin with `prefix` the `most` that were written last stay.
void drop_oldest(const std::filesystem::path& folder, std::string_view prefix, std::size_t most);

}  // namespace snug
