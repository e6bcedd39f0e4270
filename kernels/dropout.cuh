// Dropout and stochastic depth, forward and backward alike: y = x · (0 or 1 ÷ (1 − rate)); in place allowed.
#pragma once

#include "types.h"

namespace snug::kernels {

struct Dropout {
  double rate = 0;
  std::uint64_t key = 0;  ///< random_key(seed, RandomStream::dropout, layer)
  std::int64_t sample_offset = 0;
  bool per_sample = false;
};

/// `step`: the optimizer step in device memory, a double (element Control::step of the control tensor).
void dropout(Data data, const Dropout& dropout, const double* step, const void* x, void* y, std::int64_t samples,
             std::int64_t elements_per_sample, Stream stream);

}  // namespace snug::kernels
