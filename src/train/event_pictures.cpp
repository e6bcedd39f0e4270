#include "train/event_pictures.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "data/contact_sheet.h"

namespace snug {

namespace {

using Colour = std::array<double, 3>;
constexpr Colour kPaper{255, 255, 255}, kRight{110, 165, 235}, kWrong{240, 130, 110}, kLine{215, 215, 215};

constexpr std::int64_t kLetter = 6, kLineHeight = 12, kMargin = 6;  // of draw_text: five dots and a gap; seven and more
constexpr std::int64_t kMatrix = 480, kLeastCell = 3, kMostCell = 60;
constexpr std::int64_t kTextCell = 20;  // from here on cells hold numbers and names

std::string name_of(const std::vector<std::string>& classes, std::size_t index) {
  return index < classes.size() ? classes[index] : std::to_string(index);
}

void fill(Picture& picture, std::int64_t top, std::int64_t left, std::int64_t side, const Colour& colour) {
  for (std::int64_t y = top; y < top + side; ++y) {
    std::uint8_t* pixel = picture.pixels.data() + (y * picture.width + left) * 3;
    for (std::int64_t x = 0; x < side; ++x) {
      for (const double part : colour) *pixel++ = static_cast<std::uint8_t>(part);
    }
  }
}

Colour shade(const Colour& full, double share) {
  Colour made{};
  for (std::size_t c = 0; c < made.size(); ++c) made[c] = kPaper[c] + (full[c] - kPaper[c]) * share;
  return made;
}

/// Centered, in so many pixels; what is too long loses its end.
void draw_centered(Picture& picture, std::int64_t top, std::int64_t left, std::int64_t width, const std::string& text) {
  const std::int64_t taken = std::min(width, std::ssize(text) * kLetter);
  draw_text(picture, top, left + (width - taken) / 2, taken, text);
}

}  // namespace

Picture confusion_picture(const std::vector<std::vector<std::int64_t>>& counts,
                          const std::vector<std::string>& classes) {
  const std::size_t count = counts.size();
  const std::int64_t cell = std::clamp(kMatrix / static_cast<std::int64_t>(count), kLeastCell, kMostCell);
  const bool named = cell >= kTextCell;
  std::int64_t letters = 0;
  for (std::size_t i = 0; named && i < count; ++i)
    letters = std::clamp<std::int64_t>(std::ssize(name_of(classes, i)), letters, 14);
  const std::int64_t side = cell * static_cast<std::int64_t>(count);
  const std::int64_t left = kMargin + (named ? letters * kLetter + kMargin : 0);
  const std::int64_t top = kMargin + kLineHeight + (named ? kLineHeight : 0);
  Picture picture;
  constexpr std::int64_t kTitle = 38 * kLetter;
  picture.reshape(top + side + kMargin, std::max(left + side, kMargin + kTitle) + kMargin, 3);
  std::ranges::fill(picture.pixels, std::uint8_t{255});
  draw_text(picture, kMargin, kMargin, kTitle, "true class: row, predicted: column");
  for (std::size_t truth = 0; truth < count; ++truth) {
    const auto total = static_cast<double>(std::reduce(counts[truth].begin(), counts[truth].end()));
    const std::int64_t y = top + static_cast<std::int64_t>(truth) * cell;
    if (named) {
      draw_text(picture, y + (cell - 7) / 2, kMargin, letters * kLetter, name_of(classes, truth));
      draw_centered(picture, top - kLineHeight, left + static_cast<std::int64_t>(truth) * cell, cell - 2,
                    name_of(classes, truth));
    }
    for (std::size_t predicted = 0; predicted < count; ++predicted) {
      const std::int64_t n = counts[truth][predicted];
      const std::int64_t x = left + static_cast<std::int64_t>(predicted) * cell;
      if (named) fill(picture, y, x, cell, kLine);  // what is left of it is the grid
      const double share = total > 0 ? static_cast<double>(n) / total : 0;
      fill(picture, y, x, named ? cell - 1 : cell, shade(truth == predicted ? kRight : kWrong, share));
      if (named && n > 0) draw_centered(picture, y + (cell - 7) / 2, x, cell - 1, std::to_string(n));
    }
  }
  return picture;
}

std::string outcome_text(const SampleOutcome& outcome, const std::vector<std::string>& classes) {
  if (outcome.truth < 0) return fmt::format("loss {:.3g}", outcome.loss);
  const std::string predicted = name_of(classes, static_cast<std::size_t>(outcome.predicted));
  if (outcome.truth == outcome.predicted) return fmt::format("{} {:.0f}%", predicted, 100 * outcome.probability);
  return fmt::format("{}, is {}", predicted, name_of(classes, static_cast<std::size_t>(outcome.truth)));
}

}  // namespace snug
