// The little that writing HTML needs. What comes out is well-formed XML too.
#pragma once

#include <string>
#include <string_view>

namespace snug {

/// Text for an element or an attribute: markup is escaped; what is not UTF-8, or no character of XML, becomes U+FFFD.
[[nodiscard]] std::string html_text(std::string_view text);

/// A number with at most two digits behind the point and none that say nothing: "3", "0.5".
[[nodiscard]] std::string short_number(double value);

}  // namespace snug
