// Small programs for the tests of this folder: a chain x → conv → relu → … written by hand.
#pragma once

#include <string>
#include <vector>

#include "program/program.h"

namespace snug::test {

inline TensorId image(ProgramBuilder& builder, const std::string& name, Arena arena = Arena::transient) {
  return builder.add_tensor({.name = name,
                             .shape = {2, 4, 4, 3},
                             .role = arena == Arena::input ? Role::input : Role::activation,
                             .arena = arena});
}

inline Step relu(TensorId x, TensorId y) {
  return {.op = Op::activation_forward, .attributes = ActivationAttributes{}, .operands = {{x}, {y, Access::out}}};
}

inline Step relu_backward(TensorId dy, TensorId dx, std::vector<Alternative> saved) {
  return {.op = Op::activation_backward,
          .phase = Phase::backward,
          .attributes = ActivationAttributes{},
          .operands = {{dy}, {dx, Access::out}},
          .saved = std::move(saved)};
}

}  // namespace snug::test
