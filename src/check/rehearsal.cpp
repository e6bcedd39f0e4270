#include "check/rehearsal.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "lowering/lowering.h"
#include "train/parameters.h"

namespace snug {

namespace {

void fill(std::span<float> target, const std::vector<double>& values) {
  for (std::size_t i = 0; i < std::min(target.size(), values.size()); ++i) target[i] = static_cast<float>(values[i]);
}

}  // namespace

/// The values of a rehearsal, for those that fill them in.
class Rehearsal::Values final : public TensorStore {
 public:
  explicit Values(Rehearsal& rehearsal) : rehearsal_(rehearsal) {}
  [[nodiscard]] std::int64_t elements(std::string_view name) const override {
    return std::ssize(rehearsal_.values(name));
  }
  [[nodiscard]] std::span<const float> read(std::string_view name) override { return rehearsal_.values(name); }
  void write(std::string_view name, std::span<const float> values) override {
    std::ranges::copy(values, rehearsal_.values(name).begin());
  }

 private:
  Rehearsal& rehearsal_;
};

std::unique_ptr<Rehearsal> Rehearsal::make(const RunSetup& setup, std::int64_t batch, int threads,
                                           std::int64_t most_bytes) {
  LoweringOptions options = setup.lowering;
  options.batch = batch;
  options.parts = 1;
  options.training = true;
  const std::unique_ptr<Backend> backend = make_cpu_backend({.threads = threads});
  std::vector<Program> programs;
  programs.push_back(lower(setup.graph, options));
  Plan plan = plan_programs(std::move(programs), *backend);
  if (plan.persistent_bytes + plan.transient_bytes + plan.input_bytes > most_bytes) return nullptr;
  std::unique_ptr<Rehearsal> made(new Rehearsal(setup, std::move(plan), batch));
  return made;
}

Rehearsal::Rehearsal(const RunSetup& setup, Plan plan, std::int64_t batch)
    : plan_(std::move(plan)),
      batch_(batch),
      persistent_(plan_.persistent_bytes, "batch that is tried", nullptr),
      transient_(plan_.transient_bytes, "batch that is tried", nullptr),
      input_(plan_.input_bytes, "batch that is tried", nullptr) {
  fill(values(exchange::kMean), setup.scaling.mean);
  fill(values(exchange::kInverseStd), setup.scaling.inverse_std);
  fill(values(exchange::kClassWeights), setup.lowering.train.class_weights);
  Values tensors(*this);
  initialize_parameters(setup.graph, setup.lowering.train, tensors);
}

std::byte* Rehearsal::address(TensorId tensor) const {
  const PlannedProgram& planned = plan_.programs.front();
  const snug::View& view = planned.program[tensor].view;
  const std::int64_t offset = planned.offsets[view.storage.index()] + view.offset_bytes;
  switch (planned.program[view.storage].arena) {
    case Arena::persistent: return persistent_.data() + offset;
    case Arena::transient: return transient_.data() + offset;
    case Arena::input: return input_.data() + offset;
    case Arena::data:
    case Arena::host: break;  // nothing is kept or moved out here
  }
  return nullptr;
}

template <class T>
std::span<T> Rehearsal::typed(std::string_view tensor) {
  const TensorId id = program().find(tensor);
  if (!id.valid() || !is_packed(program()[id])) return {};
  return {reinterpret_cast<T*>(address(id)), static_cast<std::size_t>(extent_bytes(program()[id])) / sizeof(T)};
}

std::span<float> Rehearsal::values(std::string_view tensor) { return typed<float>(tensor); }

void Rehearsal::load(const Batch& batch) {
  const auto copy = [&](std::string_view name, std::span<const std::byte> from) {
    const std::span<std::byte> to = typed<std::byte>(name);
    if (!from.empty()) std::memcpy(to.data(), from.data(), std::min(to.size(), from.size()));
  };
  copy(exchange::kImages, batch.images);
  copy(exchange::kLabels, batch.rows.empty() ? std::as_bytes(batch.labels) : std::as_bytes(batch.rows));
}

void Rehearsal::run(double learning_rate, const Visitor& visitor) {
  const std::span<double> control = typed<double>(exchange::kControl);
  control[Control::learning_rate] = learning_rate;
  control[Control::step] = static_cast<double>(step_++);
  const PlannedProgram& planned = plan_.programs.front();
  std::vector<void*> operands;
  for (std::size_t i = 0; i < planned.program.steps.size(); ++i) {
    const Step& step = planned.program.steps[i];
    operands.clear();
    for (const Operand& operand : step.operands) operands.push_back(address(operand.tensor));
    planned.steps[i].run({.operands = operands.data(), .workspace = step.has_workspace ? operands.back() : nullptr});
    if (!visitor) continue;
    visitor({planned.program, step, [&](std::size_t operand) -> std::span<const float> {
               const TensorInfo& tensor = planned.program[step.operands[operand].tensor];
               const auto count = static_cast<std::size_t>(tensor.shape.elements());
               if (!is_packed(tensor)) return {};
               if (tensor.dtype == DType::f32) return {static_cast<const float*>(operands[operand]), count};
               if (tensor.dtype != DType::bf16) return {};
               widened_.resize(count);
               const auto* halves = static_cast<const std::uint16_t*>(operands[operand]);
               for (std::size_t k = 0; k < count; ++k)
                 widened_[k] = std::bit_cast<float>(std::uint32_t{halves[k]} << 16U);
               return widened_;
             }});
  }
}

double Rehearsal::loss() {
  const std::span<double> stats = typed<double>(exchange::kStats);
  return stats[TrainStats::loss_sum] / stats[TrainStats::weight_sum];
}

bool Rehearsal::not_finite() {
  return typed<double>(exchange::kStats)[TrainStats::not_finite] != 0 || !std::isfinite(loss());
}

}  // namespace snug
