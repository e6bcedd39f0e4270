// A picture of lines, dots and words, made once and written twice: as SVG and as pixels.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "data/picture.h"

namespace snug {

/// What a stroke is for; the colours of it are those of light or dark paper.
enum class Ink : std::uint8_t { text, muted, grid, first, second, third, fourth, mark };

struct DrawnPoint {
  double x = 0, y = 0;  ///< from the upper left
};
struct DrawnLine {
  std::vector<DrawnPoint> points;
  Ink ink = Ink::text;
  double width = 1;
  bool dashed = false;
};
struct DrawnDot {
  DrawnPoint at;
  double radius = 3;
  Ink ink = Ink::text;
  std::string title;  ///< shown by browsers when it is pointed at
};
enum class Anchor : std::uint8_t { start, middle, end };
struct DrawnText {
  DrawnPoint at;  ///< of the base line
  std::string text;
  Ink ink = Ink::text;
  Anchor anchor = Anchor::start;
  double size = 13;
  bool bold = false;
};
struct Drawing {
  double width = 0, height = 0;
  std::string title;  ///< read out instead of the picture
  std::vector<std::variant<DrawnLine, DrawnDot, DrawnText>> shapes;
};

/// A self-contained file; its colours follow the reader's scheme.
[[nodiscard]] std::string to_svg(const Drawing& drawing);
/// On white paper, `zoom` pixels to a unit. Letters are the capitals of a small face of dots.
[[nodiscard]] Picture to_picture(const Drawing& drawing, std::int64_t zoom);

}  // namespace snug
