#include "graph/findings.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace snug {

namespace {

constexpr std::size_t kMaxText = 160;  // promised by the contract
constexpr std::size_t kMinPath = 24;   // of a path that is shortened: enough to find the layer

bool begins_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U; }

std::size_t length(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, begins_character));
}

/// The bytes of the first `count` characters.
std::size_t bytes_of(std::string_view text, std::size_t count) {
  std::size_t byte = 0;
  for (; byte < text.size(); ++byte) {
    if (!begins_character(text[byte])) continue;
    if (count == 0) break;
    --count;
  }
  return byte;
}

}  // namespace

std::string elide(std::string_view text, std::size_t limit) {
  const std::size_t characters = length(text);
  if (characters <= limit) return std::string(text);
  const std::size_t head = limit / 2;
  const std::size_t tail = limit - head - 1;
  const std::string_view first = text.substr(0, bytes_of(text, head));
  const std::string_view last = text.substr(bytes_of(text, characters - tail));
  return fmt::format("{}…{}", first, last);
}

Diagnostic finding(std::string code, const Position& where, std::string_view what, std::string fix, Severity severity) {
  return finding_at(std::move(code), to_string(where), what, std::move(fix), severity);
}

Diagnostic finding_at(std::string code, std::string where, std::string_view what, std::string fix, Severity severity) {
  return {.code = std::move(code),
          .severity = severity,
          .where = std::move(where),
          .what = elide(what, kMaxText),
          .fix = std::move(fix)};
}

std::string layer_text(std::string_view path, std::string_view text) {
  const std::size_t fixed = length(text) + length("layer '': ");
  const std::size_t room = std::max(kMinPath, kMaxText - std::min(kMaxText, fixed));
  return fmt::format("layer '{}': {}", elide(path, room), text);
}

Position place(const LayerConfig& layer, std::string_view key) {
  const auto found = layer.keys.find(key);
  return found == layer.keys.end() ? layer.where : found->second;
}

}  // namespace snug
