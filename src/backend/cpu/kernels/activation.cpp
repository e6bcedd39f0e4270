#include "backend/cpu/kernels/functions.h"
#include "backend/cpu/kernels/tables.h"

namespace snug::cpu::SNUG_ISA {

namespace {

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
  return {
      .forward = {forward<T, Relu>, forward<T, Relu6>, forward<T, LeakyRelu>, forward<T, Silu>, forward<T, Gelu>,
                  forward<T, Sigmoid>, forward<T, Tanh>},
      .backward_from_input = {from_input<T, Relu>, from_input<T, Relu6>, from_input<T, LeakyRelu>, from_input<T, Silu>,
                              from_input<T, Gelu>, from_input<T, Sigmoid>, from_input<T, Tanh>},
      .backward_from_output = {from_output<T, Relu>, from_output<T, Relu6>, from_output<T, LeakyRelu>, nullptr, nullptr,
                               from_output<T, Sigmoid>, from_output<T, Tanh>}};
}

}  // namespace

ByStorage<ActivationKernels> activation_kernels() { return {.f32 = kernels_of<float>(), .bf16 = kernels_of<Bf16>()}; }

}  // namespace snug::cpu::SNUG_ISA
