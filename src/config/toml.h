// TOML text to a Value tree. The only file that knows the TOML library is toml.cpp.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/findings.h"
#include "config/value.h"

namespace snug::config {

/// Text larger than this is refused: no config is, and reading stays quick.
inline constexpr std::size_t kLargestFileBytes = 4 << 20;

/// Parses a document; `file` stands in every position. A syntax error is a finding and gives nothing.
[[nodiscard]] std::optional<Value> parse_toml(std::string_view text, const std::string& file, Findings& findings);

/// `text` as one TOML value, every part of it placed at `where`; what is no TOML value is a string.
[[nodiscard]] Value parse_value(std::string_view text, const Position& where);

}  // namespace snug::config
