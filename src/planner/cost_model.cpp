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

double seconds_of(std::int64_t amount, double rate) { return rate > 0 ? static_cast<double>(amount) / rate : 0; }

}  // namespace

double step_seconds(const Program& program, const Step& step, const DeviceRates& rates) {
  const Cost cost = step_cost(program, step);
  const bool depthwise = rates.depthwise_flops_per_second > 0 && is_depthwise(program, step);
  const bool norm = rates.norm_bytes_per_second > 0 && is_norm(step.op);
  const double beside = is_product(step.op) ? rates.product_seconds : 0;
  return beside +
         std::max({seconds_of(cost.flops, depthwise ? rates.depthwise_flops_per_second : rates.flops_per_second),
                   seconds_of(cost.bytes, norm ? rates.norm_bytes_per_second : rates.bytes_per_second),
                   rates.least_seconds});
}

double program_seconds(const Program& program, const DeviceRates& rates) {
  double sum = 0;
  for (const Step& step : program.steps) sum += step_seconds(program, step, rates);
  return sum;
}

}  // namespace snug
