// What this machine can do at best, measured with the program's own backend: the yardstick of `bench`.
#pragma once

#include "backend/backend.h"

namespace snug {

struct Ceiling {
  double flops_per_second = 0;  ///< a square matrix product or a wide 3×3 convolution, the faster
  double bytes_per_second = 0;  ///< a copy, read and written bytes counted
};
[[nodiscard]] Ceiling measure_ceiling(Backend& backend, DType dtype);

}  // namespace snug
