#include "planner/cost_model.h"

#include <algorithm>

namespace snug {

double seconds(const Cost& cost, const DeviceRates& rates) {
  const double compute = rates.flops_per_second > 0 ? static_cast<double>(cost.flops) / rates.flops_per_second : 0;
  const double memory = rates.bytes_per_second > 0 ? static_cast<double>(cost.bytes) / rates.bytes_per_second : 0;
  return std::max(compute, memory);
}

double step_seconds(const Program& program, const Step& step, const DeviceRates& rates) {
  return seconds(step_cost(program, step), rates);
}

double program_seconds(const Program& program, const DeviceRates& rates) {
  double sum = 0;
  for (const Step& step : program.steps) sum += step_seconds(program, step, rates);
  return sum;
}

}  // namespace snug
