// A backend of a few fp32 ops for tests of the planner and the runtime. Steps that have scratch compute in it, so that
// scratch which somebody else writes shows in the result.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "base/ensure.h"

namespace snug::test {

class FakeBackend : public Backend {
 public:
  /// Bytes of scratch by op; at least those of the op's output, or 0.
  std::map<Op, std::int64_t> scratch_bytes;
  int prepared = 0;

  [[nodiscard]] std::string_view name() const override { return "fake"; }

  [[nodiscard]] PreparedStep prepare(const Program& program, const Step& step) override {
    ++prepared;
    const auto scratch = scratch_bytes.find(step.op);
    return {.algorithm = "fake:" + std::string(to_string(step.op)),
            .workspace_bytes = scratch == scratch_bytes.end() ? 0 : scratch->second,
            .run = function(program, step)};
  }

 private:
  static std::function<void(const StepArguments&)> function(const Program& program, const Step& step) {
    const auto count = step.operands.empty()
                           ? std::size_t{0}
                           : static_cast<std::size_t>(program[step.operands.back().tensor].shape.elements());
    const auto f32 = [](void* address) { return static_cast<float*>(address); };
    switch (step.op) {
      case Op::fill: {
        const auto value = static_cast<float>(std::get<FillAttributes>(step.attributes).value);
        return [=](const StepArguments& a) { std::fill_n(f32(a.operands[0]), count, value); };
      }
      case Op::copy:
        return [=](const StepArguments& a) { std::memcpy(a.operands[1], a.operands[0], count * sizeof(float)); };
      case Op::add:
        return [=](const StepArguments& a) {
          float* out = f32(a.workspace != nullptr ? a.workspace : a.operands[2]);
          for (std::size_t i = 0; i < count; ++i) out[i] = f32(a.operands[0])[i] + f32(a.operands[1])[i];
          if (a.workspace != nullptr) std::memcpy(a.operands[2], a.workspace, count * sizeof(float));
        };
      case Op::activation_forward:
        return [=](const StepArguments& a) {
          for (std::size_t i = 0; i < count; ++i) f32(a.operands[1])[i] = std::max(0.0F, f32(a.operands[0])[i]);
        };
      case Op::wait: return [](const StepArguments&) {};
      default: fail("the fake backend does not know this op", __FILE__, __LINE__);
    }
  }
};

/// Short programs: tensors by name, steps on them.
class Sketch {
 public:
  Program program;

  Sketch& tensor(const std::string& name, const Shape& shape, Arena arena = Arena::transient,
                 Role role = Role::activation) {
    ProgramBuilder(program).add_tensor({.name = name, .shape = shape, .role = role, .layer = layer_, .arena = arena});
    return *this;
  }
  /// The layer of the tensors and steps that follow.
  Sketch& layer(const std::string& name) {
    layer_ = LayerId{static_cast<std::int64_t>(program.layers.size())};
    program.layers.push_back(name);
    return *this;
  }
  Sketch& phase(Phase phase) {
    phase_ = phase;
    return *this;
  }
  Sketch& fill(const std::string& y, double value) { return step(Op::fill, {}, {y}, FillAttributes{value}); }
  Sketch& copy(const std::string& x, const std::string& y) { return step(Op::copy, {x}, {y}); }
  Sketch& relu(const std::string& x, const std::string& y) {
    return step(Op::activation_forward, {x}, {y}, ActivationAttributes{});
  }
  Sketch& add(const std::string& a, const std::string& b, const std::string& y) { return step(Op::add, {a, b}, {y}); }
  Sketch& step(Op op, const std::vector<std::string>& in, const std::vector<std::string>& out,
               Attributes attributes = {}) {
    Step made{.op = op, .phase = phase_, .attributes = std::move(attributes), .layer = layer_};
    for (const std::string& name : in) made.operands.push_back({find(name), Access::in});
    for (const std::string& name : out) made.operands.push_back({find(name), Access::out});
    program.steps.push_back(std::move(made));
    return *this;
  }
  [[nodiscard]] TensorId find(const std::string& name) const {
    const TensorId id = program.find(name);
    ensure(id.valid(), "the sketch has no tensor " + name);
    return id;
  }

 private:
  LayerId layer_;
  Phase phase_ = Phase::forward;
};

}  // namespace snug::test
