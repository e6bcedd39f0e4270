#include <fmt/format.h>

#include "backend/cpu/depthwise_gradient.h"
#include "backend/cpu/onednn.h"
#include "backend/cpu/prepare.h"
#include "backend/cpu/weight_gradient.h"
#include "backend/cpu/winograd.h"

namespace snug::cpu {

namespace {

using dnnl::memory;
using Layout = memory::desc;

/// A convolution's tensors as oneDNN names them. Ours are NHWC and O(kh)(kw)I; with groups the filters of a group
/// follow each other, so that the grouped weights are the same bytes.
struct Tensors {
  Layout x, y;
  Layout w, dw;          ///< as they lie: weights have the images' type, gradients are fp32
  Layout any_w, any_dw;  ///< in the layout that the primitive likes best
  Layout bias;           ///< fp32, and so is its gradient
  memory::dims strides, dilates, pad_begin, pad_end;
};

Layout image_layout(const Shape& shape, memory::data_type type) {
  return {{shape[0], shape[3], shape[1], shape[2]}, type, memory::format_tag::nhwc};
}

void add_weights(Tensors& t, const Shape& w, std::int64_t groups, memory::data_type type) {
  const std::int64_t in = w[3], columns = w[2], filter = w[1] * columns * in;
  memory::dims dims{w[0], in, w[1], columns};
  memory::dims strides{filter, 1, columns * in, in};
  if (groups > 1) {
    dims = {groups, w[0] / groups, in, w[1], columns};
    strides.insert(strides.begin(), w[0] / groups * filter);
  }
  t.w = Layout(dims, type, strides);
  t.dw = Layout(dims, memory::data_type::f32, strides);
  t.any_w = Layout(dims, type, memory::format_tag::any);
  t.any_dw = Layout(dims, memory::data_type::f32, memory::format_tag::any);
}

Tensors tensors_of(const ConvAttributes& conv, const TensorInfo& image, const Shape& w, const Shape& y) {
  const Window& window = conv.window;
  const Shape& x = image.shape;
  const memory::data_type type = library_type(image.dtype);
  Tensors t{.x = image_layout(x, type),
            .y = image_layout(y, type),
            .bias = {{w[0]}, memory::data_type::f32, memory::format_tag::a},
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
  add_weights(t, w, conv.groups, type);
  return t;
}

/// Where the weights (operand 1) lie in the layout that a primitive wants.
Place weights_in(PrimitiveSequence& sequence, const Tensors& t, const Layout& wanted) {
  if (wanted == t.w) return at_operand(1);
  const Place reordered = sequence.add_scratch(wanted);
  sequence.add_reorder(at_operand(1), t.w, reordered, wanted);
  return reordered;
}

std::string algorithm_name(const char* implementation, bool reordered) {
  return fmt::format("conv:{}{}", implementation, reordered ? " (weights reordered)" : "");
}

}  // namespace

namespace {

/// The library applies these exactly, before it rounds its sums.
dnnl::primitive_attr with_activation(const StepView& step) {
  dnnl::primitive_attr attributes = user_scratchpad();
  const auto function = step.attributes<ConvAttributes>().activation;
  if (!function) return attributes;
  dnnl::post_ops after;
  if (*function == ActivationFunction::relu) {
    after.append_eltwise(dnnl::algorithm::eltwise_relu, 0, 0);
  } else if (*function == ActivationFunction::leaky_relu) {
    after.append_eltwise(dnnl::algorithm::eltwise_relu, 0.01F, 0);
  } else if (*function == ActivationFunction::relu6) {
    after.append_eltwise(dnnl::algorithm::eltwise_clip, 0, 6);
  } else {
    step.cannot_run("an activation that the library rounds");
  }
  attributes.set_post_ops(after);
  return attributes;
}

}  // namespace

PreparedStep prepare_conv_forward(const CpuContext& context, const StepView& step) {
  const auto& conv = step.attributes<ConvAttributes>();
  const DType type = step[0].dtype;
  conv.bias ? step.expect({type, type, kF32, type}) : step.expect({type, type, type});
  if (std::optional<PreparedStep> own = winograd_forward(context, step)) return *std::move(own);
  const int out = conv.bias ? 3 : 2;
  const Tensors t = tensors_of(conv, step[0], step.shape(1), step.shape(static_cast<std::size_t>(out)));
  PrimitiveSequence sequence(context.library);
  const dnnl::convolution_forward::primitive_desc description(
      sequence.engine(), dnnl::prop_kind::forward_training, dnnl::algorithm::convolution_direct, t.x, t.any_w,
      conv.bias ? t.bias : Layout(), t.y, t.strides, t.dilates, t.pad_begin, t.pad_end, with_activation(step));
  const Layout wanted = description.weights_desc();
  const Place weights = weights_in(sequence, t, wanted);
  std::vector<PrimitiveSequence::Argument> arguments{
      {DNNL_ARG_SRC, at_operand(0), t.x}, {DNNL_ARG_WEIGHTS, weights, wanted}, {DNNL_ARG_DST, at_operand(out), t.y}};
  if (conv.bias) arguments.push_back({DNNL_ARG_BIAS, at_operand(2), t.bias});
  sequence.add(description, std::move(arguments));
  return as_step(std::move(sequence), algorithm_name(description.impl_info_str(), weights.in_workspace));
}

namespace {

using BackwardData = dnnl::convolution_backward_data::primitive_desc;

BackwardData backward_data(const dnnl::engine& engine, const Tensors& t, bool depthwise) {
  const dnnl::convolution_forward::primitive_desc hint(engine, dnnl::prop_kind::forward_training,
                                                       dnnl::algorithm::convolution_direct, t.x, t.any_w, t.y,
                                                       t.strides, t.dilates, t.pad_begin, t.pad_end, user_scratchpad());
  const auto first_choice = [&] {
    return BackwardData(engine, dnnl::algorithm::convolution_direct, t.x, t.any_w, t.y, t.strides, t.dilates,
                        t.pad_begin, t.pad_end, hint, user_scratchpad());
  };
  // The first choice for strided depthwise gradients in bf16 is a kernel for dense ones, at a fifteenth of the speed of
  // the depthwise kernel that comes later in the library's list.
  if (depthwise) {
    BackwardData description = first_choice();
    do {
      if (std::string_view(description.impl_info_str()).find("dw") != std::string_view::npos) return description;
    } while (description.next_impl());
  }
  return first_choice();
}

}  // namespace

PreparedStep prepare_conv_backward_data(const CpuContext& context, const StepView& step) {
  const auto& conv = step.attributes<ConvAttributes>();
  const DType type = step[0].dtype;
  step.expect({type, type, type});
  if (std::optional<PreparedStep> own = winograd_backward_data(context, step)) return *std::move(own);
  const Tensors t = tensors_of(conv, step[2], step.shape(1), step.shape(0));
  PrimitiveSequence sequence(context.library);
  const bool depthwise = conv.groups == step.shape(2)[3] && conv.groups == step.shape(0)[3];
  const BackwardData description = backward_data(sequence.engine(), t, depthwise);
  const Layout wanted = description.weights_desc();
  const Place weights = weights_in(sequence, t, wanted);
  sequence.add(description, {{DNNL_ARG_DIFF_DST, at_operand(0), t.y},
                             {DNNL_ARG_WEIGHTS, weights, wanted},
                             {DNNL_ARG_DIFF_SRC, at_operand(2), t.x}});
  return as_step(std::move(sequence), algorithm_name(description.impl_info_str(), weights.in_workspace));
}

PreparedStep prepare_conv_backward_weights(const CpuContext& context, const StepView& step) {
  const auto& conv = step.attributes<ConvAttributes>();
  const DType type = step[0].dtype;
  conv.bias ? step.expect({type, type, kF32, kF32}) : step.expect({type, type, kF32});
  if (std::optional<PreparedStep> own = own_weight_gradient(context, step)) return *std::move(own);
  if (std::optional<PreparedStep> own = own_depthwise_gradient(context, step)) return *std::move(own);
  const Tensors t = tensors_of(conv, step[0], step.shape(2), step.shape(1));
  const Layout bias = conv.bias ? t.bias : Layout();
  PrimitiveSequence sequence(context.library);
  const dnnl::convolution_forward::primitive_desc hint(sequence.engine(), dnnl::prop_kind::forward_training,
                                                       dnnl::algorithm::convolution_direct, t.x, t.any_w, bias, t.y,
                                                       t.strides, t.dilates, t.pad_begin, t.pad_end, user_scratchpad());
  const dnnl::convolution_backward_weights::primitive_desc description(
      sequence.engine(), dnnl::algorithm::convolution_direct, t.x, t.any_dw, bias, t.y, t.strides, t.dilates,
      t.pad_begin, t.pad_end, hint, user_scratchpad());
  const Layout wanted = description.diff_weights_desc();
  const bool reordered = wanted != t.dw;
  const Place weights = reordered || conv.accumulate ? sequence.add_scratch(wanted) : at_operand(2);
  const Place bias_place = conv.bias && conv.accumulate ? sequence.add_scratch(t.bias) : at_operand(3);
  std::vector<PrimitiveSequence::Argument> arguments{{DNNL_ARG_SRC, at_operand(0), t.x},
                                                     {DNNL_ARG_DIFF_DST, at_operand(1), t.y},
                                                     {DNNL_ARG_DIFF_WEIGHTS, weights, wanted}};
  if (conv.bias) arguments.push_back({DNNL_ARG_DIFF_BIAS, bias_place, t.bias});
  sequence.add(description, std::move(arguments));
  if (weights.in_workspace) sequence.add_reorder(weights, wanted, at_operand(2), t.dw, conv.accumulate);
  if (conv.bias && conv.accumulate) sequence.add_reorder(bias_place, t.bias, at_operand(3), t.bias, true);
  return as_step(std::move(sequence), algorithm_name(description.impl_info_str(), reordered));
}

}  // namespace snug::cpu
