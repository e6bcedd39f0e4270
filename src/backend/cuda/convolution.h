// A convolution as cuDNN is asked for it. Dense layers are convolutions of 1×1 on pictures of 1×1.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/dtype.h"
#include "program/program.h"

namespace snug {

enum class ConvolutionKind : std::uint8_t { forward, backward_data, backward_weights };
[[nodiscard]] std::string_view to_string(ConvolutionKind kind);

/// Images are n, h, w, c; weights k, h, w, c ÷ groups; all three tensors packed and of one type.
struct Convolution {
  ConvolutionKind kind = ConvolutionKind::forward;
  DType dtype = DType::f32;
  bool tf32 = false;  ///< fp32 data may be rounded to tf32 for the products
  std::array<std::int64_t, 4> x{}, w{}, y{};
  Window window;
  std::int64_t alignment = 16;  ///< of all three, in bytes, at most 16
  /// Forward: y = Σ x · w + bias, and relu of it, rounded once. The bias is [k], of the same type, aligned to 16 bytes.
  bool bias = false, relu = false;
};
/// The convolution of a step, for which `is_product` holds: a dense layer is one of 1×1.
[[nodiscard]] Convolution convolution_of(const Program& program, const Step& step, bool tf32);
/// All of it in one word: "fprop bf16 256,56,56,64 64,3,3,64 …".
[[nodiscard]] std::string key_of(const Convolution& convolution);

/// A way to compute a convolution.
struct Engine {
  std::string name;  ///< cuDNN's number and settings: "62{2=9,24=6}"
  std::int64_t workspace_bytes = 0;
};

}  // namespace snug
