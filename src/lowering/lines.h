// Activations made of straight lines: libraries and our kernels apply them on the way in and out of a product exactly,
// and their slope can be read off their output.
#pragma once

#include "program/attributes.h"

namespace snug {

[[nodiscard]] constexpr bool is_of_lines(ActivationFunction function) {
  switch (function) {
    case ActivationFunction::relu:
    case ActivationFunction::relu6:
    case ActivationFunction::leaky_relu: return true;
    case ActivationFunction::silu:
    case ActivationFunction::gelu:
    case ActivationFunction::sigmoid:
    case ActivationFunction::tanh: return false;
  }
  return false;
}

}  // namespace snug
