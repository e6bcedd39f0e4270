#include "backend/cuda/convolution.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/ensure.h"

namespace snug {

namespace {

std::array<std::int64_t, 4> extents(const Shape& shape) {
  if (shape.rank() == 2) return {shape[0], 1, 1, shape[1]};
  ensure(shape.rank() == 4, "images, weights of convolutions and rows are known");
  return {shape[0], shape[1], shape[2], shape[3]};
}

/// The largest power of two up to 16 that divides the place of every operand: arenas themselves are aligned to more.
std::int64_t alignment_of(const Program& program, std::array<TensorId, 3> operands) {
  std::int64_t alignment = 16;
  for (const TensorId operand : operands) {
    while (program[operand].view.offset_bytes % alignment != 0) alignment /= 2;
  }
  return alignment;
}

struct Operands {
  ConvolutionKind kind;
  std::size_t x, w, y;
};

Operands operands_of(const Step& step, bool bias) {
  switch (step.op) {
    case Op::conv_forward:
    case Op::dense_forward: return {ConvolutionKind::forward, 0, 1, bias ? 3U : 2U};
    case Op::conv_backward_data:
    case Op::dense_backward_data: return {ConvolutionKind::backward_data, 2, 1, 0};
    default: return {ConvolutionKind::backward_weights, 0, 2, 1};
  }
}

}  // namespace

std::string_view to_string(ConvolutionKind kind) {
  switch (kind) {
    case ConvolutionKind::forward: return "forward";
    case ConvolutionKind::backward_data: return "backward_data";
    case ConvolutionKind::backward_weights: return "backward_weights";
  }
  return "?";
}

Convolution convolution_of(const Program& program, const Step& step, bool tf32) {
  const auto* conv = std::get_if<ConvAttributes>(&step.attributes);
  const bool bias = conv != nullptr ? conv->bias : std::get<DenseAttributes>(step.attributes).bias;
  const Operands at = operands_of(step, bias);
  const auto tensor = [&](std::size_t operand) { return step.operands[operand].tensor; };
  Convolution convolution{.kind = at.kind,
                          .dtype = program[tensor(at.kind == ConvolutionKind::backward_data ? at.y : at.x)].dtype,
                          .x = extents(program[tensor(at.x)].shape),
                          .w = extents(program[tensor(at.w)].shape),
                          .y = extents(program[tensor(at.y)].shape),
                          .window = conv != nullptr ? conv->window : Window{}};
  convolution.tf32 = tf32 && convolution.dtype == DType::f32;
  convolution.alignment = alignment_of(program, {tensor(at.x), tensor(at.w), tensor(at.y)});
  return convolution;
}

std::string key_of(const Convolution& c) {
  return fmt::format("{} {} {} {} {} {} {} {} {} {} {}{}{}", to_string(c.kind), c.tf32 ? "tf32" : to_string(c.dtype),
                     fmt::join(c.x, ","), fmt::join(c.w, ","), fmt::join(c.y, ","), fmt::join(c.window.stride, ","),
                     fmt::join(c.window.dilation, ","), fmt::join(c.window.pad_begin, ","),
                     fmt::join(c.window.pad_end, ","), c.alignment, c.x[3] / c.w[3], c.bias ? " bias" : "",
                     c.relu ? " relu" : "");
}

}  // namespace snug
