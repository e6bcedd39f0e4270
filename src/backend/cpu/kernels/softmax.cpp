#include "backend/cpu/kernels/tables.h"
#include "backend/cpu/kernels/vector.h"

namespace snug::cpu::SNUG_ISA {

namespace {

constexpr int kSums = 64;  // independent partial sums: the same on every instruction set

float total_of(const float* sums) {
  float total = 0;
  for (int j = 0; j < kSums; ++j) total += sums[j];
  return total;
}

float maximum(const float* x, std::int64_t count) {
  float best = x[0];
  for (std::int64_t i = 1; i < count; ++i) best = (x[i] > best || __builtin_isnan(x[i])) ? x[i] : best;
  return best;
}

float exponentials(float* y, const float* x, float shift, std::int64_t count) {
  float sums[kSums] = {};
  float values[kSums];
  for (std::int64_t at = 0; at < count; at += kSums) {
    const std::int64_t n = count - at < kSums ? count - at : kSums;
#pragma omp simd
    for (std::int64_t j = 0; j < n; ++j) {
      values[j] = exp_lane(x[at + j] - shift);
      sums[j] += values[j];
    }
    if (y != nullptr) __builtin_memcpy(y + at, values, static_cast<std::size_t>(n) * sizeof(float));
  }
  return total_of(sums);
}

float sum(const float* x, std::int64_t count) {
  float sums[kSums] = {};
  for (std::int64_t at = 0; at < count; at += kSums) {
    const std::int64_t n = count - at < kSums ? count - at : kSums;
#pragma omp simd
    for (std::int64_t j = 0; j < n; ++j) sums[j] += x[at + j];
  }
  return total_of(sums);
}

float dot(const float* a, const float* b, std::int64_t count) {
  float sums[kSums] = {};
  for (std::int64_t at = 0; at < count; at += kSums) {
    const std::int64_t n = count - at < kSums ? count - at : kSums;
#pragma omp simd
    for (std::int64_t j = 0; j < n; ++j) sums[j] += a[at + j] * b[at + j];
  }
  return total_of(sums);
}

void affine(float* y, float factor, float offset, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] = y[i] * factor + offset;
}

void backward(float* dx, const float* dy, const float* y, float dot_product, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) dx[i] = (dy[i] - dot_product) * y[i];
}

}  // namespace

SoftmaxKernels softmax_kernels() {
  return {
      .maximum = maximum, .exponentials = exponentials, .sum = sum, .dot = dot, .affine = affine, .backward = backward};
}

}  // namespace snug::cpu::SNUG_ISA
