#include "planner/cost_model.h"

#include <algorithm>

namespace snug {

double step_seconds(const Program& program, const Step& step, const DeviceRates& rates) {
  const Cost cost = step_cost(program, step);
  const double compute = rates.flops_per_second > 0 ? static_cast<double>(cost.flops) / rates.flops_per_second : 0;
  const double memory = rates.bytes_per_second > 0 ? static_cast<double>(cost.bytes) / rates.bytes_per_second : 0;
  return std::max({compute, memory, rates.least_seconds});
}

double program_seconds(const Program& program, const DeviceRates& rates) {
  double sum = 0;
  for (const Step& step : program.steps) sum += step_seconds(program, step, rates);
  return sum;
}

}  // namespace snug
