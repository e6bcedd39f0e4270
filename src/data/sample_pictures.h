// Raw pixels as pictures for people.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "data/dataset.h"
#include "data/picture.h"

namespace snug {

/// `images` is count × info.image of info.dtype, raw. Gray or RGB comes out: of other numbers of channels the first, or
/// the first three. Floats are stretched from the smallest to the largest value of all.
[[nodiscard]] std::vector<Picture> pictures_of(std::span<const std::byte> images, const DatasetInfo& info);
/// The same of samples of a data set. Throws Error as reading them does.
[[nodiscard]] std::vector<Picture> sample_pictures(const Dataset& data, std::span<const std::int64_t> samples);
/// Made smaller by averaging until neither side is longer than `longest`.
[[nodiscard]] Picture thumbnail(const Picture& picture, std::int64_t longest);

}  // namespace snug
