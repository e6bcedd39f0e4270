// What computes convolutions and matrix products: cuDNN on a GPU, something slow and plain where a GPU is emulated.
#pragma once

#include <cstdint>
#include <functional>

#include "backend/cuda/convolution.h"

namespace snug {

/// Addresses of a convolution's tensors; one of the three is written, as its kind says.
struct ProductArguments {
  void *x = nullptr, *w = nullptr, *y = nullptr;
  void* bias = nullptr;  ///< where the convolution has one
  void* workspace = nullptr;
  void* stream = nullptr;
};
/// Enqueues; allocates nothing, waits for nothing. Throws DeviceFailure.
using ProductCall = std::function<void(const ProductArguments&)>;

class ProductLibrary {
 public:
  virtual ~ProductLibrary() = default;
  /// The convolution by `engine`, within the scratch that it names; where the device wants more for it than was
  /// planned, by the best engine that keeps to it. Throws DeviceFailure when none does.
  [[nodiscard]] virtual ProductCall prepare(const Convolution& convolution, const Engine& engine) = 0;
};

}  // namespace snug
