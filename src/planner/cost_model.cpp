#include "planner/cost_model.h"

#include <algorithm>

namespace snug {

double step_seconds(const Cost& cost, const DeviceRates& rates) {
  const auto time = [](std::int64_t amount, double rate) { return rate > 0 ? static_cast<double>(amount) / rate : 0; };
  return std::max(time(cost.flops, rates.flops_per_second), time(cost.bytes, rates.bytes_per_second));
}

double program_seconds(const Program& program, const DeviceRates& rates) {
  double seconds = 0;
  for (const Step& step : program.steps) seconds += step_seconds(step_cost(program, step), rates);
  return seconds;
}

}  // namespace snug
