#include "report/drawing.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string_view>

#include "data/contact_sheet.h"
#include "report/html.h"

namespace snug {

namespace {

struct Colour {
  std::uint8_t red = 0, green = 0, blue = 0;
};
struct InkColours {
  std::string_view name;  ///< of the class
  Colour light, dark;
};
constexpr std::array<InkColours, 8> kInks{{{"text", {31, 35, 40}, {230, 237, 243}},
                                           {"muted", {89, 99, 110}, {145, 152, 161}},
                                           {"grid", {216, 222, 228}, {48, 54, 61}},
                                           {"first", {9, 105, 218}, {88, 166, 255}},
                                           {"second", {26, 127, 55}, {63, 185, 80}},
                                           {"third", {130, 80, 223}, {171, 125, 248}},
                                           {"fourth", {191, 57, 137}, {219, 97, 162}},
                                           {"mark", {188, 76, 0}, {240, 136, 62}}}};

const InkColours& colours_of(Ink ink) { return kInks[static_cast<std::size_t>(ink)]; }

// ---- SVG --------------------------------------------------------------------------------------------------------

std::string css(Colour c) { return fmt::format("#{:02x}{:02x}{:02x}", c.red, c.green, c.blue); }

std::string style() {
  std::string light, dark;
  for (const InkColours& ink : kInks) {
    light += fmt::format(".{0}{{--c:{1}}}", ink.name, css(ink.light));
    dark += fmt::format(".{0}{{--c:{1}}}", ink.name, css(ink.dark));
  }
  return "<style>svg{background:#fff;font-family:system-ui,sans-serif}polyline{fill:none;stroke:var(--c)}"
         "circle,text{fill:var(--c)}" +
         light + "@media(prefers-color-scheme:dark){svg{background:#0d1117}" + dark + "}</style>\n";
}

std::string element(const DrawnLine& line) {
  std::string points;
  for (const DrawnPoint& p : line.points)
    points += fmt::format("{}{},{}", points.empty() ? "" : " ", short_number(p.x), short_number(p.y));
  return fmt::format(R"(<polyline class="{}" stroke-width="{}"{} points="{}"/>)", colours_of(line.ink).name,
                     short_number(line.width), line.dashed ? R"( stroke-dasharray="6 4")" : "", points);
}

std::string element(const DrawnDot& dot) {
  return fmt::format(R"(<circle class="{}" cx="{}" cy="{}" r="{}"><title>{}</title></circle>)",
                     colours_of(dot.ink).name, short_number(dot.at.x), short_number(dot.at.y), short_number(dot.radius),
                     html_text(dot.title));
}

std::string element(const DrawnText& text) {
  constexpr std::array<std::string_view, 3> kAnchors{"start", "middle", "end"};
  return fmt::format(R"(<text class="{}" x="{}" y="{}" font-size="{}" text-anchor="{}"{}>{}</text>)",
                     colours_of(text.ink).name, short_number(text.at.x), short_number(text.at.y),
                     short_number(text.size), kAnchors[static_cast<std::size_t>(text.anchor)],
                     text.bold ? R"( font-weight="600")" : "", html_text(text.text));
}

// ---- pixels -----------------------------------------------------------------------------------------------------

class Canvas {
 public:
  Canvas(const Drawing& drawing, std::int64_t zoom) : zoom_(static_cast<double>(zoom)) {
    picture_.reshape(std::llround(drawing.height * zoom_), std::llround(drawing.width * zoom_), 3);
    std::ranges::fill(picture_.pixels, std::uint8_t{255});
  }
  Picture take() { return std::move(picture_); }

  void draw(const DrawnLine& line) {
    double along = 0;  // dashes go on around corners
    for (std::size_t i = 1; i < line.points.size(); ++i) {
      const DrawnPoint a = line.points[i - 1], b = line.points[i];
      segment(a, b, line, along);
      along += std::hypot(b.x - a.x, b.y - a.y);
    }
  }

  void draw(const DrawnDot& dot) {
    const Colour colour = colours_of(dot.ink).light;
    each_pixel(
        dot.at, dot.at, dot.radius + 1,
        [&](DrawnPoint p) { return (dot.radius - std::hypot(p.x - dot.at.x, p.y - dot.at.y)) * zoom_ + 0.5; }, colour);
  }

