#include "planner/plan_steps.h"

#include <algorithm>

#include "planner/assemble.h"
#include "planner/cost_model.h"

namespace snug {
namespace {

/// Of every storage its tensors, in the order of their first use.
std::vector<std::vector<TensorId>> tensors_by_storage(const Program& program) {
  std::vector<std::vector<TensorId>> tensors(program.storages.size());
  std::vector<bool> seen(program.tensors.size(), false);
  for (const Step& step : program.steps) {
    for (const Operand& operand : step.operands) {
      if (seen[operand.tensor.index()]) continue;
      seen[operand.tensor.index()] = true;
      tensors[program[operand.tensor].view.storage.index()].push_back(operand.tensor);
    }
  }
  return tensors;
}

}  // namespace

std::vector<TensorId> contents_at(const Program& program, std::int64_t step) {
  std::vector<TensorId> contents(program.storages.size());
  const std::int64_t end = std::min(step + 1, std::ssize(program.steps));
  for (std::int64_t i = 0; i < end; ++i) {
    for (const Operand& operand : program.steps[static_cast<std::size_t>(i)].operands) {
      contents[program[operand.tensor].view.storage.index()] = operand.tensor;
    }
  }
  return contents;
}

std::vector<PlanStep> plan_steps(const PlannedProgram& planned, const DeviceRates& rates) {
  const Program& program = planned.program;
  std::vector<PlanStep> rows(program.steps.size());
  const std::vector<double> seconds = step_times(program, rates);
  const bool in_turn =
      rates.bytes_per_second > 0 && rates.host_bytes_per_second <= 0;  // copies have no way of their own
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Step& step = program.steps[i];
    const Cost cost = step_cost(program, step);
    rows[i] = {.step = static_cast<std::int64_t>(i),
               .op = std::string(to_string(step.op)),
               .phase = std::string(to_string(step.phase)),
               .layer = program.layer_name(step.layer),
               .algorithm = planned.steps[i].algorithm,
               .queue = in_turn ? kMainQueue : step.queue,
               .flops = cost.flops,
               .bytes = cost.bytes,
               .seconds = seconds[i],
               .workspace_bytes = planned.steps[i].workspace_bytes};
  }
  const std::vector<Buffer> buffers = transient_buffers(program);
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    const Buffer& buffer = buffers[i];
    for (std::int64_t step = buffer.life.first; step < buffer.life.last; ++step) {
      PlanStep& row = rows[static_cast<std::size_t>(step)];
      row.live_bytes += buffer.size_bytes;
      row.arena_bytes = std::max(row.arena_bytes, planned.offsets[i] + buffer.size_bytes);
    }
  }
  return rows;
}

std::vector<PlacedBuffer> placed_buffers(const PlannedProgram& planned) {
  const Program& program = planned.program;
  const std::vector<Buffer> buffers = transient_buffers(program);
  const std::int64_t peak = live_peak(buffers).step;
  const std::vector<std::vector<TensorId>> tensors = tensors_by_storage(program);
  const std::vector<TensorId> at_the_peak = contents_at(program, peak);
  std::vector<PlacedBuffer> placed;
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    const Buffer& buffer = buffers[i];
    if (buffer.size_bytes == 0 || tensors[i].empty()) continue;
    const bool at_peak = buffer.life.overlaps({peak, peak + 1});
    const TensorInfo& shown = program[at_peak ? at_the_peak[i] : tensors[i].front()];
    PlacedBuffer& row = placed.emplace_back(PlacedBuffer{.tensors = {},
                                                         .layer = program.layer_name(shown.layer),
                                                         .role = shown.role,
                                                         .offset = planned.offsets[i],
                                                         .size_bytes = buffer.size_bytes,
                                                         .life = buffer.life});
    for (const TensorId tensor : tensors[i]) row.tensors.push_back(program[tensor].name);
  }
  return placed;
}

const PlannedProgram* training_program(const Plan& plan) {
  if (plan.train >= 0) return &plan.programs[static_cast<std::size_t>(plan.train)];
  return plan.picture.empty() ? nullptr : &plan.picture.front();
}

}  // namespace snug
