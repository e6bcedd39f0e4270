#include "report/html.h"

#include <fmt/format.h>

#include <cstddef>

namespace snug {

namespace {

unsigned char byte(char c) { return static_cast<unsigned char>(c); }

/// Bytes of the character that `text` begins with; 0 when it is no UTF-8 (overlong, a surrogate, cut off).
std::size_t character_bytes(std::string_view text) {
  const unsigned char first = byte(text[0]);
  if (first < 0x80) return 1;
  const std::size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < size) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(text[i]) & 0xC0U) != 0x80U) return 0;
  }
  const unsigned char second = byte(text[1]);
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F)) return 0;
  if ((first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F)) return 0;
  return size;
}

}  // namespace

std::string html_text(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  while (!text.empty()) {
    const std::size_t size = character_bytes(text);
    const unsigned char first = byte(text[0]);
    const bool no_character = (first < 0x20 && first != '\n' && first != '\t') || first == 0x7F ||
                              text.substr(0, size) == "\xEF\xBF\xBE" || text.substr(0, size) == "\xEF\xBF\xBF";
    if (size == 0 || no_character) {
      escaped += "\xEF\xBF\xBD";
    } else if (first == '&') {
      escaped += "&amp;";
    } else if (first == '<') {
      escaped += "&lt;";
    } else if (first == '>') {
      escaped += "&gt;";
    } else if (first == '"') {
      escaped += "&quot;";
    } else {
      escaped += text.substr(0, size);
    }
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return escaped;
}

std::string short_number(double value) {
  std::string digits = fmt::format("{:.2f}", value);
  digits.erase(digits.find_last_not_of('0') + 1);
  if (digits.ends_with('.')) digits.pop_back();
  return digits == "-0" ? "0" : digits;
}

}  // namespace snug
