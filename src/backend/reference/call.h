// Operands as the loops of this backend see them. It is the oracle of the tests: every function is the definition of
// its step written as nested loops over doubles, and shares nothing with other backends.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "backend/backend.h"
#include "base/ensure.h"
#include "program/program.h"

namespace snug::reference {

using Index = std::int64_t;
using Extents = std::array<Index, 4>;

/// A tensor with four axes (n, h, w, c), whatever its rank: the last axis is c, the first of several is n, missing
/// ones have extent 1. Strides are those of the view, so that pitched tensors work everywhere.
template <class T>
struct Array {
  T* data = nullptr;
  Extents extents{1, 1, 1, 1};
  Extents strides{0, 0, 0, 0};

  T& operator()(Index n, Index h, Index w, Index c) const {
    return data[n * strides[0] + h * strides[1] + w * strides[2] + c * strides[3]];
  }
  /// Element of a vector, or a row's element.
  T& operator()(Index c) const { return (*this)(0, 0, 0, c); }
  T& operator()(Index n, Index c) const { return (*this)(n, 0, 0, c); }
  [[nodiscard]] Index n() const { return extents[0]; }
  [[nodiscard]] Index h() const { return extents[1]; }
  [[nodiscard]] Index w() const { return extents[2]; }
  [[nodiscard]] Index c() const { return extents[3]; }
};
using Doubles = Array<double>;
using Bytes = Array<std::uint8_t>;

/// Reads an operand of any element type as doubles (images, labels).
class Reader {
 public:
  Reader(const void* data, DType dtype, const Extents& strides) : data_(data), dtype_(dtype), strides_(strides) {}
  double operator()(Index n, Index h, Index w, Index c) const;
  double operator()(Index n, Index c) const { return (*this)(n, 0, 0, c); }
  double operator()(Index c) const { return (*this)(0, 0, 0, c); }
  [[nodiscard]] DType dtype() const { return dtype_; }

 private:
  const void* data_;
  DType dtype_;
  Extents strides_;
};

/// A step and the addresses of its operands.
class Call {
 public:
  Call(const Step& step, const std::vector<TensorInfo>& tensors, const StepArguments& arguments)
      : step_(step), tensors_(tensors), arguments_(arguments) {}

  [[nodiscard]] Doubles operator[](int operand) const { return typed<double>(operand, DType::f64); }
  [[nodiscard]] Bytes bytes(int operand) const { return typed<std::uint8_t>(operand, DType::u8); }
  [[nodiscard]] Reader reader(int operand) const;
  [[nodiscard]] Extents extents(int operand) const { return extents(tensor(operand)); }
  /// Copies operand 0 to 1 as it lies where they are packed and hold no doubles: indices, bytes.
  [[nodiscard]] bool copy_bytes() const;
  template <class A>
  [[nodiscard]] const A& attributes() const {
    return std::get<A>(step_.attributes);
  }
  [[nodiscard]] Saved chosen() const { return step_.chosen; }

 private:
  [[nodiscard]] const TensorInfo& tensor(int operand) const { return tensors_.at(static_cast<std::size_t>(operand)); }
  template <class T>
  [[nodiscard]] Array<T> typed(int operand, DType dtype) const {
    ensure(tensor(operand).dtype == dtype, "the reference backend computes in double");
    return {static_cast<T*>(arguments_.operands[operand]), extents(tensor(operand)), strides(tensor(operand))};
  }
  [[nodiscard]] static Extents extents(const TensorInfo& tensor);
  [[nodiscard]] static Extents strides(const TensorInfo& tensor);

  const Step& step_;
  const std::vector<TensorInfo>& tensors_;
  const StepArguments& arguments_;
};

/// Calls visit(n, h, w, c) for every element, in row-major order.
template <class Visit>
void for_each(const Extents& extents, Visit visit) {
  for (Index n = 0; n < extents[0]; ++n) {
    for (Index h = 0; h < extents[1]; ++h) {
      for (Index w = 0; w < extents[2]; ++w) {
        for (Index c = 0; c < extents[3]; ++c) visit(n, h, w, c);
      }
    }
  }
}

}  // namespace snug::reference
