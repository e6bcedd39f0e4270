#include "planner/cost_model.h"

#include <algorithm>

namespace snug {

namespace {

bool is_depthwise(const Program& program, const Step& step) {
  const auto* conv = std::get_if<ConvAttributes>(&step.attributes);
  if (conv == nullptr || conv->groups <= 1) return false;
  const std::size_t weights = step.op == Op::conv_backward_weights ? 2 : 1;
  return program[step.operands[weights].tensor].shape[3] == 1;
}

bool is_norm(Op op) { return op == Op::batchnorm_forward || op == Op::batchnorm_apply || op == Op::batchnorm_backward; }

double flops_per_second(const Program& program, const Step& step, const DeviceRates& rates) {
  if (rates.fused_flops_per_second > 0 && is_fused_product(step.op)) return rates.fused_flops_per_second;
  const bool depthwise = rates.depthwise_flops_per_second > 0 && is_depthwise(program, step);
  return depthwise ? rates.depthwise_flops_per_second : rates.flops_per_second;
}

double seconds_of(std::int64_t amount, double rate) { return rate > 0 ? static_cast<double>(amount) / rate : 0; }

/// What the step takes less than its bytes say, being made again.
double spared_seconds(const Program& program, const Step& step, const DeviceRates& rates) {
  if (step.op != Op::batchnorm_apply || step.phase != Phase::backward) return 0;
  const bool residual = std::get<BatchNormAttributes>(step.attributes).residual;
  const TensorInfo& output = program[step.operands[residual ? 6 : 5].tensor];
  const std::int64_t bytes = output.shape.elements() * size_bytes(output.dtype);
  const bool stays = 2 * static_cast<double>(bytes) <= rates.cache_bytes;  // beside what it is made of
  return stays ? seconds_of(bytes, rates.again_bytes_per_second) : 0;
}

/// Whether the step runs beside the others: a copy between device and host where there is a way for it.
bool is_transfer(const Step& step, const DeviceRates& rates) {
  return step.queue != kMainQueue && rates.host_bytes_per_second > 0;
}

}  // namespace

double step_seconds(const Program& program, const Step& step, const DeviceRates& rates) {
  if (step.op == Op::wait) return 0;  // what it takes depends on what it waits for
  const Cost cost = step_cost(program, step);
  if (is_transfer(step, rates)) return rates.least_seconds + seconds_of(cost.bytes / 2, rates.host_bytes_per_second);
  const bool norm = rates.norm_bytes_per_second > 0 && is_norm(step.op);
  const double beside = is_product(step.op) ? rates.product_seconds : 0;
  const double swept = seconds_of(cost.bytes, norm ? rates.norm_bytes_per_second : rates.bytes_per_second);
  return beside + std::max({seconds_of(cost.flops, flops_per_second(program, step, rates)),
                            swept - spared_seconds(program, step, rates), rates.least_seconds});
}

std::vector<double> step_times(const Program& program, const DeviceRates& rates) {
  std::vector<double> times;
  times.reserve(program.steps.size());
  std::vector<double> ready(program.tensors.size(), 0);  // when the copy queue is done with a tensor
  double now = 0, copies_end = 0;
  for (const Step& step : program.steps) {
    double seconds = step_seconds(program, step, rates);
    if (is_transfer(step, rates)) {
      copies_end = std::max(copies_end, now) + seconds;
      for (const Operand& operand : step.operands) ready[operand.tensor.index()] = copies_end;
      times.push_back(seconds);
      continue;
    }
    if (step.op == Op::wait) {
      double end = now;
      for (const Operand& operand : step.operands) end = std::max(end, ready[operand.tensor.index()]);
      seconds = end - now;
    }
    now += seconds;
    times.push_back(seconds);
  }
  return times;
}

double program_seconds(const Program& program, const DeviceRates& rates) {
  const std::vector<double> times = step_times(program, rates);
  double sum = 0;
  for (std::size_t i = 0; i < times.size(); ++i) {
    if (!is_transfer(program.steps[i], rates)) sum += times[i];
  }
  return sum;
}

}  // namespace snug
