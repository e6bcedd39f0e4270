#include "planner/plan_report.h"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/ensure.h"
#include "base/round.h"
#include "planner/assemble.h"
#include "planner/plan_steps.h"
#include "program/lifetimes.h"

namespace snug {
namespace {

/// An arena as the device gives it.
std::int64_t given(std::int64_t bytes, const DeviceMemory& device) { return round_up(bytes, device.granularity_bytes); }

std::vector<const Program*> pointers(const Plan& plan) {
  std::vector<const Program*> programs;
  programs.reserve(plan.programs.size());
  for (const PlannedProgram& one : plan.programs) programs.push_back(&one.program);
  return programs;
}

/// The program whose transient arena is the largest; its buffers and their peak.
struct Largest {
  const Program* program = nullptr;
  std::vector<Buffer> buffers;  // by StorageId
  Peak peak;
};

Largest find_largest(const Plan& plan) {
  Largest largest;
  std::int64_t height = -1;
  for (const PlannedProgram& planned : plan.programs) {
    std::vector<Buffer> buffers = transient_buffers(planned.program);
    std::int64_t top = 0;
    for (std::size_t i = 0; i < buffers.size(); ++i) {
      if (buffers[i].size_bytes > 0) top = std::max(top, planned.offsets[i] + buffers[i].size_bytes);
    }
    if (top <= height) continue;
    height = top;
    largest.peak = live_peak(buffers);
    largest.program = &planned.program;
    largest.buffers = std::move(buffers);
  }
  return largest;
}

void describe_peak(const Largest& largest, PlanReport& report) {
  if (largest.program == nullptr || largest.peak.bytes == 0) return;
  const Program& program = *largest.program;
  const std::int64_t step = largest.peak.step;
  const Step& at = program.steps[static_cast<std::size_t>(step)];
  report.peak = {.step = step, .phase = std::string(to_string(at.phase)), .layer = program.layer_name(at.layer)};
  report.lower_bound_bytes = largest.peak.bytes;
  const std::vector<TensorId> contents = contents_at(program, step);
  for (std::size_t i = 0; i < largest.buffers.size(); ++i) {
    const Buffer& buffer = largest.buffers[i];
    if (buffer.size_bytes == 0 || !buffer.life.overlaps({step, step + 1})) continue;
    const TensorInfo& tensor = program[contents[i]];
    report.peak.tensors.push_back(
        {tensor.name, program.layer_name(tensor.layer), std::string(to_string(tensor.role)), buffer.size_bytes});
    switch (tensor.role) {
      case Role::gradient: report.breakdown.gradients += buffer.size_bytes; break;
      case Role::workspace: report.breakdown.workspace += buffer.size_bytes; break;
      case Role::weight:
      case Role::master:
      case Role::optimizer:
      case Role::statistic:
      case Role::activation:
      case Role::input: report.breakdown.activations += buffer.size_bytes; break;
    }
  }
  std::ranges::stable_sort(report.peak.tensors, std::greater{}, &PlanTensor::bytes);
}

/// The bytes [begin, end) of a storage that a tensor of some role takes.
struct Range {
  std::int64_t begin = 0, end = 0;
  Role role = Role::weight;
};

/// Parameters are views in flat storages, which have a tensor for the whole beside them: what holds another is left
/// out, so that the gaps between parameters do not count.
std::vector<Range> leaves(std::vector<Range> ranges) {
  std::ranges::sort(
      ranges, [](const Range& a, const Range& b) { return std::pair(a.begin, -a.end) < std::pair(b.begin, -b.end); });
  const auto same = [](const Range& a, const Range& b) { return a.begin == b.begin && a.end == b.end; };
  ranges.erase(std::unique(ranges.begin(), ranges.end(), same), ranges.end());
  std::vector<Range> result;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const bool holds_next = i + 1 < ranges.size() && ranges[i + 1].end <= ranges[i].end;
    if (!holds_next) result.push_back(ranges[i]);
  }
  return result;
}

void describe_persistent(std::span<const Program* const> programs, PlanBreakdown& breakdown) {
  std::unordered_map<std::string_view, std::vector<Range>> storages;
  for (const Program* program : programs) {
    for (const TensorInfo& tensor : program->tensors) {
      const Storage& storage = (*program)[tensor.view.storage];
      if (storage.arena != Arena::persistent) continue;
      const std::int64_t begin = tensor.view.offset_bytes;
      storages[storage.name].push_back({begin, begin + extent_bytes(tensor), tensor.role});
    }
  }
  for (auto& [name, ranges] : storages) {
    for (const Range& range : leaves(std::move(ranges))) {
      const std::int64_t bytes = range.end - range.begin;
      switch (range.role) {
        case Role::optimizer: breakdown.optimizer += bytes; break;
        case Role::statistic: breakdown.statistics += bytes; break;
        case Role::weight:
        case Role::master:
        case Role::gradient:
        case Role::activation:
        case Role::workspace:
        case Role::input: breakdown.weights += bytes; break;
      }
    }
  }
}

/// Whether a step writes bytes that it also reads under another name.
bool works_in_place(const Program& program, const Step& step) {
  const auto overlap = [&](TensorId a, TensorId b) {
    const TensorInfo& x = program[a];
    const TensorInfo& y = program[b];
    return x.view.storage == y.view.storage && x.view.offset_bytes < y.view.offset_bytes + extent_bytes(y) &&
           y.view.offset_bytes < x.view.offset_bytes + extent_bytes(x);
  };
  for (const Operand& read : step.operands) {
    if (read.access != Access::in) continue;
    for (const Operand& written : step.operands) {
      if (written.access == Access::out && overlap(read.tensor, written.tensor)) return true;
    }
  }
  return false;
}

void describe_layers(const Program& program, std::vector<PlanLayer>& layers) {
  for (const std::string& name : program.layers) layers.push_back({.name = name});
  for (const Step& step : program.steps) {
    if (!step.has_workspace || !step.layer.valid()) continue;
    std::int64_t& bytes = layers[step.layer.index()].workspace_bytes;
    bytes = std::max(bytes, program.storage_of(step.operands.back().tensor).size_bytes);
  }
  const auto backward = std::ranges::find(program.steps, Phase::backward, &Step::phase);
  if (backward == program.steps.end()) return;
  const std::int64_t begin = backward - program.steps.begin();
  if (begin == 0) return;
  const std::vector<Buffer> buffers = transient_buffers(program);
  const std::vector<TensorId> contents = contents_at(program, begin - 1);
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    const bool kept = buffers[i].size_bytes > 0 && buffers[i].life.first < begin && buffers[i].life.last > begin;
    if (!kept) continue;
    const TensorInfo& tensor = program[contents[i]];
    if (tensor.role == Role::activation && tensor.layer.valid()) {
      layers[tensor.layer.index()].saved_bytes += buffers[i].size_bytes;
    }
  }
}

