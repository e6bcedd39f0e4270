// Activations and their slopes, in float. Comparisons are written so that NaN takes the branch that keeps it.
#pragma once

#include "vector.cuh"

namespace snug::kernels {

inline constexpr float kLeakySlope = 0.01F;

__device__ inline float sigmoid(float x) { return 1.0F / (1.0F + expf(-x)); }
/// A norm's value: the same expression everywhere, so that one which is had again is the one that was.
__device__ inline float normalized(float x, float center, float scale, float shift) {
  return fmaf(x - center, scale, shift);
}
/// The standard normal distribution function.
__device__ inline float normal_cdf(float x) { return 0.5F * erfcf(-x * 0.70710678F); }

__device__ inline float activate(Activation kind, float x) {
  switch (kind) {
    case Activation::none: return x;
    case Activation::relu: return x <= 0 ? 0.0F : x;
    case Activation::relu6: return x <= 0 ? 0.0F : (x >= 6 ? 6.0F : x);
    case Activation::leaky_relu: return x > 0 ? x : kLeakySlope * x;
    case Activation::silu: return x * sigmoid(x);
    case Activation::gelu: return x * normal_cdf(x);
    case Activation::sigmoid: return sigmoid(x);
    case Activation::tanh: return tanhf(x);
  }
  return x;
}

/// Those of straight lines, which convolutions have behind them: as activate gives them, in few instructions.
__device__ inline float activate_lines(Activation kind, float x) {
  if (kind == Activation::none || x > 0) return kind == Activation::relu6 && x >= 6 ? 6.0F : x;
  if (kind == Activation::leaky_relu) return kLeakySlope * x;
  return x <= 0 ? 0.0F : x;
}

/// Their slope, at the input or at the output.
__device__ inline float slope_of_lines(Activation kind, float value) {
  if (kind == Activation::none || value > 0) return kind == Activation::relu6 && value >= 6 ? 0.0F : 1.0F;
  if (kind == Activation::leaky_relu) return kLeakySlope;
  return value <= 0 ? 0.0F : 1.0F;
}

__device__ inline float slope_at_input(Activation kind, float x) {
  switch (kind) {
    case Activation::none: return 1.0F;
    case Activation::relu: return x <= 0 ? 0.0F : 1.0F;
    case Activation::relu6: return x <= 0 || x >= 6 ? 0.0F : 1.0F;
    case Activation::leaky_relu: return x > 0 ? 1.0F : kLeakySlope;
    case Activation::silu: {
      const float s = sigmoid(x);
      return s * (1.0F + x * (1.0F - s));
    }
    case Activation::gelu: return normal_cdf(x) + x * 0.39894228F * expf(-0.5F * x * x);
    case Activation::sigmoid: {
      const float s = sigmoid(x);
      return s * (1.0F - s);
    }
    case Activation::tanh: {
      const float t = tanhf(x);
      return 1.0F - t * t;
    }
  }
  return 1.0F;
}

/// silu and gelu have none: a launcher refuses them.
__device__ inline float slope_at_output(Activation kind, float y) {
  switch (kind) {
    case Activation::relu: return y <= 0 ? 0.0F : 1.0F;
    case Activation::relu6: return y <= 0 || y >= 6 ? 0.0F : 1.0F;
    case Activation::leaky_relu: return y > 0 ? 1.0F : kLeakySlope;
    case Activation::sigmoid: return y * (1.0F - y);
    case Activation::tanh: return 1.0F - y * y;
    case Activation::none:
    case Activation::silu:
    case Activation::gelu: break;
  }
  return 1.0F;
}

/// An activation as a template argument: the frequent ones compile to a kernel of their own, AnyActivation looks at run
/// time. kAtOnce: packets that a thread fetches before it uses the first.
template <Activation kind>
struct Fixed {
  static constexpr int kAtOnce = 4;
  __device__ static constexpr Activation of(Activation) { return kind; }
};
struct AnyActivation {
  static constexpr int kAtOnce = 1;  // all functions inlined for every element: unrolled further it would be huge
  __device__ static constexpr Activation of(Activation kind) { return kind; }
};

/// call.operator()<Choice>(), where Choice::of(kind) is the activation.
template <class Call>
void by_activation(Activation kind, const Call& call) {
  switch (kind) {
    case Activation::none: return call.template operator()<Fixed<Activation::none>>();
    case Activation::relu: return call.template operator()<Fixed<Activation::relu>>();
    case Activation::relu6: return call.template operator()<Fixed<Activation::relu6>>();
    case Activation::silu: return call.template operator()<Fixed<Activation::silu>>();
    default: return call.template operator()<AnyActivation>();
  }
}

}  // namespace snug::kernels
