// Findings as the contract's JSON object, and as text for people.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "snug/diagnostic.h"

namespace snug {

/// `{"findings":[…],"errors":1,"warnings":0,"notes":0}` on one line, without its end.
[[nodiscard]] std::string findings_json(std::span<const Diagnostic> findings);

/// "error A104 at configs/x.toml:12:5" with what and fix below; one block a finding, errors last so that they are next
/// to the prompt.
[[nodiscard]] std::string findings_text(std::span<const Diagnostic> findings, bool colour);

/// "2 errors, 1 warning, 1 note"; "clean: no errors, no warnings" when there are none of these (notes are counted
/// behind it).
[[nodiscard]] std::string findings_count(std::span<const Diagnostic> findings);

}  // namespace snug
