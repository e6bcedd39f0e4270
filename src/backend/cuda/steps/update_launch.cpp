#include "backend/cuda/steps/launch.h"
#include "kernels/loss_scale.cuh"
#include "kernels/update.cuh"

namespace snug::cuda {

namespace {

static_assert(static_cast<int>(kernels::LossScaling::count) == static_cast<int>(LossScale::count));

/// Segments as a launcher takes them.
struct Flat {
  std::vector<std::int64_t> begin, count;
  explicit Flat(const Segments& segments) {
    for (const Segment& segment : segments) {
      begin.push_back(segment.begin);
      count.push_back(segment.count);
    }
  }
  [[nodiscard]] kernels::FlatSegments view() const { return {begin.data(), count.data(), static_cast<int>(size())}; }
  [[nodiscard]] std::size_t size() const { return begin.size(); }
};

Launch norm_of_gradient(const Info& s) {
  const auto& attributes = s->attributes<GradientNormAttributes>();
  const Flat flat(attributes.segments);
  return {.run = [flat, accumulate = attributes.accumulate](const Addresses& a) {
    kernels::gradient_norm(flat.view(), a.as(0), a.as<double>(2), accumulate, a.as<double>(1) + TrainStats::not_finite,
                           a.workspace(), a.stream());
  }};
}

Launch optimizer(const Info& s) {
  return {.run = [s, u = s->attributes<UpdateAttributes>(),
                  flat = Flat(s->attributes<UpdateAttributes>().segments)](const Addresses& a) {
    const bool clips = u.clip_norm > 0;
    const std::size_t scaling = clips ? 4 : 3, w = scaling + (u.scaled ? 1 : 0);
    const kernels::UpdateState state{.learning_rate = a.as<double>(1) + Control::learning_rate,
                                     .step = a.as<double>(1) + Control::step,
                                     .not_finite = a.as<double>(2) + TrainStats::not_finite,
                                     .norm_squares = clips ? a.as<double>(3) : nullptr,
                                     .loss_scale = u.scaled ? a.as<double>(scaling) + LossScale::scale : nullptr,
                                     .skipped = u.scaled ? a.as<double>(scaling) + LossScale::skipped : nullptr};
    if (s->step().op == Op::sgd_update) {
      const kernels::Sgd sgd{u.weight_decay, u.clip_norm, u.momentum, u.nesterov};
      return kernels::sgd_update(flat.view(), sgd, state, a.as(0), a.as(w), u.momentum > 0 ? a.as(w + 1) : nullptr,
                                 a.stream());
    }
    const kernels::Adam adam{u.weight_decay, u.clip_norm, u.beta1, u.beta2, u.epsilon, u.decoupled};
    kernels::adam_update(flat.view(), adam, state, a.as(0), a.as(w), a.as(w + 1), a.as(w + 2), a.stream());
  }};
}

}  // namespace

Launch update_launch(const Info& s) {
  if (s->step().op == Op::scale_gradient)
    return {.run = [n = s->elements(0)](const Addresses& a) {
      kernels::scale_gradient(a.as(0), a.as<double>(1), n, a.stream());
    }};
  if (s->step().op == Op::update_loss_scale) {
    const kernels::ScaleRule rule{.growth_steps = s->attributes<LossScaleAttributes>().growth_steps,
                                  .least = LossScale::kLeast,
                                  .most = LossScale::kMost};
    return {.run = [rule](const Addresses& a) {
      kernels::update_loss_scale(a.as<double>(0) + TrainStats::not_finite, a.as<double>(1), rule, a.stream());
    }};
  }
  if (s->step().op == Op::gradient_norm) return norm_of_gradient(s);
  if (s->step().op != Op::ema_update) return optimizer(s);
  return {.run = [decay = s->attributes<UpdateAttributes>().ema_decay,
                  flat = Flat(s->attributes<UpdateAttributes>().segments)](const Addresses& a) {
    kernels::ema_update(flat.view(), decay, a.as<double>(1) + TrainStats::not_finite, a.as(0), a.as(2), a.stream());
  }};
}

}  // namespace snug::cuda
