// Decodes a fuzzer's input as a data set does.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/ensure.h"
#include "data/picture.h"

namespace snug::fuzz {

inline void exercise_picture(const std::uint8_t* data, std::size_t size) {
  constexpr std::int64_t kMostPixels = 1 << 22;  // larger ones are sound, and slow
  const std::vector<std::byte> file(reinterpret_cast<const std::byte*>(data),
                                    reinterpret_cast<const std::byte*>(data) + size);
  PictureFacts facts;
  std::string problem;
  if (!read_facts(file, facts, problem)) {
    ensure(!problem.empty(), "a refusal has a reason");
    return;
  }
  ensure(facts.height > 0 && facts.width > 0 && (facts.channels == 1 || facts.channels == 3), "a picture has pixels");
  if (facts.height * facts.width > kMostPixels) return;
  for (const std::int64_t least : {0, 1, 24}) {
    Picture picture, turned;
    PictureFacts again;
    problem.clear();
    if (!decode_picture(file, least, least, picture, again, problem)) {
      ensure(!problem.empty(), "a refusal has a reason");
      continue;
    }
    ensure(again.height == facts.height && again.width == facts.width, "extents stay");
    ensure(std::cmp_equal(picture.pixels.size(), picture.height * picture.width * picture.channels),
           "pixels are all there");
    orient(picture, again.orientation, turned);
    ensure(turned.pixels.size() == picture.pixels.size(), "turning loses nothing");
  }
}

}  // namespace snug::fuzz
