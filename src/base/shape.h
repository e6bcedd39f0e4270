// Shapes without heap memory. Images are NHWC, convolution weights OHWI, dense weights (out, in).
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace snug {

inline constexpr int kMaxRank = 5;

/// Extents of a tensor, outermost first; rank 0 is a scalar.
class Shape {
 public:
  constexpr Shape() = default;
  Shape(std::initializer_list<std::int64_t> extents);
  explicit Shape(std::span<const std::int64_t> extents);

  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] std::int64_t operator[](int axis) const { return extents_[static_cast<std::size_t>(axis)]; }
  std::int64_t& operator[](int axis) { return extents_[static_cast<std::size_t>(axis)]; }
  [[nodiscard]] std::int64_t back() const { return extents_[static_cast<std::size_t>(rank_ - 1)]; }
  [[nodiscard]] std::int64_t elements() const;  ///< 1 for a scalar
  [[nodiscard]] std::span<const std::int64_t> extents() const {
    return {extents_.data(), static_cast<std::size_t>(rank_)};
  }
  /// The same shape with `extent` put in front: a per-image shape becomes a batch.
  [[nodiscard]] Shape with_batch(std::int64_t extent) const;
  friend bool operator==(const Shape&, const Shape&) = default;

 private:
  std::array<std::int64_t, kMaxRank> extents_{};
  int rank_ = 0;
};

/// "28×28×1"; "scalar" for rank 0.
[[nodiscard]] std::string to_string(const Shape& shape);

}  // namespace snug
