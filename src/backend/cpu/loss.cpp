#include <cmath>
#include <span>

#include "backend/cpu/prepare.h"

namespace snug::cpu {

namespace {

/// What one sample adds to the statistics. Samples are done in parallel and added up in their order.
struct SampleResult {
  double loss = 0, weight = 1;
  std::int32_t correct = 0, correct_top5 = 0;
};

void add_to_stats(double* stats, const SampleResult* results, std::int64_t samples) {
  for (std::int64_t i = 0; i < samples; ++i) {
    const SampleResult& r = results[i];
    stats[TrainStats::loss_sum] += r.weight * r.loss;
    stats[TrainStats::weight_sum] += r.weight;
    stats[TrainStats::correct] += r.correct;
    stats[TrainStats::correct_top5] += r.correct_top5;
    if (!std::isfinite(r.loss)) stats[TrainStats::not_finite] = 1;
  }
  stats[TrainStats::samples] += static_cast<double>(samples);
}

/// Reads a number that programs keep as f32 or f64.
double read_scalar(const StepArguments& arguments, std::size_t i, DType type) {
  return type == DType::f64 ? *operand<double>(arguments, i) : static_cast<double>(*operand(arguments, i));
}

/// The operands of a loss step, and the loop over its samples.
struct LossPlan {
  LossAttributes attributes;
  const SoftmaxKernels* kernels = nullptr;
  int threads = 1;
  std::int64_t samples = 0, width = 0;
  std::size_t stats = 0, gradient = 0;  ///< operands
  DType weight_sum_type = DType::f32;

