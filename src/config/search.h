// Where configs, model files and device profiles that came with the program are found.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace snug::config {

/// The folders of installed configs that exist, best first: $SNUG_CONFIGS, share/snug/configs beside the program's
/// folder, and the configs of the source tree.
[[nodiscard]] std::vector<std::filesystem::path> installed_folders();

/// `name` itself when absolute, else beside `folder`, else among the installed configs.
[[nodiscard]] std::optional<std::filesystem::path> find_file(const std::filesystem::path& name,
                                                             const std::filesystem::path& folder);

/// A file's name like `name` among its siblings in the folders that were sought.
[[nodiscard]] std::optional<std::string> nearest_file(const std::filesystem::path& name,
                                                      const std::filesystem::path& folder);

}  // namespace snug::config
