#include "data/sample_pictures.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace snug {

namespace {

/// From values to bytes.
struct Stretch {
  float low = 0, scale = 1;
  [[nodiscard]] std::uint8_t byte_of(float value) const {
    const float stretched = (value - low) * scale;
    if (!(stretched > 0)) return 0;  // NaN too
    return static_cast<std::uint8_t>(std::lround(std::min(stretched, 255.0F)));
  }
};

Stretch stretch_of(std::span<const std::byte> images) {
  float low = INFINITY;
  float high = -INFINITY;
  for (std::size_t i = 0; i + sizeof(float) <= images.size(); i += sizeof(float)) {
    float value = 0;
    std::memcpy(&value, images.data() + i, sizeof value);
    if (!std::isfinite(value)) continue;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  if (!(high > low)) return {.low = std::isfinite(low) ? low : 0, .scale = 0};
  return {.low = low, .scale = 255 / (high - low)};
}

}  // namespace

std::vector<Picture> pictures_of(std::span<const std::byte> images, const DatasetInfo& info) {
  const bool bytes = info.dtype == DType::u8;
  const auto channels = static_cast<std::size_t>(info.image[2]);
  const std::size_t shown = channels >= 3 ? 3 : 1;
  const auto pixels = static_cast<std::size_t>(info.image[0] * info.image[1]);
  const std::size_t width = bytes ? 1 : sizeof(float);
  const Stretch stretch = bytes ? Stretch() : stretch_of(images);
  std::vector<Picture> pictures(images.size() / (pixels * channels * width));
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    pictures[i].reshape(info.image[0], info.image[1], static_cast<std::int64_t>(shown));
    const std::byte* in = images.data() + i * pixels * channels * width;
    for (std::size_t k = 0; k < pixels * shown; ++k) {
      const std::byte* at = in + (k / shown * channels + k % shown) * width;
      float value = 0;
      if (!bytes) std::memcpy(&value, at, sizeof value);
      pictures[i].pixels[k] = bytes ? std::to_integer<std::uint8_t>(*at) : stretch.byte_of(value);
    }
  }
  return pictures;
}

std::vector<Picture> sample_pictures(const Dataset& data, std::span<const std::int64_t> samples) {
  const DatasetInfo& info = data.info();
  const auto bytes = static_cast<std::size_t>(info.image.elements() * size_bytes(info.dtype));
  std::vector<std::byte> images(bytes * samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) data.read_image(samples[i], images.data() + i * bytes);
  return pictures_of(images, info);
}

Picture thumbnail(const Picture& picture, std::int64_t longest) {
  const std::int64_t side = std::max(picture.height, picture.width);
  if (side <= longest) return picture;
  Picture small;
  small.reshape(std::max<std::int64_t>(1, picture.height * longest / side),
                std::max<std::int64_t>(1, picture.width * longest / side), picture.channels);
  for (std::int64_t y = 0; y < small.height; ++y) {
    const std::int64_t top = y * picture.height / small.height, bottom = (y + 1) * picture.height / small.height;
    for (std::int64_t x = 0; x < small.width; ++x) {
      const std::int64_t left = x * picture.width / small.width, right = (x + 1) * picture.width / small.width;
      const std::int64_t count = (bottom - top) * (right - left);
      for (std::int64_t c = 0; c < picture.channels; ++c) {
        std::int64_t sum = 0;
        for (std::int64_t row = top; row < bottom; ++row)
          for (std::int64_t column = left; column < right; ++column)
            sum += picture.pixels[static_cast<std::size_t>((row * picture.width + column) * picture.channels + c)];
        small.pixels[static_cast<std::size_t>((y * small.width + x) * picture.channels + c)] =
            static_cast<std::uint8_t>((sum + count / 2) / count);
      }
    }
  }
  return small;
}

}  // namespace snug
