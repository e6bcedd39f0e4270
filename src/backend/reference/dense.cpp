#include "backend/reference/call.h"
#include "backend/reference/functions.h"

namespace snug::reference {

void dense_forward(const Call& call) {
  const bool bias = call.attributes<DenseAttributes>().bias;
  const Doubles x = call[0];
  const Doubles w = call[1];
  const Doubles y = call[bias ? 3 : 2];
  for (Index n = 0; n < y.n(); ++n) {
    for (Index o = 0; o < y.c(); ++o) {
      y(n, o) = bias ? call[2](o) : 0.0;
      for (Index i = 0; i < x.c(); ++i) y(n, o) += x(n, i) * w(o, i);
    }
  }
}

void dense_backward_data(const Call& call) {
  const Doubles dy = call[0];
  const Doubles w = call[1];
  const Doubles dx = call[2];
  for (Index n = 0; n < dx.n(); ++n) {
    for (Index i = 0; i < dx.c(); ++i) {
      dx(n, i) = 0;
      for (Index o = 0; o < dy.c(); ++o) dx(n, i) += dy(n, o) * w(o, i);
    }
  }
}

void dense_backward_weights(const Call& call) {
  const auto& attributes = call.attributes<DenseAttributes>();
  const Doubles x = call[0];
  const Doubles dy = call[1];
  const Doubles dw = call[2];
  for (Index o = 0; o < dw.n(); ++o) {
    for (Index i = 0; i < dw.c(); ++i) {
      if (!attributes.accumulate) dw(o, i) = 0;
      for (Index n = 0; n < x.n(); ++n) dw(o, i) += x(n, i) * dy(n, o);
    }
  }
  if (!attributes.bias) return;
  const Doubles db = call[3];
  for (Index o = 0; o < db.c(); ++o) {
    if (!attributes.accumulate) db(o) = 0;
    for (Index n = 0; n < dy.n(); ++n) db(o) += dy(n, o);
  }
}

}  // namespace snug::reference
