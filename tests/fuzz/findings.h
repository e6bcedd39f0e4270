// What every reader owes whoever hands it anything: a finding that can be shown, never a crash.
#pragma once

#include <cstdlib>
#include <functional>

#include "snug/diagnostic.h"

namespace snug {

inline void require(bool condition) {
  if (!condition) std::abort();
}

/// Calls `read`; what it throws must be an Error with whole findings.
inline void expect_findings(const std::function<void()>& read) {
  try {
    read();
  } catch (const Error& error) {
    for (const Diagnostic& finding : error.findings())
      require(!finding.what.empty() && finding.what.size() <= 160 && !finding.fix.empty());
  }
}

}  // namespace snug
