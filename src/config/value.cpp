#include "config/value.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "config/findings.h"

namespace snug::config {

const Member* Value::find(std::string_view key) const {
  const auto found = std::ranges::find(members, key, &Member::key);
  return found == members.end() ? nullptr : &*found;
}

Member* Value::find(std::string_view key) { return const_cast<Member*>(std::as_const(*this).find(key)); }

std::string describe(const Value& value) {
  switch (value.kind) {
    case Value::Kind::boolean: return value.boolean ? "true" : "false";
    case Value::Kind::integer: return fmt::format("the integer {}", value.integer);
    case Value::Kind::number: return fmt::format("the number {}", number_text(value.number));
    case Value::Kind::text: return "the string " + in_quotes(value.text);
    case Value::Kind::date: return "a date or time";
    case Value::Kind::list: return fmt::format("a list of {}", value.items.size());
    case Value::Kind::table: return fmt::format("a table of {}", value.members.size());
  }
  return "?";
}

std::string number_text(double number) {
  std::string text = fmt::format("{}", number);
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

std::string string_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\t': out += "\\t"; break;
      default:
        if (byte < 0x20 || byte == 0x7F) {
          out += fmt::format("\\u{:04X}", byte);
        } else {
          out += c;
        }
    }
  }
  return out + "\"";
}

std::string key_text(std::string_view key) {
  const bool bare = !key.empty() && std::ranges::all_of(key, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  return bare ? std::string(key) : string_text(key);
}

std::string to_text(const Value& value) {
  switch (value.kind) {
    case Value::Kind::boolean: return value.boolean ? "true" : "false";
    case Value::Kind::integer: return std::to_string(value.integer);
    case Value::Kind::number: return number_text(value.number);
    case Value::Kind::text: return string_text(value.text);
    case Value::Kind::date: return value.text;
    case Value::Kind::list: {
      std::string out;
      for (const Value& item : value.items) out += (out.empty() ? "" : ", ") + to_text(item);
      return "[" + out + "]";
    }
    case Value::Kind::table: {
      std::string out;
      for (const Member& member : value.members) {
        out += (out.empty() ? "" : ", ") + key_text(member.key) + " = " + to_text(member.value);
      }
      return out.empty() ? "{}" : "{ " + out + " }";
    }
  }
  return "";
}

}  // namespace snug::config
