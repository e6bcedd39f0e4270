// What pages have in common: their head, figures, cards, findings.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "snug/diagnostic.h"

namespace snug {

/// Up to the start of the body. The page may load nothing; pictures may lie in it. `more_style`: behind page_style().
[[nodiscard]] std::string page_head(std::string_view title, std::string_view more_style);
/// A section with a picture, left open: what belongs to it may follow before "</section>". `id` is its title's.
[[nodiscard]] std::string figure(std::string_view id, std::string_view title, const std::string& picture,
                                 std::string_view caption);
/// An entry of <dl class="cards">.
[[nodiscard]] std::string card(std::string_view title, const std::string& value, const std::string& note);
/// Empty without findings.
[[nodiscard]] std::string findings_list(std::span<const Diagnostic> findings);

}  // namespace snug
