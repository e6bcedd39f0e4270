// One pass over the images of a split, or over a part that is spread evenly: what values they hold, and which are
// equal.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "data/dataset.h"

namespace snug {

/// An image's content as a number, so that equal images are found by sorting.
struct Print {
  std::uint64_t hash = 0;
  std::int64_t sample = 0;
};

struct Look {
  std::string_view name;  ///< "train", "val", "test"
  const Dataset* data = nullptr;
  std::int64_t looked = 0;  ///< images whose values were read
  double min = 0, max = 0, mean = 0, std = 0;
  std::int64_t not_finite = -1;                    ///< the first image with NaN or Inf, or −1
  std::int64_t blank_count = 0, first_blank = -1;  ///< images of one value
  std::vector<Print> prints;                       ///< of images that are not blank, by hash, then sample
  [[nodiscard]] bool all() const { return looked == data->info().samples; }
  [[nodiscard]] bool constant() const { return looked > 0 && not_finite < 0 && min == max; }
};

/// `full`: every image, however long it takes; else at most about a second's worth.
[[nodiscard]] Look look_at(std::string_view name, const Dataset& data, bool full);

}  // namespace snug
