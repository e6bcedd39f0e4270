#include <optional>

#include "backend/cuda/steps/launch.h"
#include "kernels/batchnorm.cuh"

namespace snug::cuda {

namespace {

/// The operands that are the norm's input (or what a backward step saved) and its gradient.
struct InputPlaces {
  std::size_t x = 0;
  std::optional<std::size_t> dx;
};
InputPlaces input_places(const StepInfo& s) {
  const bool residual = s.attributes<BatchNormAttributes>().residual;
  if (s.step().op == Op::batchnorm_backward)
    return residual ? InputPlaces{.x = 10, .dx = 6} : InputPlaces{.x = 8, .dx = 5};
  if (s.step().op == Op::batchnorm_inference_backward) return {.x = 7, .dx = 4};
  if (s.step().op == Op::batchnorm_backward_apply) return {.x = 5, .dx = 6};
  return {};
}

kernels::BatchNorm norm_of(const StepInfo& s) {
  const auto& a = s.attributes<BatchNormAttributes>();
  const auto channels = static_cast<int>(s.shape(0).back());
  const InputPlaces places = input_places(s);
  return {.data = s.data(0),
          .rows = s.elements(0) / channels,
          .channels = channels,
          .activation = activation_of(a.activation),
          .epsilon = a.epsilon,
          .momentum = a.momentum,
          .accumulate = a.accumulate,
          .accumulate_dx = a.accumulate_dx,
          .x_pitch = channel_pitch(s[places.x]),
          .dx_pitch = places.dx ? channel_pitch(s[*places.dx]) : 0};
}

kernels::NormTensors tensors(const Addresses& a, bool residual) {
  return {
      .x = a[0], .gamma = a.as(1), .beta = a.as(2), .residual = residual ? a[5] : nullptr, .y = a[residual ? 6 : 5]};
}

void run_backward(const StepInfo& s, const kernels::BatchNorm& norm, const Addresses& a, bool residual) {
  const std::size_t first = residual ? 6 : 5;
  kernels::batchnorm_backward(norm,
                              {.dy = a[0],
                               .gamma = a.as(1),
                               .beta = a.as(2),
                               .mean = a.as(3),
                               .inverse_std = a.as(4),
                               .y = residual ? a[5] : nullptr,
                               .saved = a[residual ? 10 : 8],
                               .from_output = s.step().chosen == Saved::output,
                               .dx = a[first],
                               .dresidual = residual ? a[9] : nullptr,
                               .dgamma = a.as(first + 1),
                               .dbeta = a.as(first + 2)},
                              a.workspace(), a.stream());
}

}  // namespace

Launch norm_launch(const Info& s) {
  const kernels::BatchNorm norm = norm_of(*s);
  const bool residual = s->attributes<BatchNormAttributes>().residual;
  switch (s->step().op) {
    case Op::batchnorm_forward:
      return {.run = [=](const Addresses& a) {
        const std::size_t y = residual ? 6 : 5;
        kernels::batchnorm_forward(norm, tensors(a, residual), a.as(3), a.as(4), a.as(y + 1), a.as(y + 2),
                                   a.workspace(), a.stream());
      }};
    case Op::batchnorm_statistics:
      return {.run = [=](const Addresses& a) {
        kernels::batchnorm_statistics(norm, a[0], a.as(1), a.as(2), a.as(3), a.as(4), a.workspace(), a.stream());
      }};
    case Op::batchnorm_backward_apply:
      return {.run = [=](const Addresses& a) {
        kernels::batchnorm_backward_apply(norm,
                                          {.dy = a[0],
                                           .gamma = a.as(1),
                                           .mean = a.as(2),
                                           .inverse_std = a.as(3),
                                           .saved = a[5],
                                           .dx = a[6],
                                           .dgamma = a.as(7),
                                           .dbeta = a.as(8)},
                                          a.as(4), a.workspace(), a.stream());
      }};
    case Op::batchnorm_apply:
      return {.run = [=](const Addresses& a) {
        kernels::batchnorm_apply(norm, tensors(a, residual), a.as(3), a.as(4), a.stream());
      }};
    case Op::batchnorm_inference:
      return {.run = [=](const Addresses& a) {
        kernels::batchnorm_inference(norm, tensors(a, residual), a.as(3), a.as(4), a.stream());
      }};
    case Op::batchnorm_backward: return {.run = [=](const Addresses& a) { run_backward(*s, norm, a, residual); }};
    case Op::batchnorm_inference_backward:
      return {.run = [=](const Addresses& a) {
        kernels::batchnorm_inference_backward(
            norm, {.dy = a[0], .gamma = a.as(1), .saved = a[7], .dx = a[4], .dgamma = a.as(5), .dbeta = a.as(6)},
            a.as(2), a.as(3), a.workspace(), a.stream());
      }};
    default: fail("not a norm", __FILE__, __LINE__);
  }
}

}  // namespace snug::cuda
