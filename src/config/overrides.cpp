#include "config/overrides.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "config/toml.h"

namespace snug::config {

namespace {

constexpr std::size_t kDeepestKey = 64;

std::vector<std::string> split_key(std::string_view key) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= key.size();) {
    const std::size_t end = std::min(key.find('.', begin), key.size());
    parts.emplace_back(key.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

/// The member or entry `part` of `node`; made in tables where it is missing. Nothing when there cannot be one.
Value* descend(Value& node, const std::string& part, const Position& option, Findings& findings) {
  if (node.kind == Value::Kind::table) {
    if (Member* member = node.find(part)) return &member->value;
    node.members.push_back({part, option, Value{.kind = Value::Kind::table, .where = option}});
    return &node.members.back().value;
  }
  if (node.kind != Value::Kind::list) {
    findings.error("C014", option, fmt::format("there is no key {} in {}", in_quotes(part), describe(node)),
                   "give the whole table: --set data.normalize='{ mean = [0.5], std = [0.25] }'");
    return nullptr;
  }
  const auto index = parse_integer(part);
  if (index && *index >= 0 && *index < static_cast<std::int64_t>(node.items.size())) {
    return &node.items[static_cast<std::size_t>(*index)];
  }
  findings.error(
      "C014", option,
      fmt::format("{} is no entry of a list of {}; entries count from 0", in_quotes(part), node.items.size()),
      node.items.empty() ? "--set model.layers='[ { flatten = true }, { dense = 10 } ]'"
                         : fmt::format("use a number from 0 to {}", node.items.size() - 1));
  return nullptr;
}

void apply(const std::vector<std::string>& parts, const Value& value, Value& root, Findings& findings) {
  Value* node = &root;
  for (const std::string& part : parts) {
    node = descend(*node, part, value.where, findings);
    if (node == nullptr) return;
  }
  *node = value;
}

/// A later option that writes over an earlier one would hide it.
bool repeats(const std::vector<std::string>& key, const std::vector<std::vector<std::string>>& earlier) {
  return std::ranges::any_of(earlier, [&](const std::vector<std::string>& other) {
    return key.size() <= other.size() && std::equal(key.begin(), key.end(), other.begin());
  });
}

}  // namespace

void apply_overrides(const std::vector<std::pair<std::string, std::string>>& options, Value& root, Findings& findings) {
  std::vector<std::vector<std::string>> earlier;
  for (const auto& [key, text] : options) {
    const Position option{"--set " + shortened(key, 200), 0, 0};
    findings.source(option.file);
    const std::vector<std::string> parts = split_key(key);
    if (parts.size() > kDeepestKey || std::ranges::find(parts, "") != parts.end()) {
      findings.error("C014", option, fmt::format("{} is no dotted key of a config", in_quotes(key)),
                     "--set train.epochs=5");
      continue;
    }
    if (repeats(parts, earlier)) {
      findings.error("C014", option, fmt::format("{} is set more than once", in_quotes(key)),
                     fmt::format("keep one: --set {}={}", shortened(key, 200), shortened(text, 200)));
      continue;
    }
    earlier.push_back(parts);
    apply(parts, parse_value(text, option), root, findings);
  }
}

}  // namespace snug::config
