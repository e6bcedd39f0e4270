// 1×1 convolutions with norms around them, from their definitions: every part as its own step writes it.
#include "backend/reference/call.h"
#include "backend/reference/functions.h"
#include "backend/reference/slopes.h"
#include "backend/reference/statistics.h"

namespace snug::reference {

namespace {

/// The norm of x whose gamma, beta, mean and inverse_std begin at operand `first`, before the activation.
class Norm {
 public:
  Norm(const Call& call, int first)
      : gamma_(call[first]), beta_(call[first + 1]), mean_(call[first + 2]), inverse_std_(call[first + 3]) {}
  double operator()(double x, Index c) const { return gamma_(c) * (x - mean_(c)) * inverse_std_(c) + beta_(c); }
  [[nodiscard]] double mean(Index c) const { return mean_(c); }

 private:
  Doubles gamma_, beta_, mean_, inverse_std_;
};

double activated(const Conv1x1Attributes& attributes, double value) {
  return attributes.activation ? activation_value(*attributes.activation, value) : value;
}

/// y = change(x, channel) · w
template <class Change>
void multiply(const Call& call, const Doubles& y, Change change) {
  const Doubles x = call[0], weights = call[1];
  for_each(y.extents, [&](Index n, Index h, Index w, Index o) {
    double sum = 0;
    for (Index c = 0; c < x.c(); ++c) sum += change(x(n, h, w, c), c) * weights(o, 0, 0, c);
    y(n, h, w, o) = sum;
  });
}

}  // namespace

void conv1x1_forward(const Call& call) {
  const auto& attributes = call.attributes<Conv1x1Attributes>();
  const int running = attributes.norm ? 6 : 2, output = running + (attributes.statistics ? 2 : 0);
  const Doubles y = call[output];
  if (attributes.norm) {
    const Norm norm(call, 2);
    multiply(call, y, [&](double x, Index c) { return activated(attributes, norm(x, c)); });
  } else {
    multiply(call, y, [](double x, Index) { return x; });
  }
  if (!attributes.statistics) return;
  for (Index o = 0; o < y.c(); ++o)
    measure(attributes, y, {call[running], call[running + 1], call[output + 1], call[output + 2]}, o);
}

void conv1x1_backward_data(const Call& call) {
  const auto& attributes = call.attributes<Conv1x1Attributes>();
  const int input = attributes.addend ? 3 : 2, output = input + (attributes.residual ? 6 : 5);
  const Doubles dy = call[0], weights = call[1], addend = call[2], x = call[input];
  const Doubles y = call[input + (attributes.residual ? 5 : 0)], g = call[output], sums = call[output + 1];
  const Norm norm(call, input + 1);
  for (Index c = 0; c < g.c(); ++c) sums(0, c) = sums(1, c) = 0;
  for_each(g.extents, [&](Index n, Index h, Index w, Index c) {
    double value = attributes.addend ? addend(n, h, w, c) : 0.0;
    for (Index o = 0; o < dy.c(); ++o) value += dy(n, h, w, o) * weights(o, 0, 0, c);
    if (attributes.activation && attributes.residual) {
      value *= activation_slope_at_output(*attributes.activation, y(n, h, w, c));
    } else if (attributes.activation) {
      value *= activation_slope_at_input(*attributes.activation, norm(x(n, h, w, c), c));
    }
    g(n, h, w, c) = value;
    sums(0, c) += value;
    sums(1, c) += value * (x(n, h, w, c) - norm.mean(c));
  });
}

void conv1x1_backward_weights(const Call& call) {
  const auto& attributes = call.attributes<Conv1x1Attributes>();
  const Doubles x = call[0], dy = call[1], dw = call[6];
  const Norm norm(call, 2);
  for_each(dw.extents, [&](Index o, Index, Index, Index c) {
    double sum = attributes.accumulate ? dw(o, 0, 0, c) : 0.0;
    for_each({x.n(), x.h(), x.w(), 1}, [&](Index n, Index h, Index w, Index) {
      sum += activated(attributes, norm(x(n, h, w, c), c)) * dy(n, h, w, o);
    });
    dw(o, 0, 0, c) = sum;
  });
}

}  // namespace snug::reference
