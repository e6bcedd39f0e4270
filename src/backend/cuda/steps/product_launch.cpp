#include <algorithm>
#include <optional>

#include "backend/cuda/steps/launch.h"
#include "kernels/bias.cuh"
#include "kernels/conv.cuh"
#include "kernels/conv1x1.cuh"
#include "kernels/depthwise.cuh"

namespace snug::cuda {

namespace {

struct Product {
  kernels::Convolution conv;
  kernels::Activation activation = kernels::Activation::none;
  bool bias = false, accumulate = false;
};

/// `x`, `w`, `y`: the operands with the shapes of input, weights and output. A dense layer is one pixel.
Product product_of(const StepInfo& s, std::size_t x, std::size_t w, std::size_t y) {
  Product p{.conv = {.data = s.data(0), .x = s.images(x), .filters = static_cast<int>(s.shape(w)[0])}};
  if (const auto* a = std::get_if<DenseAttributes>(&s.step().attributes)) {
    p.bias = a->bias;
    p.accumulate = a->accumulate;
    return p;
  }
  const auto& a = s.attributes<ConvAttributes>();
  p.bias = a.bias;
  p.accumulate = a.accumulate;
  p.activation = activation_of(a.activation);
  p.conv.groups = static_cast<int>(a.groups);
  p.conv.window = sliding_window(a.window);
  p.conv.y_h = s.images(y).h;
  p.conv.y_w = s.images(y).w;
  return p;
}

/// Whether it has one filter per channel, for which there are kernels of their own.
bool is_depthwise(const Product& p) {
  return p.conv.groups > 1 && p.conv.groups == p.conv.x.c && p.conv.filters == p.conv.x.c;
}

kernels::Depthwise depthwise_of(const Product& p) {
  return {.data = p.conv.data, .x = p.conv.x, .y_h = p.conv.y_h, .y_w = p.conv.y_w, .window = p.conv.window};
}

/// The convolution as a product of rows, if it is one in bf16 whose operands tensor cores can take.
std::optional<kernels::Conv1x1> conv1x1_of(const Product& p) {
  const kernels::SlidingWindow& w = p.conv.window;
  const kernels::Images& x = p.conv.x;
  const bool plain = w.kernel[0] * w.kernel[1] == 1 && w.stride[0] * w.stride[1] == 1 && w.pad[0] == 0 &&
                     w.pad[1] == 0 && x.h == p.conv.y_h && x.w == p.conv.y_w && p.conv.groups == 1;
  const kernels::Conv1x1 conv{.rows = x.n * x.h * x.w, .channels = x.c, .filters = p.conv.filters};
  const bool possible = p.conv.data == kernels::Data::bf16 && kernels::conv1x1_possible(conv.channels, conv.filters);
  return plain && possible ? std::optional(conv) : std::nullopt;
}

std::int64_t weights_workspace_bytes(const Product& p) {
  const auto one = conv1x1_of(p);
  if (one) return kernels::conv1x1_backward_weights_workspace_bytes(one->rows, one->channels, one->filters);
  return is_depthwise(p) ? kernels::depthwise_backward_weights_workspace_bytes(depthwise_of(p))
                         : kernels::conv_backward_weights_workspace_bytes(p.conv);
}

void run_weights(const Product& p, const Addresses& a) {
  if (const auto one = conv1x1_of(p))
    return kernels::conv1x1_backward_weights(*one, a[0], {}, a[1], a.as(2), p.accumulate, a.workspace(), a.stream());
  if (is_depthwise(p))
    return kernels::depthwise_backward_weights(depthwise_of(p), a[0], a[1], a.as(2), p.accumulate, a.workspace(),
                                               a.stream());
  kernels::conv_backward_weights(p.conv, a[0], a[1], a.as(2), p.accumulate, a.workspace(), a.stream());
}

void run_data(const Product& p, const Addresses& a) {
  if (const auto one = conv1x1_of(p)) return kernels::conv1x1_backward_data(*one, a[0], a[1], a[2], a.stream());
  if (is_depthwise(p)) return kernels::depthwise_backward_data(depthwise_of(p), a[0], a[1], a[2], a.stream());
  kernels::conv_backward_data(p.conv, a[0], a[1], a[2], a.stream());
}

void run_forward(const Product& p, const Addresses& a, std::size_t y) {
  const float* bias = p.bias ? a.as(2) : nullptr;
  if (const auto one = conv1x1_of(p))
    return kernels::conv1x1_forward(*one, {.x = a[0], .w = a[1], .bias = bias, .activation = p.activation, .y = a[y]},
                                    nullptr, a.stream());
  if (is_depthwise(p))
    return kernels::depthwise_forward(depthwise_of(p), a[0], a[1], bias, p.activation, a[y], a.stream());
  kernels::conv_forward(p.conv, a[0], a[1], bias, p.activation, a[y], a.stream());
}

Launch weights_launch(const Info& s) {
  const Product p = product_of(*s, 0, 2, 1);
  const std::int64_t rows = p.conv.x.n * p.conv.y_h * p.conv.y_w;
  return {.workspace_bytes =
              std::max(weights_workspace_bytes(p), kernels::bias_gradient_workspace_bytes(rows, p.conv.filters)),
          .run = [=](const Addresses& a) {
            run_weights(p, a);
            if (p.bias)
              kernels::bias_gradient(p.conv.data, a[1], a.as(3), p.accumulate, rows, p.conv.filters, a.workspace(),
                                     a.stream());
          }};
}

}  // namespace

Launch product_launch(const Info& s) {
  switch (s->step().op) {
    case Op::conv_forward:
    case Op::dense_forward: {
      const std::size_t y = s->step().operands.size() - 1;
      return {.run = [p = product_of(*s, 0, 1, y), y](const Addresses& a) { run_forward(p, a, y); }};
    }
    case Op::conv_backward_data:
    case Op::dense_backward_data: return {.run = [p = product_of(*s, 2, 1, 0)](const Addresses& a) { run_data(p, a); }};
    default: return weights_launch(s);
  }
}

}  // namespace snug::cuda
