#include "data/color.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numbers>
#include <utility>

namespace snug {

namespace {

std::uint8_t to_byte(double value) {
  return static_cast<std::uint8_t>(std::clamp(std::floor(value + 0.5), 0.0, 255.0));
}

double between(Random& random, double low, double high) {
  return low + (high - low) * static_cast<double>(random.uniform());
}

/// The brightness of a pixel (ITU-R 601).
double luma(const std::uint8_t* pixel, std::int64_t channels) {
  if (channels != 3) return pixel[0];
  return 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2];
}

void brighten(double factor, const Shape& image, std::uint8_t* pixels) {
  std::array<std::uint8_t, 256> table;
  for (std::size_t i = 0; i < table.size(); ++i) table[i] = to_byte(factor * static_cast<double>(i));
  for (std::int64_t i = 0; i < image.elements(); ++i) pixels[i] = table[pixels[i]];
}

void contrast(double factor, const Shape& image, std::uint8_t* pixels) {
  const std::int64_t channels = image[2];
  const std::int64_t count = image[0] * image[1];
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += luma(pixels + i * channels, channels);
  const double mean = sum / static_cast<double>(count);
  std::array<std::uint8_t, 256> table;
  for (std::size_t i = 0; i < table.size(); ++i) table[i] = to_byte(mean + factor * (static_cast<double>(i) - mean));
  for (std::int64_t i = 0; i < image.elements(); ++i) pixels[i] = table[pixels[i]];
}

void saturate(double factor, const Shape& image, std::uint8_t* pixels) {
  if (image[2] != 3) return;
  for (std::int64_t i = 0; i < image[0] * image[1]; ++i) {
    std::uint8_t* pixel = pixels + 3 * i;
    const double gray = luma(pixel, 3);
    for (int c = 0; c < 3; ++c) pixel[c] = to_byte(gray + factor * (pixel[c] - gray));
  }
}

/// Turns the hue by a part of the circle.
void turn_hue(double turn, const Shape& image, std::uint8_t* pixels) {
  if (image[2] != 3) return;
  for (std::int64_t i = 0; i < image[0] * image[1]; ++i) {
    std::uint8_t* pixel = pixels + 3 * i;
    const double r = pixel[0];
    const double g = pixel[1];
    const double b = pixel[2];
    const double high = std::max({r, g, b});
    const double range = high - std::min({r, g, b});
    if (range == 0) continue;
    double hue = high == r ? (g - b) / range : high == g ? 2 + (b - r) / range : 4 + (r - g) / range;
    hue += 6 * turn + 12;  // never negative
    // A component is high within a sixth of its hue's place, low beyond two sixths.
    const auto component = [&](double place) {
      const double k = std::fmod(place + hue, 6.0);
      return to_byte(high - range * std::max(0.0, std::min({k, 4 - k, 1.0})));
    };
    pixel[0] = component(5);
    pixel[1] = component(3);
    pixel[2] = component(1);
  }
}

/// Towards the picture smoothed by a 3×3 kernel for factors below 1, away from it above.
void sharpen(double factor, const Shape& image, std::uint8_t* pixels, std::uint8_t* scratch) {
  const std::int64_t channels = image[2];
  const std::int64_t row = image[1] * channels;
  std::memcpy(scratch, pixels, static_cast<std::size_t>(image.elements()));
  for (std::int64_t y = 1; y + 1 < image[0]; ++y) {
    for (std::int64_t x = channels; x < row - channels; ++x) {
      const std::uint8_t* p = scratch + y * row + x;
      int sum = 4 * p[0];
      for (const std::int64_t dy : {-row, std::int64_t{0}, row}) sum += p[dy - channels] + p[dy] + p[dy + channels];
      const double smooth = std::floor(sum / 13.0 + 0.5);
      pixels[y * row + x] = to_byte(smooth + factor * (p[0] - smooth));
    }
  }
}

using Histogram = std::array<std::int64_t, 256>;
Histogram histogram_of(const Shape& image, const std::uint8_t* pixels, std::int64_t channel) {
  Histogram counts{};
  for (std::int64_t i = channel; i < image.elements(); i += image[2]) ++counts[pixels[i]];
  return counts;
}

void stretch(const Shape& image, std::uint8_t* pixels) {
  for (std::int64_t c = 0; c < image[2]; ++c) {
    const Histogram counts = histogram_of(image, pixels, c);
    const auto used = [](std::int64_t count) { return count > 0; };
    const auto low = std::ranges::find_if(counts, used) - counts.begin();
    const auto high = 255 - (std::find_if(counts.rbegin(), counts.rend(), used) - counts.rbegin());
    if (high <= low) continue;
    for (std::int64_t i = c; i < image.elements(); i += image[2]) {
      pixels[i] = to_byte(static_cast<double>(pixels[i] - low) * 255 / static_cast<double>(high - low));
    }
  }
}

/// Makes all values equally frequent, as nearly as a table can.
void equalize(const Shape& image, std::uint8_t* pixels) {
  for (std::int64_t c = 0; c < image[2]; ++c) {
    const Histogram counts = histogram_of(image, pixels, c);
    std::size_t last = 255;
    while (counts[last] == 0) --last;
    const std::int64_t step = (image[0] * image[1] - counts[last]) / 255;
    if (step == 0) continue;
    std::array<std::uint8_t, 256> table;
    std::int64_t sum = step / 2;
    for (std::size_t value = 0; value < 256; ++value) {
      table[value] = static_cast<std::uint8_t>(std::min<std::int64_t>(sum / step, 255));
      sum += counts[value];
    }
    for (std::int64_t i = c; i < image.elements(); i += image[2]) pixels[i] = table[pixels[i]];
  }
}

template <class T>
T from_double(double value) {
  if constexpr (std::is_same_v<T, std::uint8_t>) {
    return to_byte(value);
  } else {
    return static_cast<T>(value);
  }
}

template <class T>
void warp_any(const Affine& affine, const Shape& image, const T* in, T* out) {
  const std::int64_t height = image[0];
  const std::int64_t width = image[1];
  const std::int64_t channels = image[2];
  const double center_y = static_cast<double>(height - 1) / 2;
  const double center_x = static_cast<double>(width - 1) / 2;
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x, out += channels) {
      const double dy = static_cast<double>(y) - center_y;
      const double dx = static_cast<double>(x) - center_x;
      const double from_y = affine.yy * dy + affine.yx * dx + affine.y0 + center_y;
      const double from_x = affine.xy * dy + affine.xx * dx + affine.x0 + center_x;
      const double low_y = std::floor(from_y);
      const double low_x = std::floor(from_x);
      const auto iy = static_cast<std::int64_t>(low_y);
      const auto ix = static_cast<std::int64_t>(low_x);
      const double wy = from_y - low_y;
      const double wx = from_x - low_x;
      const auto value = [&](std::int64_t row, std::int64_t column, std::int64_t c) -> double {
        if (row < 0 || row >= height || column < 0 || column >= width) return 0;
        return static_cast<double>(in[(row * width + column) * channels + c]);
      };
      for (std::int64_t c = 0; c < channels; ++c) {
        const double upper = value(iy, ix, c) * (1 - wx) + value(iy, ix + 1, c) * wx;
        const double lower = value(iy + 1, ix, c) * (1 - wx) + value(iy + 1, ix + 1, c) * wx;
        out[c] = from_double<T>(upper * (1 - wy) + lower * wy);
      }
    }
  }
}

