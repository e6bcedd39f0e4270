#include "backend/cuda/cuda_planner.h"

#include <algorithm>
#include <utility>

#include "backend/cuda/product_plan.h"
#include "backend/cuda/scratch.h"

namespace snug {

namespace {

class CudaPlanner final : public Backend {
 public:
  CudaPlanner(std::shared_ptr<EngineSource> source, const CudaPlannerOptions& options)
      : source_(std::move(source)), options_(options) {}

  [[nodiscard]] std::string_view name() const override { return source_->sheet().name; }

  [[nodiscard]] bool fuses(const Program& program, const Step& step) const override {
    return is_pooled_norm(step.op) || fuses_product(program, step, source_->sheet());
  }

  [[nodiscard]] PreparedStep prepare(const Program& program, const Step& step) override {
    if (!is_product(step.op)) return {.algorithm = "own", .workspace_bytes = scratch_bytes(program, step), .run = {}};
    return planned(plan_product(program, step, *source_, options_));
  }

  [[nodiscard]] std::optional<PreparedStep> prepare_within(const Program& program, const Step& step,
                                                           std::int64_t workspace_bytes) override {
    auto better = better_product(program, step, *source_, options_, workspace_bytes);
    return better ? std::optional(planned(*std::move(better))) : std::nullopt;
  }

  [[nodiscard]] std::optional<std::int64_t> scratch_bound(const Program& program, const Step& step) override {
    if (!is_product(step.op)) return scratch_bytes(program, step);
    return product_scratch_bound(program, step, *source_, options_);
  }

 private:
  static PreparedStep planned(ProductPlan plan) {
    return {.algorithm = std::move(plan.engine.name), .workspace_bytes = plan.total_bytes, .run = {}};
  }

  std::shared_ptr<EngineSource> source_;
  CudaPlannerOptions options_;
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
