// Convolutions and products by a library, and the kernels that do what its engine does not: bias and activation behind
// the sums, gradients of weights from the data's type to fp32, the gradient of the bias.
#include <cstddef>
#include <utility>

#include "backend/cuda/steps/launch.h"
#include "kernels/activation.cuh"
#include "kernels/bias.cuh"
#include "kernels/elementwise.cuh"

namespace snug::cuda {

namespace {

struct Attributes {
  bool bias = false, accumulate = false;
  kernels::Activation activation = kernels::Activation::none;
};

Attributes attributes_of(const Step& step) {
  if (const auto* dense = std::get_if<DenseAttributes>(&step.attributes)) return {dense->bias, dense->accumulate};
  const auto& conv = std::get<ConvAttributes>(step.attributes);
  return {conv.bias, conv.accumulate, activation_of(conv.activation)};
}

Launch forward_launch(const Info& s, const ProductPlan& plan, ProductCall call) {
  const Attributes a = attributes_of(s->step());
  const std::size_t y = a.bias ? 3 : 2;
  const auto channels = static_cast<int>(s->shape(y).back());
  if (plan.convolution.bias) {
    return {.workspace_bytes = plan.total_bytes,
            .run = [=, data = s->data(0), kept = plan.kept_bytes, call = std::move(call)](const Addresses& at) {
              if (kept > 0) kernels::cast(kernels::Data::f32, data, at[2], at.workspace(), channels, at.stream());
              call({.x = at[0],
                    .w = at[1],
                    .y = at[y],
                    .bias = kept > 0 ? at.workspace() : at[2],
                    .workspace = static_cast<std::byte*>(at.workspace()) + kept,
                    .stream = at.stream()});
            }};
  }
  return {.workspace_bytes = plan.total_bytes,
          .run = [=, data = s->data(0), elements = s->elements(y), call = std::move(call)](const Addresses& at) {
            call({.x = at[0], .w = at[1], .y = at[y], .workspace = at.workspace(), .stream = at.stream()});
            if (a.bias)
              kernels::bias_activation(data, a.activation, at[y], at.as(2), at[y], elements / channels, channels,
                                       at.stream());
            else if (a.activation != kernels::Activation::none)
              kernels::activation_forward(data, a.activation, at[y], at[y], elements, at.stream());
          }};
}

/// From the data's type at the front of the scratch to where the gradient belongs.
void hand_over(kernels::Data data, bool accumulate, const Addresses& at, std::int64_t elements) {
  if (accumulate)
    kernels::add_to(data, at.workspace(), at.as(2), elements, at.stream());
  else
    kernels::cast(data, kernels::Data::f32, at.workspace(), at[2], elements, at.stream());
}

Launch weights_launch(const Info& s, const ProductPlan& plan, ProductCall call) {
  const Attributes a = attributes_of(s->step());
  const auto filters = static_cast<int>(s->shape(1).back());
  return {.workspace_bytes = plan.total_bytes,
          .run = [=, data = s->data(0), elements = s->elements(2), rows = s->elements(1) / filters,
                  kept = plan.kept_bytes, call = std::move(call)](const Addresses& at) {
            auto* const behind = static_cast<std::byte*>(at.workspace()) + kept;
            void* const dw = kept > 0 ? at.workspace() : at[2];
            call({.x = at[0], .w = dw, .y = at[1], .workspace = behind, .stream = at.stream()});
            if (kept > 0) hand_over(data, a.accumulate, at, elements);
            if (a.bias) kernels::bias_gradient(data, at[1], at.as(3), a.accumulate, rows, filters, behind, at.stream());
          }};
}

}  // namespace

Launch library_launch(const Info& s, const ProductPlan& plan, ProductCall call) {
  switch (plan.convolution.kind) {
    case ConvolutionKind::forward: return forward_launch(s, plan, std::move(call));
    case ConvolutionKind::backward_weights: return weights_launch(s, plan, std::move(call));
    case ConvolutionKind::backward_data: break;
  }
  return {.workspace_bytes = plan.total_bytes, .run = [call = std::move(call)](const Addresses& at) {
            call({.x = at[2], .w = at[1], .y = at[0], .workspace = at.workspace(), .stream = at.stream()});
          }};
}

}  // namespace snug::cuda
