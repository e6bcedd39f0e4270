// The first layers of a network in slices of the batch: their maps are the largest, and each slice's live only while it
// is worked on. For layers that treat every sample alone; sums of weight gradients are taken slice by slice.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "program/program.h"

namespace snug {

struct Split {
  std::string until;       ///< name of the storage that the last split layer writes; empty: no split
  std::int64_t parts = 1;  ///< slices, as equal as possible
  friend bool operator==(const Split&, const Split&) = default;
};

/// Storages at which a split may end, from the input on.
[[nodiscard]] std::vector<std::string> split_points(const Program& program);

/// Does forward and backward steps up to `split.until` slice by slice. A program where that is not possible stays as it
/// is. Runs after alternatives are chosen, and before anything is dropped or merged.
void split_front(Program& program, const Split& split);

}  // namespace snug
