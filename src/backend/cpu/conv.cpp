#include <fmt/format.h>

#include "backend/cpu/onednn.h"
#include "backend/cpu/prepare.h"

namespace snug::cpu {

namespace {

using dnnl::memory;
using Layout = memory::desc;

/// A convolution's tensors as oneDNN names them. Ours are NHWC and O(kh)(kw)I; with groups the filters of a group
/// follow each other, so that the grouped weights are the same bytes.
struct Tensors {
  Layout x, w, y, bias;
  Layout any_w;  ///< weights in the layout that the primitive likes best
  memory::dims strides, dilates, pad_begin, pad_end;
};

Layout image_layout(const Shape& shape) {
  return {{shape[0], shape[3], shape[1], shape[2]}, memory::data_type::f32, memory::format_tag::nhwc};
}

Tensors tensors_of(const ConvAttributes& conv, const Shape& x, const Shape& w, const Shape& y) {
  const Window& window = conv.window;
  Tensors t{.x = image_layout(x),
            .w = {},
            .y = image_layout(y),
            .bias = {{w[0]}, memory::data_type::f32, memory::format_tag::a},
            .any_w = {},
            .strides = {window.stride[0], window.stride[1]},
            .dilates = {window.dilation[0] - 1, window.dilation[1] - 1},  // oneDNN counts the pixels between
            .pad_begin = {window.pad_begin[0], window.pad_begin[1]},
            .pad_end = {}};
  for (int axis = 0; axis < 2; ++axis) {
    // Pixels behind the last window are never read; oneDNN wants padding that fits exactly.
    const auto a = static_cast<std::size_t>(axis);
    const std::int64_t reach = (y[axis + 1] - 1) * window.stride[a] + window.dilation[a] * (w[axis + 1] - 1) + 1;
    t.pad_end.push_back(reach - x[axis + 1] - window.pad_begin[a]);
  }
  const std::int64_t in = w[3];
  const std::int64_t rows = w[1];
  const std::int64_t columns = w[2];
  const memory::dim filter = rows * columns * in;
  if (conv.groups == 1) {
    const memory::dims dims{w[0], in, rows, columns};
    t.w = Layout(dims, memory::data_type::f32, memory::dims{filter, 1, columns * in, in});
    t.any_w = Layout(dims, memory::data_type::f32, memory::format_tag::any);
  } else {
    const std::int64_t filters = w[0] / conv.groups;
    const memory::dims dims{conv.groups, filters, in, rows, columns};
    t.w = Layout(dims, memory::data_type::f32, memory::dims{filters * filter, filter, 1, columns * in, in});
    t.any_w = Layout(dims, memory::data_type::f32, memory::format_tag::any);
  }
  return t;
}

std::string algorithm_name(const char* implementation, bool reordered) {
  return fmt::format("conv:{}{}", implementation, reordered ? " (weights reordered)" : "");
}

}  // namespace

PreparedStep prepare_conv_forward(const CpuContext& context, const StepView& step) {
  const auto& conv = step.attributes<ConvAttributes>();
  conv.bias ? step.expect({kF32, kF32, kF32, kF32}) : step.expect({kF32, kF32, kF32});
  const int out = conv.bias ? 3 : 2;
  const Tensors t = tensors_of(conv, step.shape(0), step.shape(1), step.shape(static_cast<std::size_t>(out)));
  PrimitiveSequence sequence(context.library);
  const dnnl::convolution_forward::primitive_desc description(
      sequence.engine(), dnnl::prop_kind::forward_training, dnnl::algorithm::convolution_direct, t.x, t.any_w,
      conv.bias ? t.bias : Layout(), t.y, t.strides, t.dilates, t.pad_begin, t.pad_end, user_scratchpad());
  const Layout wanted = description.weights_desc();
  const bool reordered = wanted != t.w;
  Place weights = at_operand(1);
  if (reordered) {
    weights = sequence.add_scratch(wanted);
    sequence.add_reorder(at_operand(1), t.w, weights, wanted);
  }
  std::vector<PrimitiveSequence::Argument> arguments{
      {DNNL_ARG_SRC, at_operand(0), t.x}, {DNNL_ARG_WEIGHTS, weights, wanted}, {DNNL_ARG_DST, at_operand(out), t.y}};
  if (conv.bias) arguments.push_back({DNNL_ARG_BIAS, at_operand(2), t.bias});
  sequence.add(dnnl::convolution_forward(description), std::move(arguments));
  return as_step(std::move(sequence), algorithm_name(description.impl_info_str(), reordered));
}

PreparedStep prepare_conv_backward_data(const CpuContext& context, const StepView& step) {
  const auto& conv = step.attributes<ConvAttributes>();
  step.expect({DType::f32, DType::f32, DType::f32});
  const Tensors t = tensors_of(conv, step.shape(2), step.shape(1), step.shape(0));
  PrimitiveSequence sequence(context.library);
  const dnnl::convolution_forward::primitive_desc hint(sequence.engine(), dnnl::prop_kind::forward_training,
                                                       dnnl::algorithm::convolution_direct, t.x, t.any_w, t.y,
                                                       t.strides, t.dilates, t.pad_begin, t.pad_end, user_scratchpad());
  const dnnl::convolution_backward_data::primitive_desc description(
      sequence.engine(), dnnl::algorithm::convolution_direct, t.x, t.any_w, t.y, t.strides, t.dilates, t.pad_begin,
      t.pad_end, hint, user_scratchpad());
  const Layout wanted = description.weights_desc();
  const bool reordered = wanted != t.w;
  Place weights = at_operand(1);
  if (reordered) {
    weights = sequence.add_scratch(wanted);
    sequence.add_reorder(at_operand(1), t.w, weights, wanted);
  }
  sequence.add(dnnl::convolution_backward_data(description), {{DNNL_ARG_DIFF_DST, at_operand(0), t.y},
                                                              {DNNL_ARG_WEIGHTS, weights, wanted},
                                                              {DNNL_ARG_DIFF_SRC, at_operand(2), t.x}});
  return as_step(std::move(sequence), algorithm_name(description.impl_info_str(), reordered));
}

PreparedStep prepare_conv_backward_weights(const CpuContext& context, const StepView& step) {
  const auto& conv = step.attributes<ConvAttributes>();
  conv.bias ? step.expect({kF32, kF32, kF32, kF32}) : step.expect({kF32, kF32, kF32});
  const Tensors t = tensors_of(conv, step.shape(0), step.shape(2), step.shape(1));
  const Layout bias = conv.bias ? t.bias : Layout();
  PrimitiveSequence sequence(context.library);
  const dnnl::convolution_forward::primitive_desc hint(sequence.engine(), dnnl::prop_kind::forward_training,
                                                       dnnl::algorithm::convolution_direct, t.x, t.any_w, bias, t.y,
                                                       t.strides, t.dilates, t.pad_begin, t.pad_end, user_scratchpad());
  const dnnl::convolution_backward_weights::primitive_desc description(
      sequence.engine(), dnnl::algorithm::convolution_direct, t.x, t.any_w, bias, t.y, t.strides, t.dilates,
      t.pad_begin, t.pad_end, hint, user_scratchpad());
  const Layout wanted = description.diff_weights_desc();
  const bool reordered = wanted != t.w;
  const Place weights = reordered || conv.accumulate ? sequence.add_scratch(wanted) : at_operand(2);
  const Place bias_place = conv.bias && conv.accumulate ? sequence.add_scratch(t.bias) : at_operand(3);
  std::vector<PrimitiveSequence::Argument> arguments{{DNNL_ARG_SRC, at_operand(0), t.x},
                                                     {DNNL_ARG_DIFF_DST, at_operand(1), t.y},
                                                     {DNNL_ARG_DIFF_WEIGHTS, weights, wanted}};
  if (conv.bias) arguments.push_back({DNNL_ARG_DIFF_BIAS, bias_place, t.bias});
  sequence.add(dnnl::convolution_backward_weights(description), std::move(arguments));
  if (weights.in_workspace) sequence.add_reorder(weights, wanted, at_operand(2), t.w, conv.accumulate);
  if (conv.bias && conv.accumulate) sequence.add_reorder(bias_place, t.bias, at_operand(3), t.bias, true);
  return as_step(std::move(sequence), algorithm_name(description.impl_info_str(), reordered));
}

}  // namespace snug::cpu
