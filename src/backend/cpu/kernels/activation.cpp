#include "backend/cpu/kernels/functions.h"
#include "backend/cpu/kernels/tables.h"

namespace snug::cpu::SNUG_ISA {

namespace {

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
  return {.forward = {forward<Relu>, forward<Relu6>, forward<LeakyRelu>, forward<Silu>, forward<Gelu>, forward<Sigmoid>,
                      forward<Tanh>},
          .backward_from_input = {from_input<Relu>, from_input<Relu6>, from_input<LeakyRelu>, from_input<Silu>,
                                  from_input<Gelu>, from_input<Sigmoid>, from_input<Tanh>},
          .backward_from_output = {from_output<Relu>, from_output<Relu6>, from_output<LeakyRelu>, nullptr, nullptr,
                                   from_output<Sigmoid>, from_output<Tanh>}};
}

}  // namespace snug::cpu::SNUG_ISA
