#include <algorithm>
#include <cmath>
#include <numbers>

#include "backend/reference/call.h"
#include "backend/reference/functions.h"
#include "backend/reference/slopes.h"

namespace snug::reference {

namespace {

constexpr double kLeakySlope = 0.01;

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
/// The standard normal distribution function and its density.
double normal_cdf(double x) { return 0.5 * (1 + std::erf(x / std::numbers::sqrt2)); }
double normal_density(double x) { return std::exp(-0.5 * x * x) / std::sqrt(2 * std::numbers::pi); }

}  // namespace

double activation_value(ActivationFunction function, double x) {
  switch (function) {
    case ActivationFunction::relu: return x > 0 ? x : 0;
    case ActivationFunction::relu6: return std::clamp(x, 0.0, 6.0);
    case ActivationFunction::leaky_relu: return x > 0 ? x : kLeakySlope * x;
    case ActivationFunction::silu: return x * sigmoid(x);
    case ActivationFunction::gelu: return x * normal_cdf(x);
    case ActivationFunction::sigmoid: return sigmoid(x);
    case ActivationFunction::tanh: return std::tanh(x);
  }
  return 0;
}

double activation_slope_at_input(ActivationFunction function, double x) {
  switch (function) {
    case ActivationFunction::relu: return x > 0 ? 1 : 0;
    case ActivationFunction::relu6: return x > 0 && x < 6 ? 1 : 0;
    case ActivationFunction::leaky_relu: return x > 0 ? 1 : kLeakySlope;
    case ActivationFunction::silu: return sigmoid(x) * (1 + x * (1 - sigmoid(x)));
    case ActivationFunction::gelu: return normal_cdf(x) + x * normal_density(x);
    case ActivationFunction::sigmoid: return sigmoid(x) * (1 - sigmoid(x));
    case ActivationFunction::tanh: return 1 - std::tanh(x) * std::tanh(x);
  }
  return 0;
}

double activation_slope_at_output(ActivationFunction function, double y) {
  switch (function) {
    case ActivationFunction::relu: return y > 0 ? 1 : 0;
    case ActivationFunction::relu6: return y > 0 && y < 6 ? 1 : 0;
    case ActivationFunction::leaky_relu: return y > 0 ? 1 : kLeakySlope;
    case ActivationFunction::sigmoid: return y * (1 - y);
    case ActivationFunction::tanh: return 1 - y * y;
    case ActivationFunction::silu:
    case ActivationFunction::gelu: break;
  }
  fail("silu and gelu have no inverse", __FILE__, __LINE__);
}

void activation_forward(const Call& call) {
  const ActivationFunction function = call.attributes<ActivationAttributes>().function;
  const Doubles x = call[0];
  const Doubles y = call[1];
  for_each(y.extents,
           [&](Index n, Index h, Index w, Index c) { y(n, h, w, c) = activation_value(function, x(n, h, w, c)); });
}

void activation_backward(const Call& call) {
  const ActivationFunction function = call.attributes<ActivationAttributes>().function;
  const Doubles dy = call[0];
  const Doubles dx = call[1];
  const Doubles saved = call[2];
  const auto slope = call.chosen() == Saved::input ? activation_slope_at_input : activation_slope_at_output;
  for_each(dx.extents, [&](Index n, Index h, Index w, Index c) {
    dx(n, h, w, c) = dy(n, h, w, c) * slope(function, saved(n, h, w, c));
  });
}

}  // namespace snug::reference
