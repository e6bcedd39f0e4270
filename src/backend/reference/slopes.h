// Activations and their derivatives in double, for the steps that apply them.
#pragma once

#include "program/attributes.h"

namespace snug::reference {

[[nodiscard]] double activation_value(ActivationFunction function, double x);
/// The derivative, from the input or from the output (not silu, gelu: they have no inverse).
[[nodiscard]] double activation_slope_at_input(ActivationFunction function, double x);
[[nodiscard]] double activation_slope_at_output(ActivationFunction function, double y);

}  // namespace snug::reference
