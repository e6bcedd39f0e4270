#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "data/source.h"

namespace snug {

namespace {

constexpr std::int64_t kBlock = 256;  // pixels woven at a time: 1 KiB of words stays in the first cache

}  // namespace

void planes_to_rgb(const std::byte* planes, std::int64_t pixels, std::byte* rgb) {
  const auto* red = reinterpret_cast<const std::uint8_t*>(planes);
  const auto* green = red + pixels;
  const auto* blue = green + pixels;
  std::array<std::uint32_t, kBlock> words;
  for (std::int64_t begin = 0; begin < pixels; begin += kBlock) {
    const std::int64_t count = std::min(kBlock, pixels - begin);
    // Two loops, so that the compiler vectorises the first; the second writes 8 bytes for each 6 that it means.
    for (std::int64_t i = 0; i < count; ++i) {
      words[static_cast<std::size_t>(i)] = static_cast<std::uint32_t>(red[begin + i]) |
                                           static_cast<std::uint32_t>(green[begin + i]) << 8 |
                                           static_cast<std::uint32_t>(blue[begin + i]) << 16;
    }
    std::byte* out = rgb + 3 * begin;
    std::int64_t i = 0;
    for (; i + 3 < count; i += 2, out += 6) {  // the two bytes too many fall into the next pixel of this block
      const std::uint64_t pair =
          words[static_cast<std::size_t>(i)] | static_cast<std::uint64_t>(words[static_cast<std::size_t>(i) + 1]) << 24;
      std::memcpy(out, &pair, sizeof(pair));
    }
    for (; i < count; ++i, out += 3) std::memcpy(out, &words[static_cast<std::size_t>(i)], 3);
  }
}

}  // namespace snug
