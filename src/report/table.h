// Columns of text for people.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace snug {

/// Columns that a terminal needs for UTF-8 text (one a code point; the program prints no wide ones).
[[nodiscard]] std::size_t display_width(std::string_view text);

/// `text` filled with spaces to `width` columns.
[[nodiscard]] std::string pad_right(std::string_view text, std::size_t width);
[[nodiscard]] std::string pad_left(std::string_view text, std::size_t width);

/// At most `width` columns of `text`, the rest cut off in front or at the back, where "…" then stands.
[[nodiscard]] std::string cut_front(std::string_view text, std::size_t width);
[[nodiscard]] std::string cut_back(std::string_view text, std::size_t width);

/// A column whose title starts with '>' is right-aligned (numbers); the mark is not shown.
class Table {
 public:
  explicit Table(std::vector<std::string> titles);
  /// A row has as many cells as there are titles.
  void add_row(std::vector<std::string> cells);
  /// Every line begins with `indent` spaces and ends without trailing spaces.
  [[nodiscard]] std::string text(std::size_t indent = 2) const;

 private:
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;  ///< the titles first
};

}  // namespace snug