/// What computes a layer's products, each way once.
void describe_engines(const PlannedProgram& planned, std::vector<PlanLayer>& layers) {
  for (std::size_t i = 0; i < planned.steps.size(); ++i) {
    const Step& step = planned.program.steps[i];
    if ((!is_product(step.op) && !is_fused_product(step.op)) || !step.layer.valid()) continue;
    const PlanEngine engine{std::string(to_string(step.op)), planned.steps[i].algorithm,
                            planned.steps[i].workspace_bytes};
    std::vector<PlanEngine>& engines = layers[step.layer.index()].engines;
    const bool known = std::ranges::any_of(
        engines, [&](const PlanEngine& other) { return other.step == engine.step && other.engine == engine.engine; });
    if (!known) engines.push_back(engine);
  }
}

std::int64_t count_products(const Plan& plan) {
  std::set<std::pair<Op, std::vector<std::int64_t>>> kernels;
  for (const PlannedProgram& planned : plan.programs) {
    for (const Step& step : planned.program.steps) {
      if (!is_product(step.op)) continue;
      std::vector<std::int64_t> extents;
      for (const Operand& operand : step.operands) {
        for (const std::int64_t extent : planned.program[operand.tensor].shape.extents()) extents.push_back(extent);
      }
      kernels.emplace(step.op, std::move(extents));
    }
  }
  return std::ssize(kernels);
}

}  // namespace

