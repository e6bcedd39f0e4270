#include "train/schedule.h"

#include <cmath>
#include <numbers>

namespace snug {

namespace {

/// From `start` at share 0 to `end` at share 1 along half a cosine.
double cosine_between(double start, double end, double share) {
  return end + (start - end) * 0.5 * (1.0 + std::cos(std::numbers::pi * share));
}

double onecycle_rate(double max_lr, double warmup_fraction, double step, double total) {
  const double initial = max_lr / 25.0;
  const double turn = warmup_fraction * total - 1.0;
  const double last = total - 1.0;
  // A phase without length is at its end.
  if (step <= turn) return cosine_between(initial, max_lr, turn > 0 ? step / turn : 1.0);
  return cosine_between(max_lr, initial / 1e4, last > turn ? (step - turn) / (last - turn) : 1.0);
}

}  // namespace

double learning_rate(const TrainConfig& train, std::int64_t step, std::int64_t steps_per_epoch,
                     std::int64_t total_steps, std::int64_t batch) {
  const ScheduleConfig& schedule = train.schedule;
  const double scale = train.lr_reference_batch > 0 ? static_cast<double>(batch) / train.lr_reference_batch : 1.0;
  const double lr = train.optimizer.lr * scale;
  const auto warmup = std::llround(schedule.warmup_epochs * static_cast<double>(steps_per_epoch));
  const bool warming = step < warmup;
  const double ramp = warming ? static_cast<double>(step + 1) / static_cast<double>(warmup) : 1.0;
  switch (schedule.kind) {
    case ScheduleKind::constant: return lr * ramp;
    case ScheduleKind::step: {
      if (warming) return lr * ramp;
      const std::int64_t epoch = step / steps_per_epoch;
      return lr * std::pow(schedule.factor, std::floor(static_cast<double>(epoch) / schedule.every_epochs));
    }
    case ScheduleKind::cosine: {
      if (warming) return lr * ramp;
      const auto length = static_cast<double>(total_steps - warmup);
      return cosine_between(lr, 0.0, static_cast<double>(step - warmup) / length);
    }
    case ScheduleKind::onecycle: {
      const double max_lr = schedule.max_lr > 0 ? schedule.max_lr * scale : lr;
      return ramp * onecycle_rate(max_lr, schedule.warmup_fraction, static_cast<double>(step),
                                  static_cast<double>(total_steps));
    }
  }
  return lr;
}

}  // namespace snug
