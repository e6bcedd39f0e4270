// 1×1 convolutions with norms around them, by kernels of our own on tensor cores.
#include "backend/cuda/steps/launch.h"
#include "kernels/conv1x1.cuh"

namespace snug::cuda {

namespace {

/// `x`, `w`: the operands that are the convolution's input and its weights (or their gradient).
kernels::Conv1x1 conv_of(const StepInfo& s, std::size_t x, std::size_t w) {
  const Shape& weights = s.shape(w);
  const auto channels = static_cast<int>(weights.back());
  return {.rows = s.elements(x) / channels,
          .channels = channels,
          .filters = static_cast<int>(weights[0]),
          .x_pitch = channel_pitch(s[x])};
}

/// The norm whose gamma stands at operand `first`.
kernels::Conv1x1Norm norm_of(const Conv1x1Attributes& attributes, const Addresses& a, std::size_t first) {
  return {.gamma = a.as(first),
          .beta = a.as(first + 1),
          .mean = a.as(first + 2),
          .inverse_std = a.as(first + 3),
          .activation = activation_of(attributes.activation)};
}

Launch forward_launch(const Info& s) {
  const auto attributes = s->attributes<Conv1x1Attributes>();
  const std::size_t running = attributes.norm ? 6 : 2, y = running + (attributes.statistics ? 2 : 0);
  return {.run = [=, conv = conv_of(*s, 0, 1)](const Addresses& a) {
    kernels::Conv1x1Forward forward{.x = a[0], .w = a[1], .y = a[y]};
    if (attributes.norm) forward.norm = norm_of(attributes, a, 2);
    kernels::Conv1x1Statistics statistics{.epsilon = attributes.epsilon, .momentum = attributes.momentum};
    if (attributes.statistics) {
      statistics.running_mean = a.as(running);
      statistics.running_var = a.as(running + 1);
      statistics.mean = a.as(y + 1);
      statistics.inverse_std = a.as(y + 2);
      forward.statistics = &statistics;
    }
    kernels::conv1x1_forward(conv, forward, a.workspace(), a.stream());
  }};
}

Launch data_launch(const Info& s) {
  const auto attributes = s->attributes<Conv1x1Attributes>();
  const std::size_t x = attributes.addend ? 3 : 2, y = x + 5, g = y + (attributes.residual ? 1 : 0);
  return {.run = [=, conv = conv_of(*s, x, 1)](const Addresses& a) {
    kernels::conv1x1_backward_data_sums(conv,
                                        {.dy = a[0],
                                         .w = a[1],
                                         .addend = attributes.addend ? a[2] : nullptr,
                                         .x = a[x],
                                         .y = attributes.residual ? a[y] : nullptr,
                                         .norm = norm_of(attributes, a, x + 1),
                                         .g = a[g],
                                         .sums = a.as(g + 1)},
                                        a.workspace(), a.stream());
  }};
}

Launch weights_launch(const Info& s) {
  const auto attributes = s->attributes<Conv1x1Attributes>();
  return {.run = [=, conv = conv_of(*s, 0, 6)](const Addresses& a) {
    kernels::conv1x1_backward_weights(conv, a[0], norm_of(attributes, a, 2), a[1], a.as(6), attributes.accumulate,
                                      a.workspace(), a.stream());
  }};
}

}  // namespace

Launch conv1x1_launch(const Info& s) {
  switch (s->step().op) {
    case Op::conv1x1_forward: return forward_launch(s);
    case Op::conv1x1_backward_data: return data_launch(s);
    default: return weights_launch(s);
  }
}

}  // namespace snug::cuda
