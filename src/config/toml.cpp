#include "config/toml.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include <fmt/format.h>
#include <toml++/toml.h>

namespace snug::config {

namespace {

// Tables destroy themselves recursively. The library bounds nested values (256), but not the parts of a dotted key:
// their product is what the stack has to hold.
constexpr int kDeepestKey = 8;

struct Converter {
  std::string file;
  bool keep_places = true;  ///< otherwise everything stands at `file` itself

  [[nodiscard]] Position place(const toml::source_position& position, const Position& otherwise) const {
    if (!keep_places || position.line == 0) return otherwise;
    return {file, static_cast<int>(position.line), static_cast<int>(position.column)};
  }

  [[nodiscard]] Value convert(const toml::node& node, const Position& otherwise) const {
    Value value;
    value.where = place(node.source().begin, otherwise);
    node.visit([&](const auto& typed) { fill(typed, value); });
    return value;
  }

 private:
  void fill(const toml::table& table, Value& value) const {
    value.kind = Value::Kind::table;
    for (const auto& [key, node] : table) {
      const Position where = place(key.source().begin, value.where);
      value.members.push_back({std::string(key.str()), where, convert(node, where)});
    }
    std::ranges::stable_sort(value.members, {},
                             [](const Member& m) { return std::pair(m.where.line, m.where.column); });
  }
  void fill(const toml::array& array, Value& value) const {
    value.kind = Value::Kind::list;
    for (const toml::node& node : array) value.items.push_back(convert(node, value.where));
  }
  void fill(const toml::value<std::string>& text, Value& value) const {
    value.kind = Value::Kind::text;
    value.text = text.get();
  }
  void fill(const toml::value<std::int64_t>& integer, Value& value) const {
    value.kind = Value::Kind::integer;
    value.integer = integer.get();
  }
  void fill(const toml::value<double>& number, Value& value) const {
    value.kind = Value::Kind::number;
    value.number = number.get();
  }
  void fill(const toml::value<bool>& boolean, Value& value) const {
    value.kind = Value::Kind::boolean;
    value.boolean = boolean.get();
  }
  template <class Date>
  void fill(const toml::value<Date>& date, Value& value) const {
    value.kind = Value::Kind::date;
    std::ostringstream text;
    text << date.get();
    value.text = text.str();
  }
};

/// Finds a dotted key of more than kDeepestKey parts: its line, or 0. Strings and comments are passed over.
int line_of_deep_key(std::string_view text) {
  int line = 1;
  int dots = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') ++line;
    if (c == '#') {
      i = std::min(text.find('\n', i), text.size()) - 1;
    } else if (c == '"' || c == '\'') {
      // Enough for this purpose: a quoted part of a key stands on one line.
      for (++i; i < text.size() && text[i] != c && text[i] != '\n'; ++i) {
        if (c == '"' && text[i] == '\\') ++i;
      }
      if (i < text.size() && text[i] == '\n') --i;
    } else if (c == '.') {
      if (++dots >= kDeepestKey) return line;
    } else if (c == '=' || c == ',' || c == '[' || c == '{' || c == '\n') {
      dots = 0;
    }
  }
  return 0;
}

std::string fix_for_syntax(std::string_view description) {
  if (description.find("redefine") != std::string_view::npos) return "remove one of the two: a key is given once";
  if (description.find("utf-8") != std::string_view::npos) return "save the file as UTF-8 text";
  return "write KEY = VALUE, text in quotes (name = \"mnist\"), inline tables on one line ({ name = \"sgd\", lr = 0.1 "
         "})";
}

}  // namespace

std::optional<Value> parse_toml(std::string_view text, const std::string& file, Findings& findings) {
  if (text.size() > kLargestFileBytes) {
    findings.error("C002", {file, 1, 1},
                   fmt::format("a config has at most {} bytes, this file has {}", kLargestFileBytes, text.size()),
                   "name a TOML config, such as configs/mnist.toml");
    return std::nullopt;
  }
  if (const int line = line_of_deep_key(text); line > 0) {
    findings.error("C002", {file, line, 1}, fmt::format("a dotted key has at most {} parts", kDeepestKey),
                   "write nested tables: train = { optimizer = { lr = 0.05 } }");
    return std::nullopt;
  }
  try {
    const toml::table table = toml::parse(text);
    const Position start{file, 1, 1};
    Value root = Converter{.file = file}.convert(table, start);
    root.where = start;
    return root;
  } catch (const toml::parse_error& error) {
    const toml::source_position at = error.source().begin;
    const Position where{file, std::max(1, static_cast<int>(at.line)), std::max(1, static_cast<int>(at.column))};
    findings.error("C002", where, fmt::format("not TOML: {}", error.description()),
                   fix_for_syntax(error.description()));
    return std::nullopt;
  }
}

Value parse_value(std::string_view text, const Position& where) {
  Value plain{.kind = Value::Kind::text, .where = where, .text = std::string(text)};
  // A value on one line; a comment or a second line could hide what was typed.
  if (text.find_first_of("\n\r") != std::string_view::npos || line_of_deep_key(text) > 0) return plain;
  try {
    // Behind the value stands an end of our own: a comment in it would swallow the end, and that is an error.
    const toml::table table = toml::parse(fmt::format("v = [{} , 'end']", text));
    const toml::array* list = table["v"].as_array();
    if (table.size() != 1 || list == nullptr || list->size() != 2) return plain;
    const auto end = list->get(1)->value<std::string>();
    if (end != "end") return plain;
    return Converter{.file = where.file, .keep_places = false}.convert(*list->get(0), where);
  } catch (const toml::parse_error&) {
    return plain;
  }
}

}  // namespace snug::config
