#include <cstdint>
#include <cstring>

#include "data/source.h"

namespace snug {

namespace {

/// Bytes 0, 1, 2 of a word moved to places 0, 3, 6: every third place, as a colour's bytes stand in pixels.
std::uint64_t spread(std::uint64_t word) { return (word & 0xFF) | (word & 0xFF00) << 16 | (word & 0xFF0000) << 32; }

std::uint64_t load_word(const std::byte* place) {
  std::uint64_t word = 0;
  std::memcpy(&word, place, sizeof(word));
  return word;
}

void store_word(std::byte* place, std::uint64_t word) { std::memcpy(place, &word, sizeof(word)); }

}  // namespace

void planes_to_rgb(const std::byte* planes, std::int64_t pixels, std::byte* rgb) {
  const std::byte* red = planes;
  const std::byte* green = red + pixels;
  const std::byte* blue = green + pixels;
  std::int64_t i = 0;
  // Eight pixels at a time in plain 64-bit words, which every processor has.
  for (; i + 8 <= pixels; i += 8, rgb += 24) {
    const std::uint64_t r = load_word(red + i);
    const std::uint64_t g = load_word(green + i);
    const std::uint64_t b = load_word(blue + i);
    store_word(rgb, spread(r) | spread(g) << 8 | spread(b & 0xFFFF) << 16);  // r0 g0 b0 … r2 g2
    store_word(rgb + 8, (b >> 16 & 0xFF) | spread(r >> 24) << 8 | spread(g >> 24 & 0xFFFF) << 16 |
                            spread(b >> 24 & 0xFFFF) << 24);                               // b2 r3 g3 … b4 r5
    store_word(rgb + 16, spread(g >> 40) | spread(b >> 40) << 8 | spread(r >> 48) << 16);  // g5 b5 r6 … b7
  }
  for (; i < pixels; ++i, rgb += 3) {
    rgb[0] = red[i];
    rgb[1] = green[i];
    rgb[2] = blue[i];
  }
}

}  // namespace snug
