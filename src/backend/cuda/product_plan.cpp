#include "backend/cuda/product_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/round.h"
#include "kernels/tiles.h"
#include "snug/diagnostic.h"

namespace snug {

namespace {

// Within a step's scratch, parts begin where the arenas' own buffers would.
constexpr std::int64_t kPartAlignmentBytes = 256;

bool has_bias(const Step& step) {
  const auto* conv = std::get_if<ConvAttributes>(&step.attributes);
  return conv != nullptr ? conv->bias : std::get<DenseAttributes>(step.attributes).bias;
}

/// Scratch of a convolution's step besides its engine's.
struct Beside {
  std::int64_t kept = 0;   ///< together with the engine's
  std::int64_t after = 0;  ///< once the engine is done
};

Beside beside(const Program& program, const Step& step, const Convolution& c) {
  if (c.bias && c.dtype != DType::f32)
    return {.kept = round_up(c.y[3] * size_bytes(c.dtype), kPartAlignmentBytes), .after = 0};
  if (c.kind != ConvolutionKind::backward_weights) return {};
  const auto* conv = std::get_if<ConvAttributes>(&step.attributes);
  const bool accumulate = conv != nullptr ? conv->accumulate : std::get<DenseAttributes>(step.attributes).accumulate;
  const Shape& w = program[step.operands[2].tensor].shape;
  Beside more;
  if (c.dtype != DType::f32 || accumulate)
    more.kept = round_up(w.elements() * size_bytes(c.dtype), kPartAlignmentBytes);
  if (has_bias(step)) {
    const std::int64_t rows = c.y[0] * c.y[1] * c.y[2];
    more.after = kernels::bias_gradient_workspace_bytes(rows, static_cast<int>(c.y[3]));
  }
  return more;
}

/// The convolution with what its step does behind the sums, where engines do that: a bias, and relu. Without it a sweep
/// of our own reads and writes the output once more. Other activations have no engine that is ready made.
std::optional<Convolution> with_epilogue(const Program& program, const Step& step, Convolution c) {
  const auto* conv = std::get_if<ConvAttributes>(&step.attributes);
  if (c.kind != ConvolutionKind::forward || !has_bias(step) || c.w[3] != c.x[3]) return std::nullopt;
  if (conv != nullptr && conv->activation) {
    if (conv->activation != ActivationFunction::relu) return std::nullopt;
    c.relu = true;
  }
  const bool aligned = program[step.operands[2].tensor].view.offset_bytes % c.alignment == 0;
  if (c.dtype == DType::f32 && !aligned) return std::nullopt;
  c.bias = true;
  return c;
}

std::int64_t limit_of(const EngineSource& source, const CudaPlannerOptions& options) {
  return options.workspace_limit_bytes.value_or(default_workspace_limit(source.sheet().total_bytes));
}

[[noreturn]] void throw_no_engine(const Program& program, const Step& step, const EngineSource& source,
                                  const Convolution& c) {
  const std::string layer = step.layer.valid() ? program.layers[step.layer.index()] : std::string("the network");
  throw Error({.code = "A910",
               .where = layer,
               .what = fmt::format("{} on {} has no engine for: {}", source.name(), source.sheet().name, key_of(c)),
               .fix = "another kernel size, stride or number of channels in this layer"});
}

/// By the first engine whose scratch keeps to the limit; where none does, by the last, which has the least.
ProductPlan by_engine(const Program& program, const Step& step, const Convolution& c,
                      const std::vector<Engine>& engines, std::int64_t limit) {
  const Beside more = beside(program, step, c);
  const auto total = [&](const Engine& engine) {
    const std::int64_t with =
        more.kept > 0 ? round_up(engine.workspace_bytes, kPartAlignmentBytes) : engine.workspace_bytes;
    return more.kept + std::max(with, more.after);
  };
  const auto fits = std::ranges::find_if(engines, [&](const Engine& engine) { return total(engine) <= limit; });
  const Engine& chosen = fits != engines.end() ? *fits : engines.back();
  return {.convolution = c, .engine = chosen, .kept_bytes = more.kept, .total_bytes = total(chosen)};
}

bool is_strided_depthwise_gradient(const Convolution& c) {
  constexpr std::int64_t kLargestWindow = 16;  // of kernels/depthwise.cuh
  const Window& window = c.window;
  return c.kind == ConvolutionKind::backward_data && c.w[3] == 1 && c.x[3] > 1 && c.w[0] == c.x[3] &&
         std::max(window.stride[0], window.stride[1]) > 1 &&
         std::max(window.kernel[0], window.kernel[1]) <= kLargestWindow;
}

}  // namespace

bool fuses_product(const Program& program, const Step& step, const DeviceSheet& sheet) {
  constexpr int kWithBf16 = 80;
  if (!is_fused_product(step.op) || sheet.capability < kWithBf16) return false;
  const Shape& w = program[step.operands[step.op == Op::conv1x1_backward_weights ? 6 : 1].tensor].shape;
  return program[step.operands[0].tensor].dtype == DType::bf16 && w[0] % 8 == 0 && w.back() % 8 == 0;
}

ProductPlan plan_product(const Program& program, const Step& step, EngineSource& source,
                         const CudaPlannerOptions& options) {
  const Convolution convolution = convolution_of(program, step, options.tf32);
  if (is_strided_depthwise_gradient(convolution))
    return {.convolution = convolution, .engine = {.name = "own"}, .own = true};
  const std::int64_t limit = limit_of(source, options);
  if (const std::optional<Convolution> whole = with_epilogue(program, step, convolution)) {
    if (const std::vector<Engine>& engines = source.engines(*whole); !engines.empty()) {
      ProductPlan plan = by_engine(program, step, *whole, engines, limit);
      if (plan.total_bytes <= limit) return plan;
    }
  }
  const std::vector<Engine>& engines = source.engines(convolution);
  if (engines.empty()) throw_no_engine(program, step, source, convolution);
  return by_engine(program, step, convolution, engines, limit);
}

std::optional<ProductPlan> better_product(const Program& program, const Step& step, EngineSource& source,
                                          const CudaPlannerOptions& options, std::int64_t workspace_bytes) {
  if (!is_product(step.op) || workspace_bytes <= limit_of(source, options)) return std::nullopt;
  CudaPlannerOptions wider = options;
  wider.workspace_limit_bytes = workspace_bytes;
  ProductPlan better = plan_product(program, step, source, wider);
  const bool is_better = better.engine.name != plan_product(program, step, source, options).engine.name;
  return is_better && better.total_bytes <= workspace_bytes ? std::optional(std::move(better)) : std::nullopt;
}

std::optional<std::int64_t> product_scratch_bound(const Program& program, const Step& step, const EngineSource& source,
                                                  const CudaPlannerOptions& options) {
  // Where what stands beside an engine's own takes much of the limit, maybe no engine keeps to it.
  const std::int64_t limit = limit_of(source, options);
  const Convolution c = convolution_of(program, step, options.tf32);
  const Beside more = beside(program, step, with_epilogue(program, step, c).value_or(c));
  return 2 * (more.kept + more.after) <= limit ? std::optional(limit) : std::nullopt;
}

}  // namespace snug
