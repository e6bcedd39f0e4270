// Pictures with a line of text or more below each, as one picture.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/picture.h"

namespace snug {

struct SheetEntry {
  Picture picture;
  std::string text;  ///< lines parted by '\n'
};

/// A grid as nearly square as it can be. Small pictures are enlarged by whole numbers, their pixels staying sharp.
[[nodiscard]] Picture contact_sheet(const std::vector<SheetEntry>& entries);

/// How many characters of a line are shown on a sheet whose first picture this is.
[[nodiscard]] std::size_t sheet_letters(const Picture& first);

/// Seven rows of five dots, the leftmost in the highest of five bits.
[[nodiscard]] const std::array<std::uint8_t, 7>& glyph_rows(char character);

/// Draws capitals, digits and a few marks, five by seven dots each; other characters are a box.
void draw_text(Picture& sheet, std::int64_t top, std::int64_t left, std::int64_t width, std::string_view text);

}  // namespace snug
