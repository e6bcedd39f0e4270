#include "backend/cpu/kernels/tables.h"
#include "backend/cpu/kernels/vector.h"

namespace snug::cpu::SNUG_ISA {

namespace {

constexpr float kLeakySlope = 0.01F;
constexpr float kInverseRoot2 = 0.707106781F;
constexpr float kInverseRoot2Pi = 0.398942280F;

// Comparisons are written so that NaN takes the branch that keeps it.
struct Relu {
  static float value(float x) { return x <= 0.0F ? 0.0F : x; }
  static float slope(float z) { return z <= 0.0F ? 0.0F : 1.0F; }
};
struct Relu6 {
  static float value(float x) { return x <= 0.0F ? 0.0F : (x >= 6.0F ? 6.0F : x); }
  static float slope(float z) { return z <= 0.0F ? 0.0F : (z >= 6.0F ? 0.0F : 1.0F); }
};
struct LeakyRelu {
  static float value(float x) { return x > 0.0F ? x : kLeakySlope * x; }
  static float slope(float z) { return z > 0.0F ? 1.0F : kLeakySlope; }
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

template <class Function>
void forward(float* y, const float* x, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] = Function::value(x[i]);
}

template <class Function>
void from_input(float* dx, const float* dy, const float* x, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) dx[i] = dy[i] * Function::slope(x[i]);
}

template <class Function>
void from_output(float* dx, const float* dy, const float* y, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) dx[i] = dy[i] * Function::slope_of_output(y[i]);
}

}  // namespace

ActivationKernels activation_kernels() {
  // The relu family keeps the sign, so output serves as well as input.
  return {.forward = {forward<Relu>, forward<Relu6>, forward<LeakyRelu>, forward<Silu>, forward<Gelu>, forward<Sigmoid>,
                      forward<Tanh>},
          .backward_from_input = {from_input<Relu>, from_input<Relu6>, from_input<LeakyRelu>, from_input<Silu>,
                                  from_input<Gelu>, from_input<Sigmoid>, from_input<Tanh>},
          .backward_from_output = {from_input<Relu>, from_input<Relu6>, from_input<LeakyRelu>, nullptr, nullptr,
                                   from_output<Sigmoid>, from_output<Tanh>}};
}

}  // namespace snug::cpu::SNUG_ISA