std::int64_t library_bytes(const Plan& plan, const DeviceMemory& device) {
  return device.library_bytes + (device.kernel_bytes > 0 ? device.kernel_bytes * count_products(plan) : 0);
}

std::int64_t input_arena_bytes(const Plan& plan, const DeviceMemory& device) {
  return plan.input_bytes + (device.stages_inputs() ? staged_bytes(pointers(plan)) : 0);
}

std::int64_t arena_bytes(const Plan& plan, const DeviceMemory& device) {
  return given(plan.persistent_bytes, device) + given(plan.transient_bytes, device) +
         given(input_arena_bytes(plan, device), device) + given(plan.data_bytes, device);
}

std::int64_t total_bytes(const Plan& plan, const DeviceMemory& device) {
  return device.driver_bytes + library_bytes(plan, device) + arena_bytes(plan, device);
}

std::int64_t host_arena_bytes(const Plan& plan) {
  constexpr std::int64_t kPageBytes = 4096;
  return round_up(plan.host_bytes, kPageBytes);
}

void describe(Plan& plan, const DeviceMemory& device) {
  PlanReport& report = plan.report;
  const std::vector<const Program*> programs = pointers(plan);
  report.device = device.name;
  report.device_bytes = device.total_bytes;
  report.engines = device.engines;
  report.estimated = device.estimated;
  report.free_bytes = device.free_bytes;
  report.allocated = {.persistent = given(plan.persistent_bytes, device),
                      .transient = given(plan.transient_bytes, device),
                      .input = given(input_arena_bytes(plan, device), device),
                      .data = given(plan.data_bytes, device)};
  report.breakdown.driver = device.driver_bytes;
  report.breakdown.library = library_bytes(plan, device);
  describe_peak(find_largest(plan), report);
  describe_persistent(programs, report.breakdown);
  for (const SharedStorage& storage : share_by_name(programs, Arena::data).storages) {
    report.data_bytes += storage.size_bytes;
  }
  report.breakdown.input = report.data_bytes;
  for (const SharedStorage& storage : share_by_name(programs, Arena::input).storages) {
    report.breakdown.input += storage.size_bytes;
  }
  if (device.stages_inputs()) {
    for (const StagedInput& staged : staged_inputs(programs)) report.breakdown.input += staged.size_bytes;
  }
  report.total_bytes = total_bytes(plan, device);
  report.breakdown.padding = report.total_bytes - report.breakdown.total();
  ensure(report.breakdown.padding >= 0, "the parts of a plan are not more than the whole");
  const PlanBreakdown& parts = report.breakdown;
  report.persistent_arena_bytes = parts.weights + parts.optimizer + parts.statistics;
  report.transient_arena_bytes = parts.gradients + parts.activations + parts.workspace;

  const int largest = plan.train >= 0 ? plan.train : 0;
  if (!plan.programs.empty()) {
    const PlannedProgram& program = plan.programs[static_cast<std::size_t>(largest)];
    describe_layers(program.program, report.layers);
    describe_engines(program, report.layers);
    report.steps = plan_steps(program, device.rates);
  }
  const bool in_place = std::ranges::any_of(programs, [](const Program* program) {
    return std::ranges::any_of(program->steps, [&](const Step& step) { return works_in_place(*program, step); });
  });
  if (in_place) report.strategy.emplace_back("inplace");
}

}  // namespace snug
