#include "backend/cuda/steps/launch.h"
#include "kernels/loss.cuh"
#include "kernels/softmax.cuh"

namespace snug::cuda {

namespace {

static_assert(static_cast<int>(kernels::LossStats::count) == static_cast<int>(TrainStats::count));

kernels::Loss loss_of(const StepInfo& s, const Addresses& a) {
  const auto& attributes = s.attributes<LossAttributes>();
  const std::size_t stats = attributes.class_weights ? 4 : 2;
  return {.samples = s.shape(0)[0],
          .width = static_cast<int>(s.elements(0) / s.shape(0)[0]),
          .label_smoothing = attributes.label_smoothing,
          .mean_over = attributes.mean_over,
          .class_weights = attributes.class_weights ? a.as(2) : nullptr,
          .weight_sum = attributes.class_weights ? a.as(3) : nullptr,
          .stats = a.as<double>(stats),
          .gradient = attributes.gradient ? a.as(stats + 1) : nullptr};
}

Launch sample_launch(const Info& s) {
  return {.run = [=](const Addresses& a) {
    const kernels::Loss loss = loss_of(*s, a);
    switch (s->step().op) {
      case Op::softmax_crossentropy:
        return kernels::softmax_crossentropy(loss, a.as(0), a.as<std::int32_t>(1), a.workspace(), a.stream());
      case Op::softmax_crossentropy_rows:
        return kernels::softmax_crossentropy_rows(loss, a.as(0), a.as(1), a.workspace(), a.stream());
      case Op::sigmoid_crossentropy:
        return kernels::sigmoid_crossentropy(loss, a.as(0), a.as(1), a.workspace(), a.stream());
      default: return kernels::mean_squared_error(loss, a.as(0), a.as(1), a.workspace(), a.stream());
    }
  }};
}

}  // namespace

Launch loss_launch(const Info& s) {
  const auto channels = static_cast<int>(s->shape(0).back());
  const std::int64_t rows = s->elements(0) / channels;
  switch (s->step().op) {
    case Op::softmax_forward:
      return {.run = [=](const Addresses& a) {
        kernels::softmax_forward(s->data(0), a[0], a[1], rows, channels, a.stream());
      }};
    case Op::softmax_backward:
      return {.run = [=](const Addresses& a) {
        kernels::softmax_backward(s->data(0), a[0], a[1], a[2], rows, channels, a.stream());
      }};
    case Op::weight_sum:
      return {.run = [=](const Addresses& a) {
        const auto classes = static_cast<int>(s->elements(1));
        if ((*s)[0].dtype == DType::i32)
          return kernels::weight_sum_of_numbers(a.as<std::int32_t>(0), a.as(1), a.as(2), s->elements(0), classes,
                                                a.stream());
        kernels::weight_sum_of_rows(a.as(0), a.as(1), a.as(2), s->elements(0) / classes, classes, a.stream());
      }};
    case Op::add_stats:
      return {.run = [=](const Addresses& a) {
        kernels::add_stats(a.as<double>(0), a.as<double>(1), static_cast<int>(s->elements(0)), a.stream());
      }};
    default: return sample_launch(s);
  }
}

}  // namespace snug::cuda