  void draw(const DrawnText& text) {
    const std::string plain = plain_text(text.text);
    const auto dots = std::max<std::int64_t>(1, std::llround(text.size * zoom_ / 9));  // pixels to a dot
    const std::int64_t width = static_cast<std::int64_t>(plain.size()) * 6 * dots;
    std::int64_t left = std::llround(text.at.x * zoom_);
    if (text.anchor == Anchor::middle) left -= width / 2;
    if (text.anchor == Anchor::end) left -= width;
    const std::int64_t top = std::llround(text.at.y * zoom_) - 7 * dots;
    for (std::size_t i = 0; i < plain.size(); ++i)
      glyph(plain[i], top, left + static_cast<std::int64_t>(i) * 6 * dots, dots, colours_of(text.ink).light);
  }

 private:
  /// The face has ASCII alone.
  static std::string plain_text(std::string_view text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const auto byte = static_cast<unsigned char>(text[i]);
      if (byte < 0x80) plain += text[i];
      if (byte >= 0xC0) plain += text.substr(i).starts_with("×") ? 'x' : '-';  // a dash or an arrow
    }
    return plain;
  }

  void glyph(char character, std::int64_t top, std::int64_t left, std::int64_t dots, Colour colour) {
    const auto& rows = glyph_rows(character);
    for (std::int64_t y = 0; y < 7 * dots; ++y) {
      for (std::int64_t x = 0; x < 5 * dots; ++x) {
        if ((rows[static_cast<std::size_t>(y / dots)] >> (4 - x / dots) & 1) != 0) blend(left + x, top + y, colour, 1);
      }
    }
  }

  void segment(DrawnPoint a, DrawnPoint b, const DrawnLine& line, double along) {
    const double dx = b.x - a.x, dy = b.y - a.y;
    const double length = std::hypot(dx, dy);
    if (length <= 0) return;
    each_pixel(
        a, b, line.width + 1,
        [&](DrawnPoint p) {
          const double t = std::clamp(((p.x - a.x) * dx + (p.y - a.y) * dy) / (length * length), 0.0, 1.0);
          if (line.dashed && std::fmod(along + t * length, 10) > 6) return 0.0;
          const double distance = std::hypot(p.x - a.x - t * dx, p.y - a.y - t * dy);
          return (line.width / 2 - distance) * zoom_ + 0.5;
        },
        colours_of(line.ink).light);
  }

  /// Blends every pixel near the box of two points by how much of it `coverage` says is covered.
  template <class Coverage>
  void each_pixel(DrawnPoint a, DrawnPoint b, double margin, const Coverage& coverage, Colour colour) {
    const auto pixel = [&](double value) { return static_cast<std::int64_t>(std::floor(value * zoom_)); };
    for (std::int64_t y = pixel(std::min(a.y, b.y) - margin); y <= pixel(std::max(a.y, b.y) + margin); ++y) {
      for (std::int64_t x = pixel(std::min(a.x, b.x) - margin); x <= pixel(std::max(a.x, b.x) + margin); ++x) {
        const DrawnPoint middle{(static_cast<double>(x) + 0.5) / zoom_, (static_cast<double>(y) + 0.5) / zoom_};
        blend(x, y, colour, std::clamp(coverage(middle), 0.0, 1.0));
      }
    }
  }

  void blend(std::int64_t x, std::int64_t y, Colour colour, double share) {
    if (x < 0 || y < 0 || x >= picture_.width || y >= picture_.height || share <= 0) return;
    std::uint8_t* pixel = picture_.pixels.data() + (y * picture_.width + x) * 3;
    const std::array<std::uint8_t, 3> values{colour.red, colour.green, colour.blue};
    for (std::size_t c = 0; c < 3; ++c)
      pixel[c] = static_cast<std::uint8_t>(std::lround(pixel[c] + share * (values[c] - pixel[c])));
  }

  double zoom_;
  Picture picture_;
};

}  // namespace

std::string to_svg(const Drawing& drawing) {
  std::string svg = fmt::format(R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" width="{0}" )"
                                R"(height="{1}" role="img" aria-label="{2}">)",
                                short_number(drawing.width), short_number(drawing.height), html_text(drawing.title)) +
                    "\n" + style();
  for (const auto& shape : drawing.shapes)
    svg += std::visit([](const auto& drawn) { return element(drawn); }, shape) + "\n";
  return svg + "</svg>\n";
}

Picture to_picture(const Drawing& drawing, std::int64_t zoom) {
  Canvas canvas(drawing, zoom);
  for (const auto& shape : drawing.shapes) std::visit([&](const auto& drawn) { canvas.draw(drawn); }, shape);
  return canvas.take();
}

}  // namespace snug
