#include "config/search.h"

#include <cstdlib>
#include <system_error>

#include "base/text.h"

namespace snug::config {

namespace {

namespace fs = std::filesystem;

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

/// The folders in which `name` may stand.
std::vector<fs::path> roots(const fs::path& name, const fs::path& folder) {
  if (name.is_absolute()) return {fs::path()};
  std::vector<fs::path> out{folder};
  for (const fs::path& installed : installed_folders()) out.push_back(installed);
  return out;
}

}  // namespace

std::vector<fs::path> installed_folders() {
  std::vector<fs::path> candidates;
  if (const char* folder = std::getenv("SNUG_CONFIGS"); folder != nullptr && *folder != '\0') {
    candidates.emplace_back(folder);
  }
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error) candidates.push_back(program.parent_path().parent_path() / "share" / "snug" / "configs");
  candidates.emplace_back(SNUG_SOURCE_CONFIGS);  // for programs that run from a build folder

  std::vector<fs::path> out;
  for (const fs::path& candidate : candidates) {
    if (fs::is_directory(candidate, error)) out.push_back(candidate);
  }
  return out;
}

std::optional<fs::path> find_file(const fs::path& name, const fs::path& folder) {
  for (const fs::path& root : roots(name, folder)) {
    if (is_file(root / name)) return root / name;
  }
  return std::nullopt;
}

std::optional<std::string> nearest_file(const fs::path& name, const fs::path& folder) {
  constexpr std::size_t kMostSiblings = 1000;  // a folder of data is no folder of configs
  std::vector<std::string> siblings;
  for (const fs::path& root : roots(name, folder)) {
    fs::path parent = (root / name).parent_path();
    if (parent.empty()) parent = ".";
    std::error_code error;
    for (fs::directory_iterator entry(parent, error), end; !error && entry != end; entry.increment(error)) {
      if (entry->path().extension() == ".toml") siblings.push_back(entry->path().filename().string());
      if (siblings.size() >= kMostSiblings) break;
    }
  }
  const auto near = nearest(name.filename().string(), siblings);
  if (!near) return std::nullopt;
  return (name.parent_path() / *near).string();
}

}  // namespace snug::config
