#include <algorithm>
#include <array>
#include <cmath>

#include "backend/cpu/prepare.h"

namespace snug::cpu {

namespace {

/// How the rows of a batch (all pixels of all images) are cut: by shape alone, so that sums never depend on threads.
struct Rows {
  std::int64_t rows = 0, channels = 0;
  std::int64_t pitch = 0;     ///< elements from row to row of the norm's input; everything else is packed, …
  std::int64_t pitch_dx = 0;  ///< … but the gradient of the input
  std::int64_t fold = 1;      ///< see ChannelKernels
  std::int64_t chunk = 1;     ///< rows of a chunk, a multiple of fold
  [[nodiscard]] std::int64_t width() const { return channels * fold; }
  [[nodiscard]] std::int64_t chunks() const { return (rows + chunk - 1) / chunk; }
  [[nodiscard]] std::int64_t count(std::int64_t i) const { return std::min(chunk, rows - i * chunk); }
};

/// Of the norm whose input is `x`, and dx `dx` (or the input once more).
Rows rows_of(const TensorInfo& x, const TensorInfo& dx) {
  // 128 KiB: the second pass of the statistics finds a chunk in L2. But joining chunks costs as much as some rows.
  constexpr std::int64_t kElements = 32'768, kLeastRows = 64;
  const std::int64_t channels = x.shape.back();
  Rows r{.rows = x.shape.elements() / channels,
         .channels = channels,
         .pitch = channel_pitch(x),
         .pitch_dx = channel_pitch(dx)};
  r.fold = is_packed(x) && is_packed(dx) ? fold_of(channels) : 1;
  r.chunk = std::max(kLeastRows, kElements / r.width() * r.fold);
  return r;
}

int threads_for(const CpuContext& context, const Rows& r) {
  return r.rows * r.channels <= kSerialElements ? 1 : context.threads;
}

/// Repeats each channel's value to the folded width.
void widen(float* wide, const Rows& r) {
  for (std::int64_t f = 1; f < r.fold; ++f) std::copy_n(wide, r.channels, wide + f * r.channels);
}

/// body(first row, rows, fold) with folded rows, then with what is left of the chunk.
template <class Body>
void folded(const Rows& r, std::int64_t chunk, const Body& body) {
  const std::int64_t begin = chunk * r.chunk;
  const std::int64_t rows = r.count(chunk);
  const std::int64_t wide = rows / r.fold;
  body(begin, wide, r.fold);
  if (const std::int64_t rest = rows - wide * r.fold; rest > 0) body(begin + wide * r.fold, rest, 1);
}

/// body(chunk) for all chunks, each thread its own run of them. `again`: a second sweep, which takes the chunk that the
/// thread read last first: of a tensor larger than the cache the end is still in it.
template <class Body>
void sweep(const CpuContext& context, const Rows& r, bool again, const Body& body) {
  const std::int64_t chunks = r.chunks();
  [[maybe_unused]] const int team = threads_for(context, r);  // a compiler without OpenMP sees no use
#pragma omp parallel num_threads(team)
  {
    const std::int64_t thread = omp_get_thread_num(), threads = omp_get_num_threads();
    const std::int64_t begin = chunks * thread / threads, end = chunks * (thread + 1) / threads;
    for (std::int64_t i = begin; i < end; ++i) body(again ? begin + end - 1 - i : i);
  }
}

/// Where the operands of a norm stand; `residual` ones only where it has one.
struct Places {
  std::size_t residual = 5, output = 5;
  explicit Places(bool has_residual) : output(has_residual ? 6 : 5) {}
};

std::size_t function_of(const BatchNormAttributes& attributes) {
  return attributes.activation ? static_cast<std::size_t>(*attributes.activation) : kIdentity;
}

/// y = activation((x − center) · scale + shift [+ residual]) over all rows; vectors of the folded width.
template <class T>
void normalize_rows(const CpuContext& context, const BatchNormAttributes& attributes, const Rows& r,
                    const StepArguments& a, const ChannelVectors& vectors) {
  const Places at_operand(attributes.residual);
  const T* x = operand<T>(a, 0);
  const T* residual = attributes.residual ? operand<T>(a, at_operand.residual) : nullptr;
  T* y = operand<T>(a, at_operand.output);
  const auto kernel = context.kernels->channel.of<T>().normalize[function_of(attributes)];
  sweep(context, r, true, [&](std::int64_t i) {
    folded(r, i, [&](std::int64_t row, std::int64_t rows, std::int64_t fold) {
      const std::int64_t at = row * r.channels;
      kernel(y + at, {x + row * r.pitch, r.pitch * fold}, residual == nullptr ? nullptr : residual + at, rows,
             r.channels * fold, vectors);
    });
  });
}

constexpr std::int64_t kChannelBlock = 64;
using BlockSums = std::array<double, kChannelBlock>;

/// Σ of value(chunk, channel) for the channels of a block: in double, in the chunks' order.
template <class Value>
BlockSums add_chunks(const Rows& r, std::int64_t begin, std::int64_t end, const Value& value) {
  BlockSums sums{};
  for (std::int64_t i = 0; i < r.chunks(); ++i) {
    for (std::int64_t c = begin; c < end; ++c) sums[static_cast<std::size_t>(c - begin)] += value(i, c);
  }
  return sums;
}

/// body(begin, end) for blocks of channels.
template <class Body>
void parallel_channels(const CpuContext& context, const Rows& r, const Body& body) {
  parallel_for(threads_for(context, r), (r.channels + kChannelBlock - 1) / kChannelBlock,
               [&](std::int64_t i) { body(i * kChannelBlock, std::min(r.channels, (i + 1) * kChannelBlock)); });
}

void move_towards(float& running, double value, double momentum) {
  running = static_cast<float>((1 - momentum) * static_cast<double>(running) + momentum * value);
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

/// From the chunks' statistics to those of the batch, the running ones, and the vectors of the normalization.
void finish_statistics(const CpuContext& context, const BatchNormAttributes& attributes, const Rows& r,
                       const ForwardLayout& at, const StepArguments& a) {
  const float *means = scratch(a, at.means), *squares = scratch(a, at.squares);
  const std::size_t output = Places(attributes.residual).output;
  const auto rows = static_cast<double>(r.rows);
  parallel_channels(context, r, [&](std::int64_t begin, std::int64_t end) {
    BlockSums mean = add_chunks(r, begin, end, [&](std::int64_t i, std::int64_t c) {
      return static_cast<double>(means[i * r.channels + c]) * static_cast<double>(r.count(i));
    });
    for (double& value : mean) value /= rows;
    const BlockSums total = add_chunks(r, begin, end, [&](std::int64_t i, std::int64_t c) {
      const double shift = static_cast<double>(means[i * r.channels + c]) - mean[static_cast<std::size_t>(c - begin)];
      return static_cast<double>(squares[i * r.channels + c]) + shift * shift * static_cast<double>(r.count(i));
    });
    for (std::int64_t c = begin; c < end; ++c) {
      const auto k = static_cast<std::size_t>(c - begin);
      const double variance = total[k] / rows;
      const auto inverse_std = static_cast<float>(1 / std::sqrt(variance + attributes.epsilon));
      operand(a, output + 1)[c] = scratch(a, at.center)[c] = static_cast<float>(mean[k]);
      operand(a, output + 2)[c] = inverse_std;
      scratch(a, at.scale)[c] = operand(a, 1)[c] * inverse_std;
      scratch(a, at.shift)[c] = operand(a, 2)[c];
      move_towards(operand(a, 3)[c], mean[k], attributes.momentum);
      move_towards(operand(a, 4)[c], r.rows > 1 ? total[k] / (rows - 1) : variance, attributes.momentum);
    }
  });
}

/// The forward steps' vectors in the workspace, made as wide as folded rows.
ChannelVectors widened(const StepArguments& a, const Rows& r, const ForwardLayout& at) {
  float *center = scratch(a, at.center), *scale = scratch(a, at.scale), *shift = scratch(a, at.shift);
  for (float* wide : {center, scale, shift}) widen(wide, r);
  return {center, scale, shift};
}

template <class T>
PreparedStep forward(const CpuContext& context, const StepView& step) {
  const auto attributes = step.attributes<BatchNormAttributes>();
  const Rows r = rows_of(step[0], step[0]);
  const ForwardLayout at = forward_layout(r, true);
  const auto run = [context, attributes, r, at](const StepArguments& a) {
    const T* x = operand<T>(a, 0);
    float *means = scratch(a, at.means), *squares = scratch(a, at.squares);
    sweep(context, r, false, [&](std::int64_t i) {
      context.kernels->channel.of<T>().statistics({x + i * r.chunk * r.pitch, r.pitch}, r.count(i), r.channels, r.fold,
                                                  means + i * r.channels, squares + i * r.channels);
    });
    finish_statistics(context, attributes, r, at, a);
    normalize_rows<T>(context, attributes, r, a, widened(a, r, at));
  };
  return {.algorithm = "batchnorm:own", .workspace_bytes = at.layout.bytes(), .run = run};
}

/// Normalises with what stands in operands 3 and 4: `scale_of(gamma, operand 4)` of each channel.
template <class T, class Scale>
PreparedStep known_statistics(const CpuContext& context, const StepView& step, const Scale& scale_of) {
  const auto attributes = step.attributes<BatchNormAttributes>();
  const Rows r = rows_of(step[0], step[0]);
  const ForwardLayout at = forward_layout(r, false);
  const auto run = [context, attributes, r, at, scale_of](const StepArguments& a) {
    const float *gamma = operand(a, 1), *beta = operand(a, 2), *mean = operand(a, 3), *spread = operand(a, 4);
    float *center = scratch(a, at.center), *scale = scratch(a, at.scale), *shift = scratch(a, at.shift);
    for (std::int64_t c = 0; c < r.channels; ++c) {
      center[c] = mean[c];
      scale[c] = scale_of(gamma[c], spread[c]);
      shift[c] = beta[c];
    }
    normalize_rows<T>(context, attributes, r, a, widened(a, r, at));
  };
  return {.algorithm = "batchnorm:own", .workspace_bytes = at.layout.bytes(), .run = run};
}

/// The scale is computed as batchnorm_forward does, so that the results are equal bit for bit.
template <class T>
PreparedStep apply(const CpuContext& context, const StepView& step) {
  return known_statistics<T>(context, step, [](float gamma, float inverse_std) { return gamma * inverse_std; });
}

template <class T>
PreparedStep inference(const CpuContext& context, const StepView& step) {
  const double epsilon = step.attributes<BatchNormAttributes>().epsilon;
  return known_statistics<T>(context, step, [epsilon](float gamma, float variance) {
    return static_cast<float>(static_cast<double>(gamma) / std::sqrt(static_cast<double>(variance) + epsilon));
  });
}

/// Types of a step's operands: activations as `data`, the rest float.
void expect_types(const StepView& step, DType data, std::initializer_list<std::size_t> activations) {
  for (std::size_t i = 0; i < step.count(); ++i) {
    const bool activation = std::ranges::find(activations, i) != activations.end();
    const bool pitched = !is_packed(step[i]);
    if (step[i].dtype != (activation ? data : kF32) || (pitched && !may_be_pitched(step.step(), i)))
      step.cannot_run("an operand's type or pitch");
  }
}

}  // namespace

PreparedStep prepare_batchnorm_forward(const CpuContext& context, const StepView& step) {
  const DType data = step[0].dtype;
  if (step.attributes<BatchNormAttributes>().residual) {
    expect_types(step, data, {0, 5, 6});
  } else {
    expect_types(step, data, {0, 5});
  }
  return data == DType::bf16 ? forward<Bf16>(context, step) : forward<float>(context, step);
}

PreparedStep prepare_batchnorm_apply(const CpuContext& context, const StepView& step) {
  const DType data = step[0].dtype;
  expect_types(step, data, {0, 5, 6});
  return data == DType::bf16 ? apply<Bf16>(context, step) : apply<float>(context, step);
}

PreparedStep prepare_batchnorm_inference(const CpuContext& context, const StepView& step) {
  const DType data = step[0].dtype;
  expect_types(step, data, {0, 5, 6});
  return data == DType::bf16 ? inference<Bf16>(context, step) : inference<float>(context, step);
}

namespace {

/// What both backward steps share: sums per chunk, then dx = a · g + b · (z − center) + c.
struct BackwardPlan {
  CpuContext context;
  BatchNormAttributes attributes;
  Rows r;
  bool from_output = false;                                            ///< z is the norm's output, not its input
  std::int64_t sums = 0, products = 0;                                 ///< workspace, by chunk
  std::int64_t center = 0, scale = 0, shift = 0, a = 0, b = 0, c = 0;  ///< workspace, of the folded width
  std::size_t dx = 0, dgamma = 0, dbeta = 0, saved = 0;                ///< operands
  std::size_t y = 5, dresidual = 9;                                    ///< operands, with a residual

