#include "snug/config.h"

#include <fmt/format.h>

#include "config/names.h"

namespace snug {

std::string to_string(const Position& position) {
  if (position.line == 0) return position.file;
  return fmt::format("{}:{}:{}", position.file, position.line, position.column);
}

std::string_view to_string(DataFormat format) { return config::word_of(config::kFormatWords, format); }
std::string_view to_string(Activation activation) { return config::word_of(config::kActivationWords, activation); }
std::string_view to_string(Loss loss) { return config::word_of(config::kLossWords, loss); }
std::string_view to_string(Precision precision) { return config::word_of(config::kPrecisionWords, precision); }

Position Config::where(std::string_view key) const {
  while (true) {
    if (const auto found = positions.find(key); found != positions.end()) return found->second;
    const std::size_t dot = key.rfind('.');
    if (dot == std::string_view::npos) return {file, 1, 1};
    key = key.substr(0, dot);
  }
}

}  // namespace snug
