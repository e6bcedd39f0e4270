// Collects the problems of a config and its options, and orders them by place.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "snug/config.h"
#include "snug/diagnostic.h"

namespace snug::config {

class Findings {
 public:
  /// Files and options come in the order in which they are named here first.
  void source(const std::string& file);
  void error(std::string_view code, const Position& where, std::string_view what, std::string fix);
  void warning(std::string_view code, const Position& where, std::string_view what, std::string fix);

  [[nodiscard]] bool has_errors() const { return errors_ > 0; }
  [[nodiscard]] std::size_t errors() const { return errors_; }
  /// All findings, ordered by source, line and column.
  [[nodiscard]] std::vector<Diagnostic> take();

 private:
  struct Entry {
    std::size_t source;
    Position where;
    Diagnostic finding;
  };
  void add(std::string_view code, Severity severity, const Position& where, std::string_view what, std::string fix);

  std::vector<std::string> sources_;
  std::vector<Entry> entries_;
  std::size_t errors_ = 0;
};

/// At most `limit` bytes of `text`, cut between characters and marked with "..."; control characters become '?'.
[[nodiscard]] std::string shortened(std::string_view text, std::size_t limit);
/// `text` in quotes, shortened for a message.
[[nodiscard]] std::string in_quotes(std::string_view text);

}  // namespace snug::config
