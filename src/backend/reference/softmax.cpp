#include <algorithm>
#include <cmath>

#include "backend/reference/call.h"
#include "backend/reference/functions.h"

namespace snug::reference {

void softmax_forward(const Call& call) {
  const Doubles x = call[0];
  const Doubles y = call[1];
  for_each({x.n(), x.h(), x.w(), 1}, [&](Index n, Index h, Index w, Index) {
    double largest = x(n, h, w, 0);
    for (Index c = 1; c < x.c(); ++c) largest = std::max(largest, x(n, h, w, c));
    double sum = 0;
    for (Index c = 0; c < x.c(); ++c) sum += std::exp(x(n, h, w, c) - largest);
    for (Index c = 0; c < x.c(); ++c) y(n, h, w, c) = std::exp(x(n, h, w, c) - largest) / sum;
  });
}

void softmax_backward(const Call& call) {
  const Doubles dy = call[0];
  const Doubles y = call[1];
  const Doubles dx = call[2];
  for_each({dy.n(), dy.h(), dy.w(), 1}, [&](Index n, Index h, Index w, Index) {
    double dot = 0;
    for (Index c = 0; c < dy.c(); ++c) dot += dy(n, h, w, c) * y(n, h, w, c);
    for (Index c = 0; c < dy.c(); ++c) dx(n, h, w, c) = y(n, h, w, c) * (dy(n, h, w, c) - dot);
  });
}

}  // namespace snug::reference
