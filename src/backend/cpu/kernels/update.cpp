#include "backend/cpu/kernels/tables.h"

namespace snug::cpu::SNUG_ISA {

namespace {

enum class Momentum { none, classic, nesterov };

template <Momentum kind>
void sgd_step(float* w, const float* g, float* v, const SgdValues& values, std::int64_t count) {
  const SgdValues k = values;
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    float d = g[i] * k.gradient_scale + k.weight_decay * w[i];
    if constexpr (kind != Momentum::none) {
      const float velocity = k.momentum * v[i] + d;
      v[i] = velocity;
      d = kind == Momentum::nesterov ? d + k.momentum * velocity : velocity;
    }
    w[i] -= k.rate * d;
  }
}

void sgd(float* w, const float* g, const SgdValues& values, std::int64_t count) {
  sgd_step<Momentum::none>(w, g, nullptr, values, count);
}

void adam(float* w, const float* g, float* m, float* v, const AdamValues& values, std::int64_t count) {
  const AdamValues k = values;
  const float inverse_root = 1.0F / k.root_correction;
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    const float decayed = w[i] * k.weight_factor;
    const float d = g[i] * k.gradient_scale + k.weight_decay * decayed;
    const float first = m[i] + k.beta1_rest * (d - m[i]);
    const float second = k.beta2 * v[i] + k.beta2_rest * d * d;
    m[i] = first;
    v[i] = second;
    w[i] = decayed - k.rate * first / (__builtin_sqrtf(second) * inverse_root + k.epsilon);
  }
}

void ema(float* average, const float* w, float decay, float one_minus_decay, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) average[i] = decay * average[i] + one_minus_decay * w[i];
}

double sum_of_squares(const float* x, std::int64_t count) {
  constexpr int kSums = 16;
  double sums[kSums] = {};
  std::int64_t at = 0;
  for (; at + kSums <= count; at += kSums) {
    for (int j = 0; j < kSums; ++j) {
      const auto value = static_cast<double>(x[at + j]);
      sums[j] += value * value;
    }
  }
  for (int j = 0; at + j < count; ++j) sums[j] += static_cast<double>(x[at + j]) * static_cast<double>(x[at + j]);
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace

UpdateKernels update_kernels() {
  return {.sgd = sgd,
          .sgd_momentum = sgd_step<Momentum::classic>,
          .sgd_nesterov = sgd_step<Momentum::nesterov>,
          .adam = adam,
          .ema = ema,
          .sum_of_squares = sum_of_squares};
}

}  // namespace snug::cpu::SNUG_ISA
