#include "backend/cpu/kernels/tables.h"
#include "backend/cpu/kernels/vector.h"

namespace snug::cpu::SNUG_ISA {

namespace {

constexpr std::int64_t kChannels = kDepthwiseChannels;
constexpr std::int64_t kVectors = 2;     // of channels at a time
constexpr std::int64_t kTapsAtOnce = 5;  // their sums stay in registers

template <class T>
void widen(float* to, const T* from, std::int64_t pixel_stride, std::int64_t pixels, std::int64_t count) {
  for (std::int64_t p = 0; p < pixels; ++p, to += kChannels, from += pixel_stride) {
    if (count == kChannels) {
      for (std::int64_t c = 0; c < kChannels; c += kLanes) store<Vector>(to + c, load<Vector>(from + c));
    } else {
      for (std::int64_t c = 0; c < kChannels; ++c) to[c] = c < count ? to_float(from[c]) : 0.0F;
    }
  }
}

template <std::int64_t taps>
void add_taps(float* sum, const float* dy, const float* x, std::int64_t pixels, std::int64_t stride,
              std::int64_t dilation) {
  for (std::int64_t c = 0; c < kChannels; c += kVectors * kLanes) {
    Vector total[taps][kVectors] = {};
    const float *of_dy = dy + c, *of_x = x + c;
    for (std::int64_t p = 0; p < pixels; ++p, of_dy += kChannels, of_x += stride * kChannels) {
#pragma GCC unroll 2
      for (std::int64_t v = 0; v < kVectors; ++v) {
        const Vector slope = load<Vector>(of_dy + v * kLanes);
#pragma GCC unroll 5
        for (std::int64_t tap = 0; tap < taps; ++tap)
          total[tap][v] += slope * load<Vector>(of_x + tap * dilation * kChannels + v * kLanes);
      }
    }
#pragma GCC unroll 5
    for (std::int64_t tap = 0; tap < taps; ++tap) {
#pragma GCC unroll 2
      for (std::int64_t v = 0; v < kVectors; ++v) {
        float* const at = sum + tap * kChannels + c + v * kLanes;
        store<Vector>(at, load<Vector>(at) + total[tap][v]);
      }
    }
  }
}

using AddTaps = decltype(&add_taps<1>);
constexpr AddTaps kAddTaps[kTapsAtOnce] = {add_taps<1>, add_taps<2>, add_taps<3>, add_taps<4>, add_taps<5>};

void add_row(float* sum, const float* dy, const float* x, std::int64_t pixels, std::int64_t taps, std::int64_t stride,
             std::int64_t dilation) {
  for (std::int64_t tap = 0; tap < taps; tap += kTapsAtOnce) {
    const std::int64_t count = taps - tap < kTapsAtOnce ? taps - tap : kTapsAtOnce;
    kAddTaps[count - 1](sum + tap * kChannels, dy, x + tap * dilation * kChannels, pixels, stride, dilation);
  }
}

}  // namespace

ByStorage<DepthwiseGradientKernels> depthwise_gradient_kernels() {
  return {.f32 = {.widen = widen<float>, .add_row = add_row}, .bf16 = {.widen = widen<Bf16>, .add_row = add_row}};
}

}  // namespace snug::cpu::SNUG_ISA