  [[nodiscard]] double mean_over(const StepArguments& a) const {
    return attributes.class_weights ? read_scalar(a, 3, weight_sum_type) : attributes.mean_over;
  }
  /// Row i of the gradient; null in evaluation.
  [[nodiscard]] float* gradient_row(const StepArguments& a, std::int64_t i) const {
    return attributes.gradient ? operand(a, gradient) + i * width : nullptr;
  }
};

LossPlan loss_plan(const CpuContext& context, const StepView& step, DType labels) {
  LossPlan p{.attributes = step.attributes<LossAttributes>(),
             .kernels = &context.kernels->softmax,
             .samples = step.shape(0)[0],
             .width = step.elements(0) / step.shape(0)[0]};
  p.threads = step.elements(0) <= kSerialElements ? 1 : context.threads;
  p.stats = p.attributes.class_weights ? 4 : 2;
  p.gradient = p.stats + 1;
  if (p.attributes.class_weights) {
    p.weight_sum_type = step[3].dtype == kF64 ? kF64 : kF32;
    p.attributes.gradient ? step.expect({kF32, labels, kF32, p.weight_sum_type, kF64, kF32})
                          : step.expect({kF32, labels, kF32, p.weight_sum_type, kF64});
  } else {
    p.attributes.gradient ? step.expect({kF32, labels, kF64, kF32}) : step.expect({kF32, labels, kF64});
  }
  return p;
}

/// A step that computes sample(arguments, i) for all samples and adds them to the statistics.
template <class Sample>
PreparedStep loss_step(const LossPlan& plan, std::string_view algorithm, const Sample& sample) {
  return {.algorithm = std::string(algorithm),
          .workspace_bytes = plan.samples * static_cast<std::int64_t>(sizeof(SampleResult)),
          .run = [plan, sample](const StepArguments& a) {
            auto* results = scratch<SampleResult>(a, 0);
            const double mean_over = plan.mean_over(a);
            parallel_for(plan.threads, plan.samples,
                         [&](std::int64_t i) { results[i] = sample(plan, a, i, mean_over); });
            add_to_stats(operand<double>(a, plan.stats), results, plan.samples);
          }};
}

/// Where the label stands among the outputs sorted from large to small, equal ones by their index.
void count_rank(SampleResult& result, std::span<const float> z, std::int64_t label) {
  const float own = z[static_cast<std::size_t>(label)];
  std::int64_t before = 0;
  for (std::size_t k = 0; k < z.size(); ++k) {
    before += z[k] > own || (z[k] == own && static_cast<std::int64_t>(k) < label) ? 1 : 0;
  }
  if (!std::isfinite(result.loss)) return;
  result.correct = before == 0 ? 1 : 0;
  result.correct_top5 = before < 5 ? 1 : 0;
}

/// log Σ e^z = shift + log sum, kept apart: the difference to a large z stays exact.
struct LogSum {
  float shift = 0;
  float sum = 0;
  [[nodiscard]] double log() const { return std::log(static_cast<double>(sum)); }
  /// −log of the probability of an output.
  [[nodiscard]] double surprise(float z) const { return log() - (static_cast<double>(z) - static_cast<double>(shift)); }
};

/// The log-sum of a row; leaves e^(z − shift) in `exponentials` unless that is null.
LogSum log_sum(const LossPlan& p, const float* z, float* exponentials) {
  const float largest = p.kernels->maximum(z, p.width);
  return {largest, p.kernels->exponentials(exponentials, z, largest, p.width)};
}

SampleResult class_sample(const LossPlan& p, const StepArguments& a, std::int64_t i, double mean_over) {
  const float* z = operand(a, 0) + i * p.width;
  const std::int64_t label = operand<std::int32_t>(a, 1)[i];
  if (label < 0 || label >= p.width) return {.loss = std::nan(""), .weight = 1};  // checked long before; never read
  SampleResult result;
  if (p.attributes.class_weights) result.weight = static_cast<double>(operand(a, 2)[label]);
  const double smoothing = p.attributes.label_smoothing;
  const auto classes = static_cast<double>(p.width);
  float* dz = p.gradient_row(a, i);
  const LogSum s = log_sum(p, z, dz);
  result.loss = (1 - smoothing) * s.surprise(z[label]);
  if (smoothing > 0) {
    result.loss +=
        smoothing * s.surprise(static_cast<float>(static_cast<double>(p.kernels->sum(z, p.width)) / classes));
  }
  count_rank(result, {z, static_cast<std::size_t>(p.width)}, label);
  if (dz == nullptr) return result;
  // probability − smoothed label; a whole sample's labels add up to 1.
  const double factor = result.weight / mean_over;
  p.kernels->affine(dz, static_cast<float>(factor / static_cast<double>(s.sum)),
                    static_cast<float>(-factor * smoothing / classes), p.width);
  dz[label] -= static_cast<float>(factor * (1 - smoothing));
  return result;
}

SampleResult row_sample(const LossPlan& p, const StepArguments& a, std::int64_t i, double mean_over) {
  const float* z = operand(a, 0) + i * p.width;
  const float* y = operand(a, 1) + i * p.width;
  const double smoothing = p.attributes.label_smoothing;
  const auto classes = static_cast<double>(p.width);
  SampleResult result;
  if (p.attributes.class_weights) {
    result.weight = 0;
    for (std::int64_t k = 0; k < p.width; ++k) {
      result.weight += static_cast<double>(y[k]) * static_cast<double>(operand(a, 2)[k]);
    }
  }
  float* dz = p.gradient_row(a, i);
  const LogSum s = log_sum(p, z, dz);
  const double log_of_sum = s.log();
  double shares = 0;
  for (std::int64_t k = 0; k < p.width; ++k) {
    const double share = static_cast<double>(y[k]) * (1 - smoothing) + smoothing / classes;
    result.loss += share * (log_of_sum - (static_cast<double>(z[k]) - static_cast<double>(s.shift)));
    shares += share;
  }
  count_rank(result, {z, static_cast<std::size_t>(p.width)}, std::max_element(y, y + p.width) - y);
  if (dz == nullptr) return result;
  const double factor = result.weight / mean_over;
  p.kernels->affine(dz, static_cast<float>(factor * shares / static_cast<double>(s.sum)),
                    static_cast<float>(-factor * smoothing / classes), p.width);
  for (std::int64_t k = 0; k < p.width; ++k) dz[k] -= static_cast<float>(factor * (1 - smoothing)) * y[k];
  return result;
}

SampleResult sigmoid_sample(const LossPlan& p, const StepArguments& a, std::int64_t i, double mean_over) {
  const float* z = operand(a, 0) + i * p.width;
  const float* y = operand(a, 1) + i * p.width;
  float* dz = p.gradient_row(a, i);
  const auto outputs = static_cast<double>(p.width);
  const double smoothing = p.attributes.label_smoothing;
  SampleResult result{.correct = 1};
  for (std::int64_t k = 0; k < p.width; ++k) {
    const auto logit = static_cast<double>(z[k]);
    const double target = static_cast<double>(y[k]) * (1 - smoothing) + smoothing / 2;
    const double small = std::exp(-std::abs(logit));  // never overflows
    result.loss += (std::max(logit, 0.0) - logit * target + std::log1p(small)) / outputs;
    if ((z[k] > 0) != (y[k] > 0.5F)) result.correct = 0;
    if (dz == nullptr) continue;
    const double probability = (logit >= 0 ? 1 : small) / (1 + small);
    dz[k] = static_cast<float>((probability - target) / (outputs * mean_over));
  }
  return result;
}

SampleResult square_sample(const LossPlan& p, const StepArguments& a, std::int64_t i, double mean_over) {
  const float* y = operand(a, 0) + i * p.width;
  const float* labels = operand(a, 1) + i * p.width;
  float* dy = p.gradient_row(a, i);
  const auto outputs = static_cast<double>(p.width);
  SampleResult result;
  for (std::int64_t k = 0; k < p.width; ++k) {
    const double difference = static_cast<double>(y[k]) - static_cast<double>(labels[k]);
    result.loss += difference * difference / outputs;
    if (dy != nullptr) dy[k] = static_cast<float>(2 * difference / (outputs * mean_over));
  }
  return result;
}

}  // namespace

PreparedStep prepare_softmax_crossentropy(const CpuContext& context, const StepView& step) {
  return loss_step(loss_plan(context, step, DType::i32), "softmax_crossentropy:own", class_sample);
}

PreparedStep prepare_softmax_crossentropy_rows(const CpuContext& context, const StepView& step) {
  return loss_step(loss_plan(context, step, DType::f32), "softmax_crossentropy:own", row_sample);
}

PreparedStep prepare_sigmoid_crossentropy(const CpuContext& context, const StepView& step) {
  return loss_step(loss_plan(context, step, DType::f32), "sigmoid_crossentropy:own", sigmoid_sample);
}

PreparedStep prepare_mean_squared_error(const CpuContext& context, const StepView& step) {
  return loss_step(loss_plan(context, step, DType::f32), "mean_squared_error:own", square_sample);
}

PreparedStep prepare_weight_sum(const CpuContext& /*context*/, const StepView& step) {
  const DType labels = step[0].dtype;
  const DType type = step[2].dtype == DType::f64 ? DType::f64 : DType::f32;
  if (labels != DType::i32 && labels != DType::f32) step.cannot_run("labels must be int32 or fp32");
  step.expect({labels, DType::f32, type});
  const std::int64_t classes = step.elements(1);
  const std::int64_t count = step.elements(0);
  return {.algorithm = "weight_sum:own", .run = [=](const StepArguments& a) {
            const float* weights = operand(a, 1);
            double sum = 0;
            for (std::int64_t i = 0; i < count; ++i) {
              if (labels == DType::f32) {
                sum += static_cast<double>(operand(a, 0)[i]) * static_cast<double>(weights[i % classes]);
              } else if (const std::int64_t label = operand<std::int32_t>(a, 0)[i]; label >= 0 && label < classes) {
                sum += static_cast<double>(weights[label]);
              }
            }
            if (type == DType::f64) {
              *operand<double>(a, 2) = sum;
            } else {
              *operand(a, 2) = static_cast<float>(sum);
            }
          }};
}

PreparedStep prepare_add_stats(const CpuContext& /*context*/, const StepView& step) {
  step.expect({DType::f64, DType::f64});
  const std::int64_t count = step.elements(0);
  return {.algorithm = "add_stats:own", .run = [count](const StepArguments& a) {
            for (std::int64_t i = 0; i < count; ++i) operand<double>(a, 1)[i] += operand<double>(a, 0)[i];
          }};
}

}  // namespace snug::cpu
