#include "base/shape.h"

#include <algorithm>

#include "base/ensure.h"

namespace snug {

Shape::Shape(std::initializer_list<std::int64_t> extents)
    : Shape(std::span<const std::int64_t>(extents.begin(), extents.size())) {}

Shape::Shape(std::span<const std::int64_t> extents) : rank_(static_cast<int>(extents.size())) {
  ensure(extents.size() <= kMaxRank, "a shape has at most 5 axes");
  std::ranges::copy(extents, extents_.begin());
}

std::int64_t Shape::elements() const {
  std::int64_t product = 1;
  for (const std::int64_t extent : extents()) product *= extent;
  return product;
}

Shape Shape::with_batch(std::int64_t extent) const {
  ensure(rank_ < kMaxRank, "no room for a batch axis");
  Shape batched;
  batched.rank_ = rank_ + 1;
  batched.extents_[0] = extent;
  std::copy_n(extents_.begin(), rank_, batched.extents_.begin() + 1);
  return batched;
}

std::string to_string(const Shape& shape) {
  if (shape.rank() == 0) return "scalar";
  std::string text;
  for (const std::int64_t extent : shape.extents()) {
    if (!text.empty()) text += "×";
    text += std::to_string(extent);
  }
  return text;
}

}  // namespace snug
