// Checks one TOML table against the table of keys and hands out what is sound.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/findings.h"
#include "config/keys.h"
#include "config/value.h"

namespace snug::config {

/// Whether `value` is what `key` takes; otherwise there is a finding. `path` is the dotted key for messages.
bool check_value(const Key& key, const Value& value, const std::string& path, Findings& findings);

/// "Did you mean": as base/text.h's `nearest`, but "ReLU" is near "relu".
[[nodiscard]] std::optional<std::string> nearest_word(std::string_view word, std::span<const std::string> candidates);

/// A line that would be right for `path` at `where`: "epochs = 5", or "--set train.epochs=5".
[[nodiscard]] std::string line_for(const Position& where, std::string_view path, std::string_view toml_value);

/// Unknown keys and values of the wrong form or range become findings at once. The readers give nothing for a key that
/// is missing or was found faulty.
class TableReader {
 public:
  /// `passed`: keys that another check has spoken about already. All arguments outlive the reader.
  TableReader(const Value& table, std::string_view scope, std::string path, Findings& findings,
              std::vector<std::string_view> passed = {});

  [[nodiscard]] const Value& table() const { return table_; }
  [[nodiscard]] Findings& findings() const { return findings_; }
  [[nodiscard]] std::string path_of(std::string_view key) const;

  /// Written, sound or not.
  [[nodiscard]] bool has(std::string_view key) const { return table_.find(key) != nullptr; }
  /// Written, but not soundly, or perhaps written with a slip: of what follows from it nothing need be said.
  [[nodiscard]] bool doubtful(std::string_view key) const;
  /// For every unknown key the one that was meant; empty where none is near.
  [[nodiscard]] std::vector<std::string> slips() const;
  /// The sound value of a key.
  [[nodiscard]] const Value* find(std::string_view key) const;
  /// Reports a key that is missing, unless it is written with a slip; true when it is written.
  bool require(std::string_view key) const;

  void read(std::string_view key, bool& out) const;
  void read(std::string_view key, std::int64_t& out) const;
  void read(std::string_view key, std::optional<std::int64_t>& out) const;
  void read(std::string_view key, double& out) const;
  void read(std::string_view key, std::string& out) const;
  void read(std::string_view key, std::optional<std::string>& out) const;
  void read(std::string_view key, std::vector<std::string>& out) const;  ///< a single string is a list of one
  void read(std::string_view key, std::vector<double>& out) const;       ///< a single number is a list of one
  /// A choice as the enum whose values stand in the order of `words`.
  template <class Enum>
  void read(std::string_view key, Words words, Enum& out) const {
    const Value* value = find(key);
    if (value == nullptr || value->kind != Value::Kind::text) return;
    if (const auto index = index_of(words, value->text)) out = static_cast<Enum>(*index);
  }

 private:
  void report_unknown(const Member& member) const;

  const Value& table_;
  std::string_view scope_;
  std::string path_;
  Findings& findings_;
  std::vector<std::string_view> sound_;
};

}  // namespace snug::config
