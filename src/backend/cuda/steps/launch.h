// From a step to the launches of kernels/: by family of ops, one file each. What a launch needs of the step is worked
// out when it is prepared; a call takes addresses and a stream.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "backend/backend.h"
#include "backend/cuda/product_library.h"
#include "backend/cuda/product_plan.h"
#include "base/ensure.h"
#include "kernels/types.h"
#include "program/program.h"

namespace snug::cuda {

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
using Info = std::shared_ptr<const StepInfo>;

/// The operands' addresses, and where the launches go.
class Addresses {
 public:
  explicit Addresses(const StepArguments& arguments) : arguments_(arguments) {}
  [[nodiscard]] void* operator[](std::size_t i) const { return arguments_.operands[i]; }
  template <class T = float>
  [[nodiscard]] T* as(std::size_t i) const {
    return static_cast<T*>(arguments_.operands[i]);
  }
  [[nodiscard]] void* workspace() const { return arguments_.workspace; }
  [[nodiscard]] kernels::Stream stream() const { return static_cast<kernels::Stream>(arguments_.stream); }

 private:
  const StepArguments& arguments_;
};

/// What one step becomes.
struct Launch {
  std::int64_t workspace_bytes = 0;
  std::function<void(const Addresses&)> run;
};

[[nodiscard]] kernels::Data data_of(DType dtype);
[[nodiscard]] kernels::Activation activation_of(std::optional<ActivationFunction> function);
[[nodiscard]] kernels::SlidingWindow sliding_window(const Window& window);

// By family of ops; see op_list.h for the operands.
[[nodiscard]] Launch elementwise_launch(const Info& step);
[[nodiscard]] Launch norm_launch(const Info& step);
[[nodiscard]] Launch conv1x1_launch(const Info& step);
[[nodiscard]] Launch pool_launch(const Info& step);
[[nodiscard]] Launch loss_launch(const Info& step);
[[nodiscard]] Launch update_launch(const Info& step);

// Convolutions and products: by kernels of our own, or by a library's call with kernels around it.
[[nodiscard]] Launch product_launch(const Info& step);
[[nodiscard]] Launch library_launch(const Info& step, const ProductPlan& plan, ProductCall call);

}  // namespace snug::cuda
