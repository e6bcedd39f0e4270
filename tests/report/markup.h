// Enough of an XML reader to say whether a page is well-formed and what stands in it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace snug::test {

struct Element {
  std::string name;
  std::map<std::string, std::string> attributes;
  std::string text;  ///< directly in it, as written
  std::vector<std::string> above;
};

/// Every element in the order in which they open. What is wrong with the markup goes to `fault`, which stays empty when
/// nothing is.
inline std::vector<Element> read_markup(std::string_view page, std::string& fault) {
  std::vector<Element> elements;
  std::vector<std::size_t> open;
  const auto fail = [&](std::string_view why, std::size_t at) {
    if (fault.empty()) fault = std::string(why) + " at: " + std::string(page.substr(at, 60));
  };
  for (std::size_t at = 0; at < page.size() && fault.empty();) {
    if (page.substr(at).starts_with("<![CDATA[")) {
      const std::size_t end = page.find("]]>", at);
      if (end == std::string_view::npos) return fail("open CDATA", at), elements;
      at = end + 3;
    } else if (page.substr(at).starts_with("<!")) {
      at = page.find('>', at) + 1;
    } else if (page.substr(at).starts_with("</")) {
      const std::size_t end = page.find('>', at);
      const std::string name(page.substr(at + 2, end - at - 2));
      if (open.empty() || elements[open.back()].name != name) return fail("closes what is not open", at), elements;
      open.pop_back();
      at = end + 1;
    } else if (page[at] == '<') {
      Element element;
      for (const std::size_t parent : open) element.above.push_back(elements[parent].name);
      std::size_t next = page.find_first_of(" />\n", at + 1);
      element.name = page.substr(at + 1, next - at - 1);
      if (element.name.empty()) fail("a bare <", at);
      while (fault.empty()) {
        next = page.find_first_not_of(" \n", next);
        if (next == std::string_view::npos) return fail("open tag", at), elements;
        if (page[next] == '>' || page[next] == '/') break;
        const std::size_t equals = page.find("=\"", next);
        const std::size_t end = equals == std::string_view::npos ? equals : page.find('"', equals + 2);
        if (end == std::string_view::npos) return fail("attribute without a value", next), elements;
        const std::string name(page.substr(next, equals - next));
        const std::string value(page.substr(equals + 2, end - equals - 2));
        if (name.find_first_of(" <>&\n") != std::string::npos || value.find('<') != std::string::npos)
          fail("bad attribute", next);
        if (!element.attributes.emplace(name, value).second) fail("attribute twice", next);
        next = end + 1;
      }
      const bool empty = fault.empty() && page[next] == '/';
      elements.push_back(element);
      if (!empty) open.push_back(elements.size() - 1);
      at = page.find('>', next) + 1;
    } else {
      const std::size_t end = std::min(page.find('<', at), page.size());
      const std::string_view text = page.substr(at, end - at);
      for (std::size_t i = text.find('&'); i != std::string_view::npos; i = text.find('&', i + 1)) {
        if (text.substr(i, 7).find(';') == std::string_view::npos) fail("bare &", at + i);
      }
      if (!open.empty()) elements[open.back()].text += text;
      at = end;
    }
  }
  if (fault.empty() && !open.empty()) fault = "never closed: " + elements[open.back()].name;
  return elements;
}

}  // namespace snug::test
