// A sample of a data set that lies where it is computed with, as a batch names it.
#pragma once

#include <cstdint>

namespace snug {

/// Which picture, and how it is changed on the way: row r, column c of the result are row r + down, column c + right of
/// the picture once it was turned. What lies beside it is 0, or with `reflected` what is mirrored there, the border
/// itself not repeated.
struct SamplePlace {
  enum Turn : std::int32_t { mirrored = 1, upside_down = 2, reflected = 4 };
  std::int32_t sample = 0, down = 0, right = 0, turns = 0;
  friend bool operator==(const SamplePlace&, const SamplePlace&) = default;
};
inline constexpr std::int64_t kSamplePlaceNumbers = 4;
static_assert(sizeof(SamplePlace) == kSamplePlaceNumbers * sizeof(std::int32_t));

}  // namespace snug