void warp_in_place(const Affine& affine, const Shape& image, std::uint8_t* pixels, std::uint8_t* scratch) {
  std::memcpy(scratch, pixels, static_cast<std::size_t>(image.elements()));
  warp_any(affine, image, scratch, pixels);
}

enum class Operation : std::uint32_t {
  identity,
  shear_x,
  shear_y,
  translate_x,
  translate_y,
  rotate,
  brightness,
  color,
  contrast,
  sharpness,
  posterize,
  solarize,
  stretch,
  equalize,
  count
};

void map_values(const Shape& image, std::uint8_t* pixels, auto&& change) {
  for (std::int64_t i = 0; i < image.elements(); ++i) pixels[i] = static_cast<std::uint8_t>(change(pixels[i]));
}

/// `strength` from 0 to 1; `sign` is −1 or 1.
void operate(Operation operation, double strength, double sign, const Shape& image, std::uint8_t* pixels,
             std::uint8_t* scratch) {
  constexpr double kShear = 0.3, kShift = 150.0 / 331.0, kDegrees = 30, kEnhance = 0.9;
  const double factor = 1 + sign * kEnhance * strength;
  const auto move = [&](const Affine& affine) { warp_in_place(affine, image, pixels, scratch); };
  switch (operation) {
    case Operation::identity:
    case Operation::count: return;
    case Operation::shear_x: return move({.xy = sign * kShear * strength});
    case Operation::shear_y: return move({.yx = sign * kShear * strength});
    case Operation::translate_x:
      return move({.x0 = std::round(sign * kShift * strength * static_cast<double>(image[1]))});
    case Operation::translate_y:
      return move({.y0 = std::round(sign * kShift * strength * static_cast<double>(image[0]))});
    case Operation::rotate: return move(rotation(sign * kDegrees * strength));
    case Operation::brightness: return brighten(factor, image, pixels);
    case Operation::color: return saturate(factor, image, pixels);
    case Operation::contrast: return contrast(factor, image, pixels);
    case Operation::sharpness: return sharpen(factor, image, pixels, scratch);
    case Operation::posterize: {
      const auto dropped = static_cast<unsigned>(std::lround(4 * strength));
      return map_values(image, pixels, [dropped](unsigned value) { return value >> dropped << dropped; });
    }
    case Operation::solarize: {
      const auto limit = static_cast<unsigned>(std::lround(255 * (1 - strength)));
      return map_values(image, pixels,
                        [limit](unsigned value) { return value >= limit && limit < 255 ? 255 - value : value; });
    }
    case Operation::stretch: return stretch(image, pixels);
    case Operation::equalize: return equalize(image, pixels);
  }
}

}  // namespace

