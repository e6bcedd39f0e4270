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

template <class T, class Function>
void forward(T* y, const T* x, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] = from_float<T>(Function::value(to_float(x[i])));
}

template <class T, class Function>
void from_input(T* dx, const T* dy, const T* x, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) dx[i] = from_float<T>(to_float(dy[i]) * Function::slope(to_float(x[i])));
}

template <class T, class Function>
void from_output(T* dx, const T* dy, const T* y, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i)
    dx[i] = from_float<T>(to_float(dy[i]) * Function::slope_of_output(to_float(y[i])));
}

template <class T>
constexpr ActivationKernels<T> kernels_of() {
  // The relu family keeps the sign, so output serves as well as input.
  return {
      .forward = {forward<T, Relu>, forward<T, Relu6>, forward<T, LeakyRelu>, forward<T, Silu>, forward<T, Gelu>,
                  forward<T, Sigmoid>, forward<T, Tanh>},
      .backward_from_input = {from_input<T, Relu>, from_input<T, Relu6>, from_input<T, LeakyRelu>, from_input<T, Silu>,
                              from_input<T, Gelu>, from_input<T, Sigmoid>, from_input<T, Tanh>},
      .backward_from_output = {from_input<T, Relu>, from_input<T, Relu6>, from_input<T, LeakyRelu>, nullptr, nullptr,
                               from_output<T, Sigmoid>, from_output<T, Tanh>}};
}

}  // namespace

ByStorage<ActivationKernels> activation_kernels() { return {.f32 = kernels_of<float>(), .bf16 = kernels_of<Bf16>()}; }

}  // namespace snug::cpu::SNUG_ISA
