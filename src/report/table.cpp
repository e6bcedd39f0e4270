#include "report/table.h"

#include <algorithm>
#include <utility>

#include "base/ensure.h"

namespace snug {

namespace {

/// Continuation bytes of UTF-8 are 10xxxxxx.
bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }

/// Where the character number `index` begins; the text's end when it has no more.
std::size_t place_of(std::string_view text, std::size_t index) {
  std::size_t place = 0;
  for (; place < text.size(); ++place) {
    if (begins_character(text[place]) && index-- == 0) break;
  }
  return place;
}

}  // namespace

std::size_t display_width(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, begins_character));
}

std::string cut_front(std::string_view text, std::size_t width) {
  const std::size_t wide = display_width(text);
  if (wide <= width || width == 0) return std::string(wide <= width ? text : "");
  return "…" + std::string(text.substr(place_of(text, wide - width + 1)));
}

std::string cut_back(std::string_view text, std::size_t width) {
  if (display_width(text) <= width || width == 0) return std::string(width == 0 ? "" : text);
  return std::string(text.substr(0, place_of(text, width - 1))) + "…";
}

std::string pad_right(std::string_view text, std::size_t width) {
  std::string padded(text);
  padded.append(width - std::min(width, display_width(text)), ' ');
  return padded;
}

std::string pad_left(std::string_view text, std::size_t width) {
  return std::string(width - std::min(width, display_width(text)), ' ').append(text);
}

Table::Table(std::vector<std::string> titles) {
  for (std::string& title : titles) {
    right_.push_back(title.starts_with('>'));
    if (right_.back()) title.erase(0, 1);
  }
  rows_.push_back(std::move(titles));
}

void Table::add_row(std::vector<std::string> cells) {
  ensure(cells.size() == right_.size(), "a row has a cell for every column");
  rows_.push_back(std::move(cells));
}

std::string Table::text(std::size_t indent) const {
  std::vector<std::size_t> widths(right_.size(), 0);
  for (const auto& row : rows_) {
    for (std::size_t column = 0; column < row.size(); ++column)
      widths[column] = std::max(widths[column], display_width(row[column]));
  }
  std::string all;
  for (const auto& row : rows_) {
    std::string line(indent, ' ');
    for (std::size_t column = 0; column < row.size(); ++column) {
      if (column > 0) line += "  ";
      line += right_[column] ? pad_left(row[column], widths[column]) : pad_right(row[column], widths[column]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    all += line + "\n";
  }
  return all;
}

}  // namespace snug
