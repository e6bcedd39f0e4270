// A field of a CSV file (RFC 4180).
#pragma once

#include <string>

namespace snug {

/// In quotes where it must be.
[[nodiscard]] std::string csv_field(const std::string& text);

}  // namespace snug
