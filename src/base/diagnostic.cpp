#include "snug/diagnostic.h"

#include <algorithm>
#include <string_view>

#include "base/ensure.h"

namespace snug {

namespace {

int family_exit_code(std::string_view code) {
  switch (code.empty() ? '\0' : code.front()) {
    case 'C':
    case 'A':
    case 'F':
    case 'T': return 2;
    case 'D':
    case 'L': return 3;
    case 'M': return 4;
    case 'G': return 5;
    case 'N': return 6;
    default: return 1;
  }
}

}  // namespace

Error::Error(Diagnostic finding) : Error(std::vector<Diagnostic>{std::move(finding)}) {}

Error::Error(std::vector<Diagnostic> findings) : findings_(std::move(findings)) {
  ensure(!findings_.empty(), "an Error needs a finding");
  text_ = to_string(findings_.front());
}

bool has_errors(std::span<const Diagnostic> findings) {
  return std::ranges::any_of(findings, [](const Diagnostic& f) { return f.severity == Severity::error; });
}

int exit_code(std::span<const Diagnostic> findings) {
  int lowest = 0;
  for (const Diagnostic& finding : findings) {
    if (finding.severity != Severity::error) continue;
    const int code = family_exit_code(finding.code);
    lowest = lowest == 0 ? code : std::min(lowest, code);
  }
  return lowest;
}

std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::note: return "note";
    case Severity::warning: return "warning";
    case Severity::error: return "error";
  }
  return "?";
}

std::string to_string(const Diagnostic& finding) {
  std::string text(to_string(finding.severity));
  text += " " + finding.code;
  if (!finding.where.empty()) text += " at " + finding.where;
  text += ": " + finding.what;
  if (!finding.fix.empty()) text += "\n  fix: " + finding.fix;
  return text;
}

}  // namespace snug
