// The activations of one float, their slopes at the input and, where it is enough, at the output. Written so that loops
// over them vectorise; comparisons are written so that NaN takes the branch that keeps it.
#pragma once

#include "backend/cpu/kernels/vector.h"

namespace snug::cpu::SNUG_ISA {

inline constexpr float kLeakySlope = 0.01F;
inline constexpr float kInverseRoot2 = 0.707106781F;
inline constexpr float kInverseRoot2Pi = 0.398942280F;

// `value` of these serves floats and vectors of them.
struct Identity {
  template <class V>
  static V value(V x) {
    return x;
  }
  static float slope(float /*x*/) { return 1.0F; }
  static float slope_of_output(float /*y*/) { return 1.0F; }
};
// The relu family keeps the sign, so output serves as well as input.
struct Relu {
  template <class V>
  static V value(V x) {
    return x <= 0.0F ? V{} : x;
  }
  static float slope(float z) { return z <= 0.0F ? 0.0F : 1.0F; }
  static float slope_of_output(float y) { return slope(y); }
};
struct Relu6 {
  template <class V>
  static V value(V x) {
    return x <= 0.0F ? V{} : (x >= 6.0F ? broadcast<V>(6.0F) : x);
  }
  static float slope(float z) { return z <= 0.0F ? 0.0F : (z >= 6.0F ? 0.0F : 1.0F); }
  static float slope_of_output(float y) { return slope(y); }
};
struct LeakyRelu {
  template <class V>
  static V value(V x) {
    return x > 0.0F ? x : kLeakySlope * x;
  }
  static float slope(float z) { return z > 0.0F ? 1.0F : kLeakySlope; }
  static float slope_of_output(float y) { return slope(y); }
};
struct Silu {
  static float value(float x) { return x * sigmoid_lane(x); }
  static float slope(float x) {
    const float s = sigmoid_lane(x);
    return s * (1.0F + x * (1.0F - s));
  }
};
struct Gelu {
  static float value(float x) { return 0.5F * x * (1.0F + erf_lane(x * kInverseRoot2)); }
  static float slope(float x) {
    return 0.5F * (1.0F + erf_lane(x * kInverseRoot2)) + x * kInverseRoot2Pi * exp_lane(-0.5F * x * x);
  }
};
struct Sigmoid {
  static float value(float x) { return sigmoid_lane(x); }
  static float slope(float x) { return slope_of_output(sigmoid_lane(x)); }
  static float slope_of_output(float y) { return y * (1.0F - y); }
};
struct Tanh {
  static float value(float x) { return tanh_lane(x); }
  static float slope(float x) { return slope_of_output(tanh_lane(x)); }
  static float slope_of_output(float y) { return 1.0F - y * y; }
};

}  // namespace snug::cpu::SNUG_ISA
