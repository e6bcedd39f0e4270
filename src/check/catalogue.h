// Every code that a finding can have: the one table that docs/findings.md is written from.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "snug/diagnostic.h"

namespace snug {

struct CatalogueEntry {
  std::string_view code;
  Severity severity = Severity::error;  ///< as a rule; where it depends, `meaning` says on what
  std::string_view meaning;
  std::string_view example;  ///< what makes it happen
  std::string_view fix;      ///< what its fix looks like
};

/// Ordered by family and number.
[[nodiscard]] std::span<const CatalogueEntry> catalogue();
/// Null for a code that is none.
[[nodiscard]] const CatalogueEntry* find_code(std::string_view code);

/// docs/findings.md.
[[nodiscard]] std::string findings_reference();

}  // namespace snug
