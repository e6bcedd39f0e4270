#include "planner/plan_steps.h"

#include <algorithm>

#include "planner/assemble.h"
#include "planner/cost_model.h"

namespace snug {
namespace {

std::string layer_name(const Program& program, LayerId layer) {
  return layer.valid() ? program.layers[layer.index()] : std::string();
}

/// Of every storage its tensors in the order of their first use, and the last one used at or before `step`.
struct Contents {
  std::vector<std::vector<TensorId>> tensors;
  std::vector<TensorId> at_step;
};

Contents contents_of(const Program& program, std::int64_t step) {
  Contents contents{.tensors = std::vector<std::vector<TensorId>>(program.storages.size()),
                    .at_step = std::vector<TensorId>(program.storages.size())};
  std::vector<bool> seen(program.tensors.size(), false);
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    for (const Operand& operand : program.steps[i].operands) {
      const std::size_t storage = program[operand.tensor].view.storage.index();
      if (static_cast<std::int64_t>(i) <= step) contents.at_step[storage] = operand.tensor;
      if (seen[operand.tensor.index()]) continue;
      seen[operand.tensor.index()] = true;
      contents.tensors[storage].push_back(operand.tensor);
    }
  }
  return contents;
}

}  // namespace

std::vector<PlanStep> plan_steps(const PlannedProgram& planned, const DeviceRates& rates) {
  const Program& program = planned.program;
  std::vector<PlanStep> rows(program.steps.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Step& step = program.steps[i];
    const Cost cost = step_cost(program, step);
    rows[i] = {.step = static_cast<std::int64_t>(i),
               .op = std::string(to_string(step.op)),
               .phase = std::string(to_string(step.phase)),
               .layer = layer_name(program, step.layer),
               .algorithm = planned.steps[i].algorithm,
               .flops = cost.flops,
               .bytes = cost.bytes,
               .seconds = step_seconds(program, step, rates),
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
  const Contents contents = contents_of(program, peak);
  std::vector<PlacedBuffer> placed;
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    const Buffer& buffer = buffers[i];
    if (buffer.size_bytes == 0 || contents.tensors[i].empty()) continue;
    const bool at_peak = buffer.life.overlaps({peak, peak + 1});
    const TensorInfo& shown = program[at_peak ? contents.at_step[i] : contents.tensors[i].front()];
    PlacedBuffer& row = placed.emplace_back(PlacedBuffer{.tensors = {},
                                                         .layer = layer_name(program, shown.layer),
                                                         .role = shown.role,
                                                         .offset = planned.offsets[i],
                                                         .size_bytes = buffer.size_bytes,
                                                         .life = buffer.life});
    for (const TensorId tensor : contents.tensors[i]) row.tensors.push_back(program[tensor].name);
  }
  return placed;
}

const PlannedProgram* training_program(const Plan& plan) {
  if (plan.train >= 0) return &plan.programs[static_cast<std::size_t>(plan.train)];
  return plan.picture.empty() ? nullptr : &plan.picture.front();
}

}  // namespace snug
