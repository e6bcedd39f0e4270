#include <cmath>
#include <vector>

#include "backend/cpu/prepare.h"

namespace snug::cpu {

namespace {

std::shared_ptr<const Segments> shared_chunks_of(const Segments& segments) {
  return std::make_shared<const Segments>(chunks_of(segments));
}

int threads_for(const CpuContext& context, const Segments& chunks) {
  std::int64_t total = 0;
  for (const Segment& chunk : chunks) total += chunk.count;
  return total <= kSerialElements ? 1 : context.threads;
}

template <class Body>
void for_chunks(int threads, const Segments& chunks, const Body& body) {
  parallel_for(threads, static_cast<std::int64_t>(chunks.size()),
               [&](std::int64_t i) { body(chunks[static_cast<std::size_t>(i)]); });
}

/// What sgd and adam steps begin with.
struct UpdatePlan {
  UpdateAttributes attributes;  ///< without its segments
  std::shared_ptr<const Segments> chunks;
  int threads = 1;
  DType norm_type = DType::f64;
  std::size_t weights = 3;  ///< operand; one later behind a norm

  [[nodiscard]] static bool skipped(const StepArguments& a) {
    return operand<double>(a, 2)[TrainStats::not_finite] != 0;
  }
  [[nodiscard]] static double control(const StepArguments& a, std::size_t i) { return operand<double>(a, 1)[i]; }
  /// By which gradients are multiplied.
  [[nodiscard]] float clip(const StepArguments& a) const {
    if (attributes.clip_norm <= 0) return 1.0F;
    const double squares = norm_type == DType::f64 ? *operand<double>(a, 3) : static_cast<double>(*operand(a, 3));
    return static_cast<float>(std::min(1.0, attributes.clip_norm / (std::sqrt(squares) + 1e-6)));
  }
};

/// `states`: flat operands behind the weights.
UpdatePlan update_plan(const CpuContext& context, const StepView& step, std::size_t states) {
  UpdatePlan p{.attributes = step.attributes<UpdateAttributes>()};
  p.chunks = shared_chunks_of(p.attributes.segments);
  p.attributes.segments.clear();
  p.threads = threads_for(context, *p.chunks);
  if (p.attributes.scaled) step.cannot_run("losses are scaled for fp16, which is for GPUs");
  if (p.attributes.clip_norm > 0) {
    p.weights = 4;
    p.norm_type = step[3].dtype == kF32 ? kF32 : kF64;
  }
  if (step.count() != p.weights + 1 + states) step.cannot_run("operands do not fit the optimizer");
  for (std::size_t i = 0; i < step.count(); ++i) {
    const DType expected = i == 1 || i == 2 ? kF64 : (i == 3 && p.weights == 4 ? p.norm_type : kF32);
    if (step[i].dtype != expected || !is_packed(step[i])) step.cannot_run("an operand has the wrong type");
  }
  return p;
}

}  // namespace

PreparedStep prepare_loss_scale(const CpuContext& /*context*/, const StepView& step) {
  step.cannot_run("losses are scaled for fp16, which is for GPUs");
}

PreparedStep prepare_gradient_norm(const CpuContext& context, const StepView& step) {
  const auto& attributes = step.attributes<GradientNormAttributes>();
  const DType type = step[2].dtype == DType::f32 ? DType::f32 : DType::f64;
  step.expect({DType::f32, DType::f64, type});
  const auto chunks = shared_chunks_of(attributes.segments);
  return {.algorithm = "gradient_norm:own",
          .workspace_bytes = static_cast<std::int64_t>(chunks->size() * sizeof(double)),
          .run = [kernel = context.kernels->update.sum_of_squares, threads = threads_for(context, *chunks), chunks,
                  type, accumulate = attributes.accumulate](const StepArguments& a) {
            const float* g = operand(a, 0);
            auto* sums = scratch<double>(a, 0);
            parallel_for(threads, static_cast<std::int64_t>(chunks->size()), [&](std::int64_t i) {
              const Segment& chunk = (*chunks)[static_cast<std::size_t>(i)];
              sums[i] = kernel(g + chunk.begin, chunk.count);
            });
            double total = 0;
            for (std::size_t i = 0; i < chunks->size(); ++i) total += sums[i];
            if (type == DType::f64) {
              total = *operand<double>(a, 2) = total + (accumulate ? *operand<double>(a, 2) : 0.0);
            } else {
              total = *operand(a, 2) =
                  static_cast<float>(total + (accumulate ? static_cast<double>(*operand(a, 2)) : 0.0));
            }
            if (!std::isfinite(total)) operand<double>(a, 1)[TrainStats::not_finite] = 1;
          }};
}

PreparedStep prepare_sgd_update(const CpuContext& context, const StepView& step) {
  const bool momentum = step.attributes<UpdateAttributes>().momentum > 0;
  const UpdatePlan plan = update_plan(context, step, momentum ? 1 : 0);
  return {.algorithm = "sgd:own", .run = [plan, momentum, kernels = &context.kernels->update](const StepArguments& a) {
            if (UpdatePlan::skipped(a)) return;
            const SgdValues values{.rate = static_cast<float>(UpdatePlan::control(a, Control::learning_rate)),
                                   .weight_decay = static_cast<float>(plan.attributes.weight_decay),
                                   .momentum = static_cast<float>(plan.attributes.momentum),
                                   .gradient_scale = plan.clip(a)};
            const float* g = operand(a, 0);
            float* w = operand(a, plan.weights);
            float* v = momentum ? operand(a, plan.weights + 1) : nullptr;
            const auto with_momentum = plan.attributes.nesterov ? kernels->sgd_nesterov : kernels->sgd_momentum;
            for_chunks(plan.threads, *plan.chunks, [&](const Segment& s) {
              if (momentum) {
                with_momentum(w + s.begin, g + s.begin, v + s.begin, values, s.count);
              } else {
                kernels->sgd(w + s.begin, g + s.begin, values, s.count);
              }
            });
          }};
}

namespace {

AdamValues adam_values(const UpdatePlan& plan, const StepArguments& a) {
  const UpdateAttributes& u = plan.attributes;
  const double rate = UpdatePlan::control(a, Control::learning_rate);
  const double t = UpdatePlan::control(a, Control::step) + 1;  // this step counts
  return {.rate = static_cast<float>(rate / (1 - std::pow(u.beta1, t))),
          .weight_decay = u.decoupled ? 0.0F : static_cast<float>(u.weight_decay),
          .weight_factor = u.decoupled ? static_cast<float>(1 - rate * u.weight_decay) : 1.0F,
          .beta1_rest = static_cast<float>(1 - u.beta1),
          .beta2 = static_cast<float>(u.beta2),
          .beta2_rest = static_cast<float>(1 - u.beta2),
          .epsilon = static_cast<float>(u.epsilon),
          .gradient_scale = plan.clip(a),
          .root_correction = static_cast<float>(std::sqrt(1 - std::pow(u.beta2, t)))};
}

}  // namespace

PreparedStep prepare_adam_update(const CpuContext& context, const StepView& step) {
  const UpdatePlan plan = update_plan(context, step, 2);
  return {.algorithm = "adam:own", .run = [plan, kernel = context.kernels->update.adam](const StepArguments& a) {
            if (UpdatePlan::skipped(a)) return;
            const AdamValues values = adam_values(plan, a);
            const float* g = operand(a, 0);
            float *w = operand(a, plan.weights), *m = operand(a, plan.weights + 1), *v = operand(a, plan.weights + 2);
            for_chunks(plan.threads, *plan.chunks, [&](const Segment& s) {
              kernel(w + s.begin, g + s.begin, m + s.begin, v + s.begin, values, s.count);
            });
          }};
}

PreparedStep prepare_ema_update(const CpuContext& context, const StepView& step) {
  step.expect({DType::f32, DType::f64, DType::f32});
  const auto& attributes = step.attributes<UpdateAttributes>();
  const auto chunks = shared_chunks_of(attributes.segments);
  const auto decay = static_cast<float>(attributes.ema_decay);
  const auto rest = static_cast<float>(1 - attributes.ema_decay);
  return {.algorithm = "ema:own",
          .run = [=, kernel = context.kernels->update.ema,
                  threads = threads_for(context, *chunks)](const StepArguments& a) {
            if (operand<double>(a, 1)[TrainStats::not_finite] != 0) return;
            const float* w = operand(a, 0);
            float* average = operand(a, 2);
            for_chunks(threads, *chunks,
                       [&](const Segment& s) { kernel(average + s.begin, w + s.begin, decay, rest, s.count); });
          }};
}

}  // namespace snug::cpu
