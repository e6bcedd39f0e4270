// C: what a config can say and this version does not do. What open_data refuses by itself is not repeated here.
#include <algorithm>

#include <fmt/format.h>

#include "check/families.h"

namespace snug {

namespace {

void unsupported(const Config& config, std::string_view key, std::string_view value, std::string fix,
                 Findings& findings) {
  findings.push_back(finding("C201", config.where(key),
                             fmt::format("{} = {} is not supported by this version", key, value), std::move(fix)));
}

}  // namespace

void check_support(const Config& config, Findings& findings) {
  if (config.data.cache == CacheMode::device) {
    unsupported(config, "data.cache", "\"device\"", "cache = \"ram\"", findings);
  }
}

}  // namespace snug
