// A TOML document as a plain tree in which every key and value knows its place.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "snug/config.h"

namespace snug::config {

struct Member;

/// One value; which field holds it is told by `kind`.
struct Value {
  enum class Kind { boolean, integer, number, text, date, list, table };
  Kind kind = Kind::table;
  Position where;
  bool boolean = false;
  std::int64_t integer = 0;
  double number = 0;
  std::string text;             ///< of text and of dates
  std::vector<Value> items;     ///< of a list
  std::vector<Member> members;  ///< of a table, as written

  [[nodiscard]] bool is_numeric() const { return kind == Kind::integer || kind == Kind::number; }
  [[nodiscard]] double as_number() const { return kind == Kind::integer ? static_cast<double>(integer) : number; }
  [[nodiscard]] const Member* find(std::string_view key) const;
  [[nodiscard]] Member* find(std::string_view key);
};

struct Member {
  std::string key;
  Position where;  ///< of the key
  Value value;
};

/// "the integer 5", "the string \"abc\"", "a list of 3": at most about 60 characters.
[[nodiscard]] std::string describe(const Value& value);

/// The value as TOML on one line.
[[nodiscard]] std::string to_text(const Value& value);

[[nodiscard]] std::string number_text(double number);          ///< shortest text that reads back exactly, as a float
[[nodiscard]] std::string string_text(std::string_view text);  ///< quoted and escaped
[[nodiscard]] std::string key_text(std::string_view key);      ///< bare where that is allowed

}  // namespace snug::config
