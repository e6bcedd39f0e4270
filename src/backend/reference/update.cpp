#include <algorithm>
#include <cmath>

#include "backend/reference/call.h"
#include "backend/reference/functions.h"

namespace snug::reference {

namespace {

/// Calls visit(i) for every element of the parameters; what lies between them is neither read nor written.
template <class Visit>
void for_each_parameter(const Segments& segments, Visit visit) {
  for (const Segment& segment : segments) {
    for (Index i = segment.begin; i < segment.begin + segment.count; ++i) visit(i);
  }
}

/// What sgd_update and adam_update begin with.
struct UpdateCall {
  const UpdateAttributes& attributes;
  Doubles g, control;
  bool skip = false;        ///< a value of this step was not finite
  double clip = 1;          ///< factor of the gradients
  double skipped = 0;       ///< steps before this one that did not count
  int weights_operand = 3;  ///< the operands behind depend on clipping and scaling
};

UpdateCall update_call(const Call& call) {
  UpdateCall update{call.attributes<UpdateAttributes>(), call[0], call[1]};
  update.skip = call[2](TrainStats::not_finite) != 0;
  const bool clips = update.attributes.clip_norm > 0;
  update.weights_operand += (clips ? 1 : 0) + (update.attributes.scaled ? 1 : 0);
  double scale = 1;
  if (update.attributes.scaled) {
    const Doubles scaling = call[clips ? 4 : 3];
    scale = scaling(LossScale::scale);
    update.skipped = scaling(LossScale::skipped);
  }
  if (clips) {
    const double norm = std::sqrt(call[3](0)) / scale;
    update.clip = std::min(1.0, update.attributes.clip_norm / (norm + 1e-6));
  }
  update.clip /= scale;
  return update;
}

}  // namespace

void scale_gradient(const Call& call) {
  const Doubles dlogits = call[0];
  const double scale = call[1](LossScale::scale);
  for (Index n = 0; n < dlogits.n(); ++n) {
    for (Index c = 0; c < dlogits.c(); ++c) dlogits(n, c) *= scale;
  }
}

void update_loss_scale(const Call& call) {
  const Doubles stats = call[0];
  const Doubles scaling = call[1];
  double& scale = scaling(LossScale::scale);
  double& clean_steps = scaling(LossScale::clean_steps);
  if (stats(TrainStats::not_finite) != 0) {
    scale = std::max(LossScale::kLeast, scale / 2);
    clean_steps = 0;
    scaling(LossScale::skipped) += 1;
  } else if (++clean_steps >= call.attributes<LossScaleAttributes>().growth_steps) {
    scale = std::min(LossScale::kMost, 2 * scale);
    clean_steps = 0;
  }
}

void gradient_norm(const Call& call) {
  const auto& attributes = call.attributes<GradientNormAttributes>();
  const Doubles g = call[0];
  const Doubles stats = call[1];
  const Doubles squares = call[2];
  double sum = 0;
  for_each_parameter(attributes.segments, [&](Index i) { sum += g(i) * g(i); });
  squares(0) = sum + (attributes.accumulate ? squares(0) : 0.0);
  if (!std::isfinite(squares(0))) stats(TrainStats::not_finite) = 1;
}

void sgd_update(const Call& call) {
  const UpdateCall update = update_call(call);
  if (update.skip) return;
  const UpdateAttributes& attributes = update.attributes;
  const double rate = update.control(Control::learning_rate);
  const Doubles w = call[update.weights_operand];
  for_each_parameter(attributes.segments, [&](Index i) {
    double direction = update.g(i) * update.clip + attributes.weight_decay * w(i);
    if (attributes.momentum > 0) {
      const Doubles v = call[update.weights_operand + 1];
      v(i) = attributes.momentum * v(i) + direction;
      direction = attributes.nesterov ? direction + attributes.momentum * v(i) : v(i);
    }
    w(i) -= rate * direction;
  });
}

void adam_update(const Call& call) {
  const UpdateCall update = update_call(call);
  if (update.skip) return;
  const UpdateAttributes& attributes = update.attributes;
  const double rate = update.control(Control::learning_rate);
  const double step = update.control(Control::step) - update.skipped + 1;  // this one counts
  const double first_correction = 1 - std::pow(attributes.beta1, step);
  const double second_correction = 1 - std::pow(attributes.beta2, step);
  const Doubles w = call[update.weights_operand];
  const Doubles m = call[update.weights_operand + 1];
  const Doubles v = call[update.weights_operand + 2];
  for_each_parameter(attributes.segments, [&](Index i) {
    double g = update.g(i) * update.clip;
    if (attributes.decoupled) {
      w(i) *= 1 - rate * attributes.weight_decay;
    } else {
      g += attributes.weight_decay * w(i);
    }
    m(i) = attributes.beta1 * m(i) + (1 - attributes.beta1) * g;
    v(i) = attributes.beta2 * v(i) + (1 - attributes.beta2) * g * g;
    w(i) -= rate * (m(i) / first_correction) / (std::sqrt(v(i) / second_correction) + attributes.epsilon);
  });
}

void ema_update(const Call& call) {
  const auto& attributes = call.attributes<UpdateAttributes>();
  const Doubles w = call[0];
  const Doubles stats = call[1];
  const Doubles average = call[2];
  if (stats(TrainStats::not_finite) != 0) return;
  for_each_parameter(attributes.segments, [&](Index i) {
    average(i) = attributes.ema_decay * average(i) + (1 - attributes.ema_decay) * w(i);
  });
}

}  // namespace snug::reference
