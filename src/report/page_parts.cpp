#include "report/page_parts.h"

#include <fmt/format.h>

#include "report/html.h"
#include "report/plan_page.h"

namespace snug {

std::string page_head(std::string_view title, std::string_view more_style) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
      "<meta name=\"color-scheme\" content=\"light dark\"/>\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
      "script-src 'unsafe-inline'; img-src data:\"/>\n"
      "<title>{}</title>\n<style>\n{}{}</style>\n</head>\n<body>\n",
      html_text(title), page_style(), more_style);
}

std::string figure(std::string_view id, std::string_view title, const std::string& picture, std::string_view caption) {
  return fmt::format(
      "<section aria-labelledby=\"{0}\"><h2 id=\"{0}\">{1}</h2>\n<figure>\n{2}<figcaption>{3}"
      "</figcaption></figure>\n",
      id, title, picture, caption);
}

std::string card(std::string_view title, const std::string& value, const std::string& note) {
  return fmt::format("<div class=\"card\"><dt>{}</dt><dd>{}<small>{}</small></dd></div>\n", title, html_text(value),
                     html_text(note));
}

std::string findings_list(std::span<const Diagnostic> findings) {
  if (findings.empty()) return {};
  std::string text = "<ul class=\"findings\">\n";
  for (const Diagnostic& finding : findings)
    text += fmt::format("<li class=\"{0}\"><b>{0} {1}</b> at {2}: {3}<br/><code>{4}</code></li>\n",
                        to_string(finding.severity), html_text(finding.code), html_text(finding.where),
                        html_text(finding.what), html_text(finding.fix));
  return text + "</ul>\n";
}

}  // namespace snug
