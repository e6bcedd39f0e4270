#include "snug/config.h"

#include <tuple>

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

bool operator==(const LayerConfig& a, const LayerConfig& b) { return a.names == b.names && a.what == b.what; }

bool operator==(const DataSource& a, const DataSource& b) {
  const auto values = [](const DataSource& s) {
    return std::tie(s.format, s.images, s.labels, s.files, s.path, s.synthetic, s.count);
  };
  return values(a) == values(b);
}

bool operator==(const Augmentation& a, const Augmentation& b) { return a.what == b.what; }

bool operator==(const ModelConfig& a, const ModelConfig& b) {
  const auto values = [](const ModelConfig& m) { return std::tie(m.input, m.classes, m.bn_momentum, m.layers); };
  return values(a) == values(b);
}

bool operator==(const Config& a, const Config& b) {
  const auto values = [](const Config& c) { return std::tie(c.name, c.data, c.model, c.train, c.memory); };
  return values(a) == values(b);
}

Position Config::where(std::string_view key) const {
  while (true) {
    if (const auto found = positions.find(key); found != positions.end()) return found->second;
    const std::size_t dot = key.rfind('.');
    if (dot == std::string_view::npos) return {file, 1, 1};
    key = key.substr(0, dot);
  }
}

}  // namespace snug
