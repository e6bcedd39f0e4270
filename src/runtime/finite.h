#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "program/program.h"

namespace snug {

/// An element that is NaN or infinite, by its place in row-major order of the logical shape.
struct BadElement {
  std::int64_t element = 0;
  double value = 0;
};

/// The first element of a floating tensor (packed or pitched) that is not finite. Integers have none.
[[nodiscard]] std::optional<BadElement> find_not_finite(const TensorInfo& tensor, const std::byte* data);

}  // namespace snug
