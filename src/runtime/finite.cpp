#include "runtime/finite.h"

#include <bit>
#include <cmath>
#include <cstring>

namespace snug {
namespace {

template <class T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

double half_to_double(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const int mantissa = bits & 1023;
  const double sign = (bits & 0x8000) != 0 ? -1.0 : 1.0;
  if (exponent == 31) return mantissa != 0 ? std::nan("") : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

double value_at(DType dtype, const std::byte* at) {
  switch (dtype) {
    case DType::f32: return load<float>(at);
    case DType::f64: return load<double>(at);
    case DType::bf16: return std::bit_cast<float>(std::uint32_t{load<std::uint16_t>(at)} << 16);
    case DType::f16: return half_to_double(load<std::uint16_t>(at));
    case DType::u8:
    case DType::i32:
    case DType::i64: return 0;
  }
  return 0;
}

}  // namespace

std::optional<BadElement> find_not_finite(const TensorInfo& tensor, const std::byte* data) {
  if (!is_floating(tensor.dtype)) return std::nullopt;
  const std::int64_t width = size_bytes(tensor.dtype);
  const std::int64_t row = tensor.shape.rank() == 0 ? 1 : tensor.shape.back();  // contiguous: the last stride is 1
  const std::int64_t count = tensor.shape.elements();
  for (std::int64_t begin = 0; begin < count; begin += row) {
    std::int64_t offset = 0;
    std::int64_t rest = row == 0 ? 0 : begin / row;
    for (int axis = tensor.shape.rank() - 2; axis >= 0; --axis) {
      offset += rest % tensor.shape[axis] * tensor.view.strides[static_cast<std::size_t>(axis)];
      rest /= tensor.shape[axis];
    }
    for (std::int64_t i = 0; i < row; ++i) {
      const double value = value_at(tensor.dtype, data + (offset + i) * width);
      if (!std::isfinite(value)) return BadElement{begin + i, value};
    }
  }
  return std::nullopt;
}

}  // namespace snug
