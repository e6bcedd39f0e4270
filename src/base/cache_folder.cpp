#include "base/cache_folder.h"

#include <algorithm>
#include <cstdlib>
#include <system_error>
#include <utility>
#include <vector>

namespace snug {

namespace fs = std::filesystem;

fs::path cache_folder() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache == '/') {
    return fs::path(cache) / "snug";
  }
  if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/') return fs::path(home) / ".cache/snug";
  return {};
}

void drop_oldest(const fs::path& folder, std::string_view prefix, std::size_t most) {
  std::error_code error;
  std::vector<std::pair<fs::file_time_type, fs::path>> files;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().filename().string().starts_with(prefix)) {
      files.emplace_back(entry.last_write_time(error), entry.path());
    }
  }
  if (files.size() <= most) return;
  std::ranges::sort(files);
  for (std::size_t i = 0; i + most < files.size(); ++i) fs::remove(files[i].second, error);
}

}  // namespace snug
