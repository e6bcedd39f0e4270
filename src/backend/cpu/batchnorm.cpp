#include <cmath>

#include "backend/cpu/prepare.h"

namespace snug::cpu {

namespace {

/// How the rows of a batch (all pixels of all images) are cut: by shape alone, so that sums never depend on threads.
struct Rows {
  std::int64_t rows = 0, channels = 0;
  std::int64_t fold = 1;   ///< see ChannelKernels
  std::int64_t chunk = 1;  ///< rows of a chunk, a multiple of fold
  [[nodiscard]] std::int64_t width() const { return channels * fold; }
  [[nodiscard]] std::int64_t chunks() const { return (rows + chunk - 1) / chunk; }
  [[nodiscard]] std::int64_t count(std::int64_t i) const { return std::min(chunk, rows - i * chunk); }
};

Rows rows_of(const Shape& shape) {
  constexpr std::int64_t kElements = 32'768;  // 128 KiB: the second pass of the statistics finds a chunk in L2
  Rows r{.rows = shape.elements() / shape.back(), .channels = shape.back()};
  r.fold = fold_of(r.channels);
  r.chunk = std::max<std::int64_t>(1, kElements / r.width()) * r.fold;
  return r;
}

int threads_for(const CpuContext& context, const Rows& r) {
  return r.rows * r.channels <= kSerialElements ? 1 : context.threads;
}

/// Repeats each channel's value to the folded width.
void widen(float* wide, const Rows& r) {
  for (std::int64_t f = 1; f < r.fold; ++f) std::copy_n(wide, r.channels, wide + f * r.channels);
}

/// body(first row's offset, rows, width) with folded rows, then with what is left of the chunk.
template <class Body>
void folded(const Rows& r, std::int64_t chunk, const Body& body) {
  const std::int64_t begin = chunk * r.chunk;
  const std::int64_t rows = r.count(chunk);
  const std::int64_t wide = rows / r.fold;
  body(begin * r.channels, wide, r.width());
  if (const std::int64_t rest = rows - wide * r.fold; rest > 0) {
    body((begin + wide * r.fold) * r.channels, rest, r.channels);
  }
}

/// y = (x − center) · scale + shift over all rows; vectors of the folded width.
void normalize_rows(const CpuContext& context, const Rows& r, float* y, const float* x, const float* center,
                    const float* scale, const float* shift) {
  parallel_for(threads_for(context, r), r.chunks(), [&](std::int64_t i) {
    folded(r, i, [&](std::int64_t at, std::int64_t rows, std::int64_t width) {
      context.kernels->channel.normalize(y + at, x + at, rows, width, center, scale, shift);
    });
  });
}

struct Moments {
  double mean = 0, squares = 0;  ///< squares: Σ(x − mean)²
};

/// The chunks' means and squares joined in double, in the chunks' order.
Moments join(const Rows& r, std::int64_t channel, const float* means, const float* squares) {
  Moments m;
  for (std::int64_t i = 0; i < r.chunks(); ++i) {
    m.mean += static_cast<double>(means[i * r.channels + channel]) * static_cast<double>(r.count(i));
  }
  m.mean /= static_cast<double>(r.rows);
  for (std::int64_t i = 0; i < r.chunks(); ++i) {
    const double shift = static_cast<double>(means[i * r.channels + channel]) - m.mean;
    m.squares +=
        static_cast<double>(squares[i * r.channels + channel]) + shift * shift * static_cast<double>(r.count(i));
  }
  return m;
}

void move_towards(float& running, double value, double momentum) {
  running = static_cast<float>((1 - momentum) * static_cast<double>(running) + momentum * value);
}

/// body(channel) for every channel, in blocks of whole cache lines.
template <class Body>
void parallel_channels(const CpuContext& context, const Rows& r, const Body& body) {
  constexpr std::int64_t kBlock = 64;
  parallel_for(threads_for(context, r), (r.channels + kBlock - 1) / kBlock, [&](std::int64_t i) {
    for (std::int64_t c = i * kBlock; c < std::min(r.channels, (i + 1) * kBlock); ++c) body(c);
  });
}

/// Workspace of the forward steps.
struct ForwardLayout {
  WorkspaceLayout layout;
  std::int64_t means = 0, squares = 0, center = 0, scale = 0, shift = 0;
};

ForwardLayout forward_layout(const Rows& r, bool statistics) {
  ForwardLayout f;
  if (statistics) {
    f.means = f.layout.add<float>(r.chunks() * r.channels);
    f.squares = f.layout.add<float>(r.chunks() * r.channels);
  }
  f.center = f.layout.add<float>(r.width());
  f.scale = f.layout.add<float>(r.width());
  f.shift = f.layout.add<float>(r.width());
  return f;
}

}  // namespace

PreparedStep prepare_batchnorm_forward(const CpuContext& context, const StepView& step) {
  constexpr DType f = DType::f32;
  step.expect({f, f, f, f, f, f, f, f});
  const auto attributes = step.attributes<BatchNormAttributes>();
  const Rows r = rows_of(step.shape(0));
  const ForwardLayout at = forward_layout(r, true);
  const auto run = [context, attributes, r, at](const StepArguments& a) {
    const float* x = operand(a, 0);
    const float *gamma = operand(a, 1), *beta = operand(a, 2);
    float *running_mean = operand(a, 3), *running_var = operand(a, 4);
    float *mean = operand(a, 6), *inverse_std = operand(a, 7);
    float *means = scratch(a, at.means), *squares = scratch(a, at.squares);
    float *center = scratch(a, at.center), *scale = scratch(a, at.scale), *shift = scratch(a, at.shift);
    parallel_for(threads_for(context, r), r.chunks(), [&](std::int64_t i) {
      context.kernels->channel.statistics(x + i * r.chunk * r.channels, r.count(i), r.channels, r.fold,
                                          means + i * r.channels, squares + i * r.channels);
    });
    const auto rows = static_cast<double>(r.rows);
    parallel_channels(context, r, [&](std::int64_t c) {
      const Moments m = join(r, c, means, squares);
      const double variance = m.squares / rows;
      mean[c] = center[c] = static_cast<float>(m.mean);
      inverse_std[c] = static_cast<float>(1 / std::sqrt(variance + attributes.epsilon));
      scale[c] = gamma[c] * inverse_std[c];
      shift[c] = beta[c];
      move_towards(running_mean[c], m.mean, attributes.momentum);
      move_towards(running_var[c], r.rows > 1 ? m.squares / (rows - 1) : variance, attributes.momentum);
    });
    for (float* wide : {center, scale, shift}) widen(wide, r);
    normalize_rows(context, r, operand(a, 5), x, center, scale, shift);
  };
  return {.algorithm = "batchnorm:own", .workspace_bytes = at.layout.bytes(), .run = run};
}

PreparedStep prepare_batchnorm_inference(const CpuContext& context, const StepView& step) {
  constexpr DType f = DType::f32;
  step.expect({f, f, f, f, f, f});
  const auto attributes = step.attributes<BatchNormAttributes>();
  const Rows r = rows_of(step.shape(0));
  const ForwardLayout at = forward_layout(r, false);
  const auto run = [context, attributes, r, at](const StepArguments& a) {
    const float *gamma = operand(a, 1), *beta = operand(a, 2), *mean = operand(a, 3), *variance = operand(a, 4);
    float *center = scratch(a, at.center), *scale = scratch(a, at.scale), *shift = scratch(a, at.shift);
    for (std::int64_t c = 0; c < r.channels; ++c) {
      center[c] = mean[c];
      scale[c] = static_cast<float>(static_cast<double>(gamma[c]) /
                                    std::sqrt(static_cast<double>(variance[c]) + attributes.epsilon));
      shift[c] = beta[c];
    }
    for (float* wide : {center, scale, shift}) widen(wide, r);
    normalize_rows(context, r, operand(a, 5), operand(a, 0), center, scale, shift);
  };
  return {.algorithm = "batchnorm:own", .workspace_bytes = at.layout.bytes(), .run = run};
}

namespace {

/// What both backward steps share: sums per chunk, then dx = a · dy + b · (z − center) + c.
struct BackwardPlan {
  CpuContext context;
  BatchNormAttributes attributes;
  Rows r;
  std::int64_t sums = 0, products = 0;                   ///< workspace, by chunk
  std::int64_t center = 0, a = 0, b = 0, c = 0;          ///< workspace, of the folded width
  std::size_t dx = 0, dgamma = 0, dbeta = 0, saved = 0;  ///< operands
};

/// dbeta and dgamma of one channel: Σ dy and `factor` · Σ dy · (z − center).
struct ChannelSums {
  double dbeta = 0, dgamma = 0;
};

ChannelSums join_sums(const BackwardPlan& p, const StepArguments& arguments, std::int64_t channel, double factor) {
  const float* sums = scratch(arguments, p.sums);
  const float* products = scratch(arguments, p.products);
  ChannelSums total;
  for (std::int64_t i = 0; i < p.r.chunks(); ++i) {
    total.dbeta += static_cast<double>(sums[i * p.r.channels + channel]);
    total.dgamma += static_cast<double>(products[i * p.r.channels + channel]);
  }
  total.dgamma *= factor;
  float& dgamma = operand(arguments, p.dgamma)[channel];
  float& dbeta = operand(arguments, p.dbeta)[channel];
  dgamma = static_cast<float>(total.dgamma) + (p.attributes.accumulate ? dgamma : 0.0F);
  dbeta = static_cast<float>(total.dbeta) + (p.attributes.accumulate ? dbeta : 0.0F);
  return total;
}

/// Fills the sums of all chunks; the workspace's `center` is set.
void sum_chunks(const BackwardPlan& p, const StepArguments& arguments) {
  const float *dy = operand(arguments, 0), *z = operand(arguments, p.saved);
  parallel_for(threads_for(p.context, p.r), p.r.chunks(), [&](std::int64_t i) {
    const std::int64_t at = i * p.r.chunk * p.r.channels;
    p.context.kernels->channel.gradient_sums(
        dy + at, z + at, p.r.count(i), p.r.channels, p.r.fold, scratch(arguments, p.center),
        scratch(arguments, p.sums) + i * p.r.channels, scratch(arguments, p.products) + i * p.r.channels);
  });
}

void write_gradient(const BackwardPlan& p, const StepArguments& arguments) {
  float *center = scratch(arguments, p.center), *a = scratch(arguments, p.a);
  float *b = scratch(arguments, p.b), *c = scratch(arguments, p.c);
  for (float* wide : {center, a, b, c}) widen(wide, p.r);
  const float *dy = operand(arguments, 0), *z = operand(arguments, p.saved);
  float* dx = operand(arguments, p.dx);
  parallel_for(threads_for(p.context, p.r), p.r.chunks(), [&](std::int64_t i) {
    folded(p.r, i, [&](std::int64_t at, std::int64_t rows, std::int64_t width) {
      p.context.kernels->channel.gradient(dx + at, dy + at, z + at, rows, width, center, a, b, c);
    });
  });
}

BackwardPlan backward_plan(const CpuContext& context, const StepView& step, WorkspaceLayout& layout) {
  BackwardPlan p{.context = context, .attributes = step.attributes<BatchNormAttributes>(), .r = rows_of(step.shape(0))};
  p.sums = layout.add<float>(p.r.chunks() * p.r.channels);
  p.products = layout.add<float>(p.r.chunks() * p.r.channels);
  p.center = layout.add<float>(p.r.width());
  p.a = layout.add<float>(p.r.width());
  p.b = layout.add<float>(p.r.width());
  p.c = layout.add<float>(p.r.width());
  return p;
}

}  // namespace

PreparedStep prepare_batchnorm_backward(const CpuContext& context, const StepView& step) {
  constexpr DType f = DType::f32;
  step.expect({f, f, f, f, f, f, f, f, f});
  WorkspaceLayout layout;
  BackwardPlan p = backward_plan(context, step, layout);
  p.dx = 5, p.dgamma = 6, p.dbeta = 7, p.saved = 8;
  const bool from_output = step.step().chosen == Saved::output;
  const auto shared = std::make_shared<const BackwardPlan>(std::move(p));
  const auto run = [plan = shared, from_output](const StepArguments& arguments) {
    const float *gamma = operand(arguments, 1), *beta = operand(arguments, 2);
    const float *mean = operand(arguments, 3), *inverse_std = operand(arguments, 4);
    float *center = scratch(arguments, plan->center), *a = scratch(arguments, plan->a);
    float *b = scratch(arguments, plan->b), *c = scratch(arguments, plan->c);
    std::copy_n(from_output ? beta : mean, plan->r.channels, center);
    sum_chunks(*plan, arguments);
    const auto rows = static_cast<double>(plan->r.rows);
    parallel_channels(plan->context, plan->r, [&](std::int64_t i) {
      const double g = static_cast<double>(gamma[i]);
      // (z − center) · factor is the normalised value. From the output of a channel with gamma 0 it cannot be had.
      const double inverse_gamma = g != 0 ? 1 / g : 0;
      const double factor = from_output ? inverse_gamma : static_cast<double>(inverse_std[i]);
      const ChannelSums sums = join_sums(*plan, arguments, i, factor);
      const double scale = g * static_cast<double>(inverse_std[i]);
      a[i] = static_cast<float>(scale);
      b[i] = static_cast<float>(-scale * factor * sums.dgamma / rows);
      c[i] = static_cast<float>(-scale * sums.dbeta / rows);
    });
    write_gradient(*plan, arguments);
  };
  return {.algorithm = "batchnorm:own", .workspace_bytes = layout.bytes(), .run = run};
}

PreparedStep prepare_batchnorm_inference_backward(const CpuContext& context, const StepView& step) {
  constexpr DType f = DType::f32;
  step.expect({f, f, f, f, f, f, f, f});
  WorkspaceLayout layout;
  BackwardPlan p = backward_plan(context, step, layout);
  p.dx = 4, p.dgamma = 5, p.dbeta = 6, p.saved = 7;
  const auto shared = std::make_shared<const BackwardPlan>(std::move(p));
  const auto run = [plan = shared](const StepArguments& arguments) {
    const float *gamma = operand(arguments, 1), *mean = operand(arguments, 2), *variance = operand(arguments, 3);
    float *center = scratch(arguments, plan->center), *a = scratch(arguments, plan->a);
    std::copy_n(mean, plan->r.channels, center);
    std::fill_n(scratch(arguments, plan->b), plan->r.channels, 0.0F);
    std::fill_n(scratch(arguments, plan->c), plan->r.channels, 0.0F);
    sum_chunks(*plan, arguments);
    parallel_channels(plan->context, plan->r, [&](std::int64_t i) {
      const double inverse_std = 1 / std::sqrt(static_cast<double>(variance[i]) + plan->attributes.epsilon);
      join_sums(*plan, arguments, i, inverse_std);
      a[i] = static_cast<float>(static_cast<double>(gamma[i]) * inverse_std);
    });
    write_gradient(*plan, arguments);
  };
  return {.algorithm = "batchnorm:own", .workspace_bytes = layout.bytes(), .run = run};
}

}  // namespace snug::cpu
