#include "cli/profiles.h"

#include <toml++/toml.h>
#include <algorithm>
#include <system_error>

#include "config/search.h"

namespace snug {

namespace {

void add_profiles(const std::filesystem::path& folder, std::vector<ProfileEntry>& profiles) {
  std::error_code missing;
  for (const auto& file : std::filesystem::directory_iterator(folder, missing)) {
    if (file.path().extension() != ".toml") continue;
    try {
      const toml::table table = toml::parse_file(file.path().string());
      profiles.push_back({.name = file.path().stem().string(),
                          .device = table["device"].value_or(std::string()),
                          .total_bytes = table["total_bytes"].value_or(std::int64_t{0}),
                          .compute_capability = table["compute_capability"].value_or(std::string())});
    } catch (const toml::parse_error&) {
      continue;  // what is none is not listed
    }
  }
}

}  // namespace

std::vector<ProfileEntry> device_profiles() {
  std::vector<ProfileEntry> profiles;
  const auto folders = config::installed_folders();
  if (!folders.empty()) add_profiles(folders.front() / "devices", profiles);
  std::ranges::sort(profiles, {}, &ProfileEntry::name);
  return profiles;
}

}  // namespace snug
