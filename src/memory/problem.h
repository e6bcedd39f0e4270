// What the placers work on: buffers without empty ones, sizes in units, and time cut down to what matters.
//
// Two buffers may not share bytes when their lifetimes overlap, and in which steps they do is of no matter. Only the
// steps between a birth and the next death have a set of live buffers that no neighbouring step's set contains: these
// are the sections. Where no buffer lives on from one section to the next, the problem falls into parts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "memory/placement.h"

namespace snug {

/// A buffer that is alive in the sections [first, last).
struct Item {
  std::int32_t first = 0, last = 0;
  std::int64_t size = 0;  ///< units
  [[nodiscard]] bool overlaps(const Item& other) const { return first < other.last && other.first < last; }
  friend bool operator==(const Item&, const Item&) = default;
};

/// Buffers that must be placed together; sections count from 0.
struct Part {
  std::vector<Item> items;             ///< ordered by first
  std::vector<std::uint32_t> buffers;  ///< of each item, its index among all buffers
  std::int32_t sections = 0;
  std::int64_t lower_bound = 0;  ///< units
};

struct Problem {
  std::int64_t unit = 1;         ///< bytes; the largest number that divides alignment and all rounded sizes
  std::vector<Part> parts;       ///< by descending lower bound
  std::int64_t lower_bound = 0;  ///< units: the largest of the parts'
};

/// Sizes are rounded up to `alignment`; all of them together must not exceed 63 bits.
[[nodiscard]] Problem make_problem(std::span<const Buffer> buffers, std::int64_t alignment);

/// Offsets of a part's items and the end of the highest, in units.
struct Packing {
  std::vector<std::int64_t> offsets;
  std::int64_t height = 0;
};

}  // namespace snug
