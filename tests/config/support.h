// Configs for tests.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "snug/config.h"

namespace snug::config {

inline constexpr std::string_view kData = "[data]\ntrain = { synthetic = \"shapes\" }\n";
inline constexpr std::string_view kModel =
    "[model]\ninput = [28, 28, 1]\nlayers = [{ flatten = true }, { dense = 10 }]\n";

using Set = std::vector<std::pair<std::string, std::string>>;

/// The config, or the findings of the Error.
struct Outcome {
  std::optional<Config> config;
  std::vector<Diagnostic> findings;
};

inline Outcome parse(const std::string& text, const Set& set = {}) {
  try {
    return {parse_config(text, "run.toml", {.set = set}), {}};
  } catch (const Error& error) {
    return {std::nullopt, error.findings()};
  }
}

/// All findings, a line each: what a failing test shows.
inline std::string all(const std::vector<Diagnostic>& findings) {
  std::string out;
  for (const Diagnostic& finding : findings) out += to_string(finding) + "\n";
  return out;
}

/// A config that has `key = value` on line 2 in a table of `scope` (see keys.h), and all else that it needs.
std::string config_with(std::string_view scope, std::string_view key, std::string_view value);

}  // namespace snug::config