void jitter_colors(const ColorJitter& jitter, Random& random, const Shape& image, std::uint8_t* pixels) {
  std::array<int, 4> order{0, 1, 2, 3};
  for (std::size_t i = 3; i > 0; --i) std::swap(order[i], order[random.below(static_cast<std::uint32_t>(i + 1))]);
  const auto factor = [&random](double strength) { return between(random, std::max(0.0, 1 - strength), 1 + strength); };
  // All are drawn, used or not: what one setting draws does not depend on another.
  const double factors[] = {factor(jitter.brightness), factor(jitter.contrast), factor(jitter.saturation)};
  const double turn = between(random, -jitter.hue, jitter.hue);
  for (const int which : order) {
    if (which == 0 && jitter.brightness > 0) brighten(factors[0], image, pixels);
    if (which == 1 && jitter.contrast > 0) contrast(factors[1], image, pixels);
    if (which == 2 && jitter.saturation > 0) saturate(factors[2], image, pixels);
    if (which == 3 && jitter.hue > 0) turn_hue(turn, image, pixels);
  }
}

void apply_randaugment(const RandAugment& augment, Random& random, const Shape& image, std::uint8_t* pixels,
                       std::uint8_t* scratch) {
  constexpr double kMost = 30;
  for (std::int64_t i = 0; i < augment.count; ++i) {
    const auto operation = static_cast<Operation>(random.below(static_cast<std::uint32_t>(Operation::count)));
    const double sign = random.below(2) == 0 ? -1 : 1;
    operate(operation, augment.magnitude / kMost, sign, image, pixels, scratch);
  }
}

Affine rotation(double degrees) {
  const double angle = degrees * std::numbers::pi / 180;
  return {.yy = std::cos(angle), .yx = std::sin(angle), .xy = -std::sin(angle), .xx = std::cos(angle)};
}

void warp(const Affine& affine, const Shape& image, const std::uint8_t* in, std::uint8_t* out) {
  warp_any(affine, image, in, out);
}
void warp(const Affine& affine, const Shape& image, const float* in, float* out) { warp_any(affine, image, in, out); }

}  // namespace snug
