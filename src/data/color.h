// Changes of 8-bit pixels in place: what color_jitter and randaugment are made of. Internal to the folder.
#pragma once

#include <cstdint>

#include "base/rng.h"
#include "base/shape.h"
#include "snug/config.h"

namespace snug {

/// Brightness, contrast, saturation and hue in a drawn order, each by a drawn factor.
void jitter_colors(const ColorJitter& jitter, Random& random, const Shape& image, std::uint8_t* pixels);
/// `count` drawn operations of fourteen, at the strength `magnitude` of 30. `scratch` is another image.
void apply_randaugment(const RandAugment& augment, Random& random, const Shape& image, std::uint8_t* pixels,
                       std::uint8_t* scratch);

/// Where the place of the result is taken from, about the image's center.
struct Affine {
  double yy = 1, yx = 0, xy = 0, xx = 1;  ///< from_y = yy·y + yx·x + y0, from_x = xy·y + xx·x + x0
  double y0 = 0, x0 = 0;
};
[[nodiscard]] Affine rotation(double degrees);
/// Bilinear; black where nothing was. `in` is another image.
void warp(const Affine& affine, const Shape& image, const std::uint8_t* in, std::uint8_t* out);
void warp(const Affine& affine, const Shape& image, const float* in, float* out);

}  // namespace snug
