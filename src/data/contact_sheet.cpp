#include "data/contact_sheet.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>

namespace snug {

namespace {

/// Seven rows of five dots, the leftmost in the highest of five bits.
struct Glyph {
  char character;
  std::array<std::uint8_t, 7> rows;
};
constexpr std::array kGlyphs{Glyph{'A', {14, 17, 17, 31, 17, 17, 17}}, Glyph{'B', {30, 17, 17, 30, 17, 17, 30}},
                             Glyph{'C', {14, 17, 16, 16, 16, 17, 14}}, Glyph{'D', {30, 17, 17, 17, 17, 17, 30}},
                             Glyph{'E', {31, 16, 16, 30, 16, 16, 31}}, Glyph{'F', {31, 16, 16, 30, 16, 16, 16}},
                             Glyph{'G', {14, 17, 16, 23, 17, 17, 15}}, Glyph{'H', {17, 17, 17, 31, 17, 17, 17}},
                             Glyph{'I', {14, 4, 4, 4, 4, 4, 14}},      Glyph{'J', {7, 2, 2, 2, 2, 18, 12}},
                             Glyph{'K', {17, 18, 20, 24, 20, 18, 17}}, Glyph{'L', {16, 16, 16, 16, 16, 16, 31}},
                             Glyph{'M', {17, 27, 21, 21, 17, 17, 17}}, Glyph{'N', {17, 25, 21, 19, 17, 17, 17}},
                             Glyph{'O', {14, 17, 17, 17, 17, 17, 14}}, Glyph{'P', {30, 17, 17, 30, 16, 16, 16}},
                             Glyph{'Q', {14, 17, 17, 17, 21, 18, 13}}, Glyph{'R', {30, 17, 17, 30, 20, 18, 17}},
                             Glyph{'S', {15, 16, 16, 14, 1, 1, 30}},   Glyph{'T', {31, 4, 4, 4, 4, 4, 4}},
                             Glyph{'U', {17, 17, 17, 17, 17, 17, 14}}, Glyph{'V', {17, 17, 17, 17, 17, 10, 4}},
                             Glyph{'W', {17, 17, 17, 21, 21, 21, 10}}, Glyph{'X', {17, 17, 10, 4, 10, 17, 17}},
                             Glyph{'Y', {17, 17, 10, 4, 4, 4, 4}},     Glyph{'Z', {31, 1, 2, 4, 8, 16, 31}},
                             Glyph{'0', {14, 17, 19, 21, 25, 17, 14}}, Glyph{'1', {4, 12, 4, 4, 4, 4, 14}},
                             Glyph{'2', {14, 17, 1, 6, 8, 16, 31}},    Glyph{'3', {31, 2, 4, 2, 1, 17, 14}},
                             Glyph{'4', {2, 6, 10, 18, 31, 2, 2}},     Glyph{'5', {31, 16, 30, 1, 1, 17, 14}},
                             Glyph{'6', {6, 8, 16, 30, 17, 17, 14}},   Glyph{'7', {31, 1, 2, 4, 8, 8, 8}},
                             Glyph{'8', {14, 17, 17, 14, 17, 17, 14}}, Glyph{'9', {14, 17, 17, 15, 1, 2, 12}},
                             Glyph{' ', {0, 0, 0, 0, 0, 0, 0}},        Glyph{'.', {0, 0, 0, 0, 0, 12, 12}},
                             Glyph{',', {0, 0, 0, 0, 12, 4, 8}},       Glyph{'-', {0, 0, 0, 31, 0, 0, 0}},
                             Glyph{'_', {0, 0, 0, 0, 0, 0, 31}},       Glyph{'+', {0, 4, 4, 31, 4, 4, 0}},
                             Glyph{'/', {1, 1, 2, 4, 8, 16, 16}},      Glyph{':', {0, 12, 12, 0, 12, 12, 0}},
                             Glyph{'%', {24, 25, 2, 4, 8, 19, 3}},     Glyph{'(', {2, 4, 8, 8, 8, 4, 2}},
                             Glyph{')', {8, 4, 2, 2, 2, 4, 8}},        Glyph{'=', {0, 0, 31, 0, 31, 0, 0}}};
constexpr std::array<std::uint8_t, 7> kBox{31, 17, 17, 17, 17, 17, 31};
constexpr std::int64_t kAdvance = 6, kLine = 11, kGap = 4, kLeast = 96;

/// How many times as large the pictures are drawn as they are.
std::int64_t zoom_of(const Picture& first) {
  return std::max<std::int64_t>(1, kLeast / std::max<std::int64_t>(1, std::max(first.height, first.width)));
}

void draw_picture(Picture& sheet, std::int64_t top, std::int64_t left, const Picture& picture, std::int64_t zoom) {
  for (std::int64_t y = 0; y < picture.height * zoom; ++y) {
    for (std::int64_t x = 0; x < picture.width * zoom; ++x) {
      const std::uint8_t* in = picture.pixels.data() + ((y / zoom) * picture.width + x / zoom) * picture.channels;
      std::uint8_t* out = sheet.pixels.data() + ((top + y) * sheet.width + left + x) * 3;
      for (std::int64_t c = 0; c < 3; ++c) out[c] = in[picture.channels >= 3 ? c : 0];
    }
  }
}

}  // namespace

const std::array<std::uint8_t, 7>& glyph_rows(char character) {
  const char capital = static_cast<char>(std::toupper(static_cast<unsigned char>(character)));
  const auto* const glyph = std::ranges::find(kGlyphs, capital, &Glyph::character);
  return glyph == kGlyphs.end() ? kBox : glyph->rows;
}

void draw_text(Picture& sheet, std::int64_t top, std::int64_t left, std::int64_t width, std::string_view text) {
  const auto fits = static_cast<std::size_t>(std::max<std::int64_t>(0, width / kAdvance));
  for (std::size_t i = 0; i < std::min(fits, text.size()); ++i) {
    const auto& rows = glyph_rows(text[i]);
    for (std::int64_t y = 0; y < 7; ++y) {
      for (std::int64_t x = 0; x < 5; ++x) {
        if ((rows[static_cast<std::size_t>(y)] >> (4 - x) & 1) == 0) continue;
        const std::int64_t place = (top + y) * sheet.width + left + static_cast<std::int64_t>(i) * kAdvance + x;
        std::fill_n(sheet.pixels.data() + place * sheet.channels, sheet.channels, std::uint8_t{0});
      }
    }
  }
}

std::size_t sheet_letters(const Picture& first) {
  return static_cast<std::size_t>(first.width * zoom_of(first) / kAdvance);
}

Picture contact_sheet(const std::vector<SheetEntry>& entries) {
  Picture sheet;
  if (entries.empty()) return sheet;
  const Picture& first = entries.front().picture;
  const std::int64_t zoom = zoom_of(first);
  std::int64_t lines = 1;
  for (const SheetEntry& entry : entries)
    lines = std::max<std::int64_t>(lines, 1 + std::ranges::count(entry.text, '\n'));
  const std::int64_t cell_height = first.height * zoom + lines * kLine + kGap;
  const std::int64_t cell_width = first.width * zoom + kGap;
  const auto count = static_cast<std::int64_t>(entries.size());
  const auto columns = static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(count))));
  const std::int64_t rows = (count + columns - 1) / columns;
  sheet.reshape(rows * cell_height + kGap, columns * cell_width + kGap, 3);
  std::ranges::fill(sheet.pixels, std::uint8_t{255});
  for (std::int64_t i = 0; i < count; ++i) {
    const SheetEntry& entry = entries[static_cast<std::size_t>(i)];
    const std::int64_t top = kGap + i / columns * cell_height;
    const std::int64_t left = kGap + i % columns * cell_width;
    draw_picture(sheet, top, left, entry.picture, zoom);
    std::int64_t below = top + first.height * zoom + 2;
    for (std::string_view rest = entry.text;; below += kLine) {
      draw_text(sheet, below, left, first.width * zoom, rest.substr(0, rest.find('\n')));
      if (rest.find('\n') == std::string_view::npos) break;
      rest.remove_prefix(rest.find('\n') + 1);
    }
  }
  return sheet;
}

}  // namespace snug