  [[nodiscard]] ChannelVectors vectors(const StepArguments& arguments) const {
    return {scratch(arguments, center), scratch(arguments, scale), scratch(arguments, shift)};
  }
  /// Without a residual the second sweep finds the slope again; with one the first has written the gradient.
  [[nodiscard]] std::size_t gradient_function() const {
    return attributes.residual ? kIdentity : function_of(attributes);
  }
};

/// dbeta and dgamma of every channel: Σ g and factor(channel) · Σ g · (z − center); each written or added, and handed
/// to finish(channel, dbeta, dgamma) as the batch's own.
template <class Factor, class Finish>
void finish_sums(const BackwardPlan& p, const StepArguments& arguments, const Factor& factor, const Finish& finish) {
  const float *sums = scratch(arguments, p.sums), *products = scratch(arguments, p.products);
  const std::int64_t channels = p.r.channels;
  parallel_channels(p.context, p.r, [&](std::int64_t begin, std::int64_t end) {
    const BlockSums sum = add_chunks(
        p.r, begin, end, [=](std::int64_t i, std::int64_t c) { return static_cast<double>(sums[i * channels + c]); });
    const BlockSums product = add_chunks(p.r, begin, end, [=](std::int64_t i, std::int64_t c) {
      return static_cast<double>(products[i * channels + c]);
    });
    for (std::int64_t c = begin; c < end; ++c) {
      const double dbeta = sum[static_cast<std::size_t>(c - begin)];
      const double dgamma = product[static_cast<std::size_t>(c - begin)] * factor(c);
      float &dgamma_out = operand(arguments, p.dgamma)[c], &dbeta_out = operand(arguments, p.dbeta)[c];
      dgamma_out = static_cast<float>(dgamma) + (p.attributes.accumulate ? dgamma_out : 0.0F);
      dbeta_out = static_cast<float>(dbeta) + (p.attributes.accumulate ? dbeta_out : 0.0F);
      finish(c, dbeta, dgamma);
    }
  });
}

/// Fills the sums of all chunks; the workspace's vectors of the normalization are set.
template <class T>
void sum_chunks(const BackwardPlan& p, const StepArguments& arguments) {
  for (const std::int64_t wide : {p.center, p.scale, p.shift}) widen(scratch(arguments, wide), p.r);
  const T *dy = operand<T>(arguments, 0), *z = operand<T>(arguments, p.saved);
  const ChannelKernels<T>& kernels = p.context.kernels->channel.of<T>();
  const ChannelVectors vectors = p.vectors(arguments);
  const std::size_t function = function_of(p.attributes);
  sweep(p.context, p.r, false, [&](std::int64_t i) {
    const std::int64_t at = i * p.r.chunk * p.r.channels;
    const Pitched<const T> rows{z + i * p.r.chunk * p.r.pitch, p.r.pitch};
    float* sum = scratch(arguments, p.sums) + i * p.r.channels;
    float* product = scratch(arguments, p.products) + i * p.r.channels;
    if (p.attributes.residual) {
      kernels.residual_sums[function](operand<T>(arguments, p.dresidual) + at, dy + at, operand<T>(arguments, p.y) + at,
                                      rows, p.r.count(i), p.r.channels, p.r.fold, vectors.center, sum, product);
    } else {
      kernels.gradient_sums[function](dy + at, rows, p.r.count(i), p.r.channels, p.r.fold, vectors, sum, product);
    }
  });
}

template <class T>
void write_gradient(const BackwardPlan& p, const StepArguments& arguments) {
  for (const std::int64_t wide : {p.a, p.b, p.c}) widen(scratch(arguments, wide), p.r);
  const float *a = scratch(arguments, p.a), *b = scratch(arguments, p.b), *c = scratch(arguments, p.c);
  const T *g = operand<T>(arguments, p.attributes.residual ? p.dresidual : 0), *z = operand<T>(arguments, p.saved);
  T* dx = operand<T>(arguments, p.dx);
  const auto kernel = p.context.kernels->channel.of<T>().gradient[p.gradient_function()];
  const ChannelVectors vectors = p.vectors(arguments);
  sweep(p.context, p.r, true, [&](std::int64_t i) {
    folded(p.r, i, [&](std::int64_t row, std::int64_t rows, std::int64_t fold) {
      kernel({dx + row * p.r.pitch_dx, p.r.pitch_dx * fold}, p.attributes.accumulate_dx, g + row * p.r.channels,
             {z + row * p.r.pitch, p.r.pitch * fold}, rows, p.r.channels * fold, vectors, a, b, c);
    });
  });
}

BackwardPlan backward_plan(const CpuContext& context, const StepView& step, std::size_t saved, std::size_t dx,
                           WorkspaceLayout& layout) {
  BackwardPlan p{.context = context,
                 .attributes = step.attributes<BatchNormAttributes>(),
                 .r = rows_of(step[saved], step[dx]),
                 .dx = dx,
                 .dgamma = dx + 1,
                 .dbeta = dx + 2,
                 .saved = saved};
  p.sums = layout.add<float>(p.r.chunks() * p.r.channels);
  p.products = layout.add<float>(p.r.chunks() * p.r.channels);
  for (std::int64_t* vector : {&p.center, &p.scale, &p.shift, &p.a, &p.b, &p.c})
    *vector = layout.add<float>(p.r.width());
  return p;
}

template <class T>
PreparedStep backward(const CpuContext& context, const StepView& step) {
  WorkspaceLayout layout;
  const bool residual = step.attributes<BatchNormAttributes>().residual;
  BackwardPlan p = backward_plan(context, step, residual ? 10 : 8, Places(residual).output, layout);
  p.from_output = step.step().chosen == Saved::output;
  if (p.from_output && p.attributes.activation) step.cannot_run("an activation hides the norm's own output");
  const auto shared = std::make_shared<const BackwardPlan>(std::move(p));
  const auto run = [plan = shared](const StepArguments& arguments) {
    const bool from_output = plan->from_output;
    const float *gamma = operand(arguments, 1), *beta = operand(arguments, 2);
    const float *mean = operand(arguments, 3), *inverse_std = operand(arguments, 4);
    float *a = scratch(arguments, plan->a), *b = scratch(arguments, plan->b), *c = scratch(arguments, plan->c);
    std::copy_n(from_output ? beta : mean, plan->r.channels, scratch(arguments, plan->center));
    std::copy_n(beta, plan->r.channels, scratch(arguments, plan->shift));
    for (std::int64_t i = 0; i < plan->r.channels; ++i) scratch(arguments, plan->scale)[i] = gamma[i] * inverse_std[i];
    sum_chunks<T>(*plan, arguments);
    const auto rows = static_cast<double>(plan->r.rows);
    // (z − center) · factor is the normalised value. From the output of a channel with gamma 0 it cannot be had.
    const auto factor = [=](std::int64_t i) {
      if (!from_output) return static_cast<double>(inverse_std[i]);
      return gamma[i] != 0 ? 1 / static_cast<double>(gamma[i]) : 0.0;
    };
    finish_sums(*plan, arguments, factor, [=](std::int64_t i, double dbeta, double dgamma) {
      const double scale = static_cast<double>(gamma[i]) * static_cast<double>(inverse_std[i]);
      a[i] = static_cast<float>(scale);
      b[i] = static_cast<float>(-scale * factor(i) * dgamma / rows);
      c[i] = static_cast<float>(-scale * dbeta / rows);
    });
    write_gradient<T>(*plan, arguments);
  };
  return {.algorithm = "batchnorm:own", .workspace_bytes = layout.bytes(), .run = run};
}

template <class T>
PreparedStep inference_backward(const CpuContext& context, const StepView& step) {
  WorkspaceLayout layout;
  BackwardPlan p = backward_plan(context, step, 7, 4, layout);
  const auto shared = std::make_shared<const BackwardPlan>(std::move(p));
  const auto run = [plan = shared](const StepArguments& arguments) {
    const float *gamma = operand(arguments, 1), *mean = operand(arguments, 2), *variance = operand(arguments, 3);
    float* a = scratch(arguments, plan->a);
    std::copy_n(mean, plan->r.channels, scratch(arguments, plan->center));
    for (const std::int64_t unused : {plan->scale, plan->shift, plan->b, plan->c})
      std::fill_n(scratch(arguments, unused), plan->r.channels, 0.0F);
    sum_chunks<T>(*plan, arguments);
    const auto inverse_std = [=](std::int64_t i) {
      return 1 / std::sqrt(static_cast<double>(variance[i]) + plan->attributes.epsilon);
    };
    finish_sums(*plan, arguments, inverse_std, [=](std::int64_t i, double, double) {
      a[i] = static_cast<float>(static_cast<double>(gamma[i]) * inverse_std(i));
    });
    write_gradient<T>(*plan, arguments);
  };
  return {.algorithm = "batchnorm:own", .workspace_bytes = layout.bytes(), .run = run};
}

}  // namespace

PreparedStep prepare_batchnorm_backward(const CpuContext& context, const StepView& step) {
  const DType data = step[0].dtype;
  if (step.attributes<BatchNormAttributes>().residual) {
    expect_types(step, data, {0, 5, 6, 9, 10});
  } else {
    expect_types(step, data, {0, 5, 8});
  }
  return data == DType::bf16 ? backward<Bf16>(context, step) : backward<float>(context, step);
}

PreparedStep prepare_batchnorm_inference_backward(const CpuContext& context, const StepView& step) {
  const DType data = step[0].dtype;
  expect_types(step, data, {0, 4, 7});
  return data == DType::bf16 ? inference_backward<Bf16>(context, step) : inference_backward<float>(context, step);
}

}  // namespace snug::cpu
