// Mean and deviation of a channel of a batch, for the steps that measure them.
#pragma once

#include <algorithm>
#include <cmath>

#include "backend/reference/call.h"

namespace snug::reference {

/// Calls visit(n, h, w) for every pixel.
template <class Visit>
void for_each_pixel(const Extents& extents, Visit visit) {
  for_each({extents[0], extents[1], extents[2], 1}, [&](Index n, Index h, Index w, Index) { visit(n, h, w); });
}

inline double pixels(const Doubles& x) { return static_cast<double>(x.n() * x.h() * x.w()); }

struct Statistics {
  Doubles running_mean, running_var, mean, inverse_std;
};

/// Channel c of the statistics of x, and the running ones moved towards them. `attributes` has epsilon and momentum.
template <class Attributes>
void measure(const Attributes& attributes, const Doubles& x, const Statistics& s, Index c) {
  const double count = pixels(x);
  double sum = 0;
  for_each_pixel(x.extents, [&](Index n, Index h, Index w) { sum += x(n, h, w, c); });
  const double average = sum / count;
  double squares = 0;
  for_each_pixel(x.extents, [&](Index n, Index h, Index w) { squares += std::pow(x(n, h, w, c) - average, 2); });
  const double unbiased = squares / std::max(count - 1, 1.0);
  s.mean(c) = average;
  s.inverse_std(c) = 1 / std::sqrt(squares / count + attributes.epsilon);
  s.running_mean(c) = (1 - attributes.momentum) * s.running_mean(c) + attributes.momentum * average;
  s.running_var(c) = (1 - attributes.momentum) * s.running_var(c) + attributes.momentum * unbiased;
}

}  // namespace snug::reference
