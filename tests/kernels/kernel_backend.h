// A backend whose steps are the launchers of kernels/, run on the emulator: what the step tables test. It shows, step
// by step, how a backend calls them.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "backend/backend.h"
#include "base/ensure.h"
#include "kernels/types.h"
#include "program/program.h"

namespace snug::kernels_test {

[[nodiscard]] std::unique_ptr<Backend> make_kernel_backend();

/// A step and its operands' tensors, kept by the prepared call.
class StepInfo {
 public:
  StepInfo(const Program& program, const Step& step) : step_(step) {
    for (const Operand& operand : step.operands) tensors_.push_back(program[operand.tensor]);
  }
  [[nodiscard]] const Step& step() const { return step_; }
  [[nodiscard]] const TensorInfo& operator[](std::size_t i) const { return tensors_.at(i); }
  [[nodiscard]] const Shape& shape(std::size_t i) const { return tensors_.at(i).shape; }
  [[nodiscard]] std::int64_t elements(std::size_t i) const { return shape(i).elements(); }
  [[nodiscard]] kernels::Data data(std::size_t i) const;
  [[nodiscard]] kernels::Images images(std::size_t i) const;
  template <class T>
  [[nodiscard]] const T& attributes() const {
    const T* found = std::get_if<T>(&step_.attributes);
    ensure(found != nullptr, "a step lacks the attributes of its op");
    return *found;
  }

 private:
  Step step_;
  std::vector<TensorInfo> tensors_;
};

/// The operands' addresses.
class Addresses {
 public:
  explicit Addresses(const StepArguments& arguments) : arguments_(arguments) {}
  [[nodiscard]] void* operator[](std::size_t i) const { return arguments_.operands[i]; }
  template <class T = float>
  [[nodiscard]] T* as(std::size_t i) const {
    return static_cast<T*>(arguments_.operands[i]);
  }
  [[nodiscard]] void* workspace() const { return arguments_.workspace; }

 private:
  const StepArguments& arguments_;
};

/// What one step becomes.
struct Launch {
  std::int64_t workspace_bytes = 0;
  std::function<void(const Addresses&)> run;
};

[[nodiscard]] kernels::Activation activation_of(std::optional<ActivationFunction> function);
[[nodiscard]] kernels::SlidingWindow sliding_window(const Window& window);

// By family of ops; see op_list.h for the operands.
[[nodiscard]] Launch elementwise_launch(const std::shared_ptr<const StepInfo>& step);
[[nodiscard]] Launch norm_launch(const std::shared_ptr<const StepInfo>& step);
[[nodiscard]] Launch pool_launch(const std::shared_ptr<const StepInfo>& step);
[[nodiscard]] Launch loss_launch(const std::shared_ptr<const StepInfo>& step);
[[nodiscard]] Launch update_launch(const std::shared_ptr<const StepInfo>& step);
[[nodiscard]] Launch product_launch(const std::shared_ptr<const StepInfo>& step);

}  // namespace snug::kernels_test
