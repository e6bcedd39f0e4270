// docs/config.md, written from the table of keys.
#pragma once

#include <string>
#include <string_view>

namespace snug::config {

/// The reference of all keys as Markdown.
[[nodiscard]] std::string reference();

/// The config that the reference begins with.
[[nodiscard]] std::string_view sample_config();

}  // namespace snug::config
