#include "backend/cuda/cuda_planner.h"

#include <fmt/format.h>

#include <algorithm>

#include "backend/cuda/scratch.h"
#include "base/round.h"
#include "base/text.h"
#include "snug/diagnostic.h"

namespace snug {

namespace {

// Within a step's scratch, parts begin where the arenas' own buffers would.
constexpr std::int64_t kPartAlignmentBytes = 256;

/// Scratch of a convolution's step besides its engine's.
struct Beside {
  std::int64_t kept = 0;   ///< together with the engine's
  std::int64_t after = 0;  ///< once the engine is done
};

Beside beside(const Program& program, const Step& step, const Convolution& c) {
  if (c.kind != ConvolutionKind::backward_weights) return {};
  const auto* conv = std::get_if<ConvAttributes>(&step.attributes);
  const bool accumulate = conv != nullptr ? conv->accumulate : std::get<DenseAttributes>(step.attributes).accumulate;
  const bool bias = conv != nullptr ? conv->bias : std::get<DenseAttributes>(step.attributes).bias;
  const Shape& w = program[step.operands[2].tensor].shape;
  Beside more;
  if (c.dtype != DType::f32 || accumulate)
    more.kept = round_up(w.elements() * size_bytes(c.dtype), kPartAlignmentBytes);
  if (bias) more.after = bias_scratch_bytes(c.y[0] * c.y[1] * c.y[2], c.y[3]);
  return more;
}

class CudaPlanner final : public Backend {
 public:
  CudaPlanner(std::shared_ptr<EngineSource> source, const CudaPlannerOptions& options)
      : source_(std::move(source)),
        tf32_(options.tf32),
        limit_(options.workspace_limit_bytes.value_or(default_workspace_limit(source_->sheet().total_bytes))) {}

  [[nodiscard]] std::string_view name() const override { return source_->sheet().name; }

  [[nodiscard]] PreparedStep prepare(const Program& program, const Step& step) override {
    if (is_product(step.op)) return prepare_convolution(program, step, limit_);
    return {.algorithm = "own", .workspace_bytes = scratch_bytes(program, step), .run = {}};
  }

  [[nodiscard]] std::optional<PreparedStep> prepare_within(const Program& program, const Step& step,
                                                           std::int64_t workspace_bytes) override {
    if (!is_product(step.op) || workspace_bytes <= limit_) return std::nullopt;
    PreparedStep better = prepare_convolution(program, step, workspace_bytes);
    const bool is_better = better.algorithm != prepare_convolution(program, step, limit_).algorithm;
    return is_better && better.workspace_bytes <= workspace_bytes ? std::optional(std::move(better)) : std::nullopt;
  }

  [[nodiscard]] std::optional<std::int64_t> scratch_bound(const Program& program, const Step& step) override {
    if (!is_product(step.op)) return scratch_bytes(program, step);
    // Where what stands beside an engine's own takes much of the limit, maybe no engine keeps to it.
    const Beside more = beside(program, step, convolution_of(program, step, tf32_));
    return 2 * (more.kept + more.after) <= limit_ ? std::optional(limit_) : std::nullopt;
  }

 private:
  /// With the best engine within the limit; where none is, the one with the least scratch.
  [[nodiscard]] PreparedStep prepare_convolution(const Program& program, const Step& step, std::int64_t limit) {
    const Convolution c = convolution_of(program, step, tf32_);
    const std::vector<Engine>& engines = source_->engines(c);
    if (engines.empty()) throw_no_engine(program, step, c);
    const Beside more = beside(program, step, c);
    const auto total = [&](const Engine& engine) {
      const std::int64_t with =
          more.kept > 0 ? round_up(engine.workspace_bytes, kPartAlignmentBytes) : engine.workspace_bytes;
      return more.kept + std::max(with, more.after);
    };
    const auto fits = std::ranges::find_if(engines, [&](const Engine& engine) { return total(engine) <= limit; });
    const Engine& chosen = fits != engines.end() ? *fits : engines.back();
    return {.algorithm = chosen.name, .workspace_bytes = total(chosen), .run = {}};
  }

  [[noreturn]] void throw_no_engine(const Program& program, const Step& step, const Convolution& c) const {
    const std::string layer = step.layer.valid() ? program.layers[step.layer.index()] : std::string("the network");
    throw Error(
        {.code = "A910",
         .where = layer,
         .what = fmt::format("{} on {} has no engine for: {}", source_->name(), source_->sheet().name, key_of(c)),
         .fix = "another kernel size, stride or number of channels in this layer"});
  }

  std::shared_ptr<EngineSource> source_;
  bool tf32_ = false;
  std::int64_t limit_ = 0;
};

}  // namespace

std::int64_t default_workspace_limit(std::int64_t device_bytes) {
  constexpr std::int64_t kLeast = 128 << 20;
  constexpr std::int64_t kMost = 512 << 20;  // ResNet-50's first layer takes 206 MB at batch 256
  constexpr std::int64_t kShare = 64;
  return std::clamp(device_bytes / kShare, kLeast, kMost);
}

std::unique_ptr<Backend> make_cuda_planner(std::shared_ptr<EngineSource> source, const CudaPlannerOptions& options) {
  return std::make_unique<CudaPlanner>(std::move(source), options);
}

}  // namespace snug
