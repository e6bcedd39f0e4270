#include "backend/reference/call.h"

#include <cstring>

namespace snug::reference {

namespace {

/// Puts the axes of a tensor at n, h, w, c; `fill` stands for the axes it does not have.
template <class Source>
Extents four_axes(const Source& source, int rank, Index fill) {
  ensure(rank <= 4, "the reference backend has four axes");
  Extents axes{fill, fill, fill, fill};
  if (rank == 0) return axes;
  axes[3] = source(rank - 1);
  if (rank == 3) {  // [h, w, c]
    axes[1] = source(0);
    axes[2] = source(1);
    return axes;
  }
  for (int axis = 0; axis + 1 < rank; ++axis) axes[static_cast<std::size_t>(axis)] = source(axis);
  return axes;
}

}  // namespace

double Reader::operator()(Index n, Index h, Index w, Index c) const {
  const Index place = n * strides_[0] + h * strides_[1] + w * strides_[2] + c * strides_[3];
  switch (dtype_) {
    case DType::f64: return static_cast<const double*>(data_)[place];
    case DType::f32: return static_cast<double>(static_cast<const float*>(data_)[place]);
    case DType::u8: return static_cast<const std::uint8_t*>(data_)[place];
    case DType::i32: return static_cast<const std::int32_t*>(data_)[place];
    case DType::i64: return static_cast<double>(static_cast<const std::int64_t*>(data_)[place]);
    case DType::bf16:
    case DType::f16: break;
  }
  fail("the reference backend reads no 16-bit numbers", __FILE__, __LINE__);
}

Reader Call::reader(int operand) const {
  const TensorInfo& info = tensor(operand);
  return {arguments_.operands[operand], info.dtype, strides(info)};
}

Extents Call::extents(const TensorInfo& tensor) {
  return four_axes([&](int axis) { return tensor.shape[axis]; }, tensor.shape.rank(), 1);
}

Extents Call::strides(const TensorInfo& tensor) {
  return four_axes([&](int axis) { return tensor.view.strides[static_cast<std::size_t>(axis)]; }, tensor.shape.rank(),
                   0);
}

bool Call::copy_bytes() const {
  const TensorInfo &x = tensor(0), &y = tensor(1);
  if (x.dtype == DType::f64 || x.dtype != y.dtype || !is_packed(x) || !is_packed(y)) return false;
  ensure(x.shape == y.shape, "a copy keeps the shape");
  std::memcpy(arguments_.operands[1], arguments_.operands[0], static_cast<std::size_t>(extent_bytes(x)));
  return true;
}

}  // namespace snug::reference
