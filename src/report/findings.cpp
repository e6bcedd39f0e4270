#include "report/findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "report/terminal.h"

namespace snug {

namespace {

std::ptrdiff_t count(std::span<const Diagnostic> findings, Severity severity) {
  return std::ranges::count(findings, severity, &Diagnostic::severity);
}

Colour colour_of(Severity severity) {
  switch (severity) {
    case Severity::note: return Colour::cyan;
    case Severity::warning: return Colour::yellow;
    case Severity::error: return Colour::red;
  }
  return Colour::bold;
}

/// `text` with its lines after the first indented under it.
std::string hang(std::string_view text, std::size_t indent) {
  std::string hung;
  for (const char c : text) {
    hung += c;
    if (c == '\n') hung.append(indent, ' ');
  }
  return hung;
}

std::string plural(std::ptrdiff_t number, std::string_view noun) {
  return fmt::format("{} {}{}", number, noun, number == 1 ? "" : "s");
}

}  // namespace

std::string findings_json(std::span<const Diagnostic> findings) {
  using Json = nlohmann::ordered_json;
  Json list = Json::array();
  for (const Diagnostic& finding : findings) {
    list.push_back({{"code", finding.code},
                    {"severity", to_string(finding.severity)},
                    {"where", finding.where},
                    {"what", finding.what},
                    {"fix", finding.fix}});
  }
  const Json object = {{"findings", std::move(list)},
                       {"errors", count(findings, Severity::error)},
                       {"warnings", count(findings, Severity::warning)},
                       {"notes", count(findings, Severity::note)}};
  return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string findings_text(std::span<const Diagnostic> findings, bool colour) {
  std::string text;
  for (const Severity severity : {Severity::note, Severity::warning, Severity::error}) {
    for (const Diagnostic& finding : findings) {
      if (finding.severity != severity) continue;
      text += paint(fmt::format("{} {}", to_string(severity), finding.code), colour_of(severity), colour);
      if (!finding.where.empty()) text += " at " + paint(finding.where, Colour::bold, colour);
      text += "\n  " + hang(finding.what, 2) + "\n";
      if (!finding.fix.empty()) text += "  " + paint("fix:", Colour::green, colour) + " " + hang(finding.fix, 7) + "\n";
    }
  }
  return text;
}

std::string findings_count(std::span<const Diagnostic> findings) {
  const auto errors = count(findings, Severity::error);
  const auto warnings = count(findings, Severity::warning);
  const auto notes = count(findings, Severity::note);
  std::string text = errors + warnings == 0 ? "clean: no errors, no warnings"
                                            : plural(errors, "error") + ", " + plural(warnings, "warning");
  if (notes > 0) text += ", " + plural(notes, "note");
  return text;
}

}  // namespace snug
