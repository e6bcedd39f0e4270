// Placement problems as CSV files: a header, then a buffer a row. The columns id, lower, upper and size may stand
// anywhere, others are kept as they are. A buffer is alive from `lower` until before `upper` (half-open).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/array.h"
#include "memory/placement.h"

namespace snug {

struct ProblemTable {
  std::vector<Buffer> buffers;
  FileBytes file;                            ///< what the views below look at
  std::string_view header;                   ///< without its line end
  std::vector<std::string_view> rows;        ///< of each buffer
  std::optional<std::size_t> offset_column;  ///< where the file has a solution already
};

/// Nothing, and findings that name the line and the column, for a table that is no problem: columns missing or twice,
/// rows of other lengths, numbers that are none or beyond 64 bits (all sizes together too), negative sizes, lifetimes
/// that end before they begin, ids twice.
[[nodiscard]] std::optional<ProblemTable> read_problem(FileBytes file, Findings& findings);

/// The same rows in the same order with the column `offset`: the last, or that of the file where it has one.
[[nodiscard]] std::string solution_csv(const ProblemTable& table, std::span<const std::int64_t> offsets);

}  // namespace snug
