#include "cli/bench_costs.h"

#include <fmt/format.h>

#include <algorithm>

#include "ops/op.h"
#include "planner/cost_model.h"

namespace snug {

namespace {

void add_step(BenchCost& sum, const Cost& cost, double limit) {
  sum.flops += cost.flops;
  sum.bytes += cost.bytes;
  sum.limit_ms += limit * 1e3;
}

BenchKind& kind_of(std::vector<BenchKind>& kinds, const std::string& name) {
  const auto found = std::ranges::find(kinds, name, &BenchKind::name);
  return found != kinds.end() ? *found : kinds.emplace_back(BenchKind{.name = name});
}

/// The tensor that holds a convolution's weights or their gradient.
TensorId conv_weights(const Step& step) { return step.operands[step.op == Op::conv_backward_weights ? 2 : 1].tensor; }

}  // namespace

std::string step_kind(const Program& program, const Step& step) {
  std::string name(to_string(step.op));
  const auto* conv = std::get_if<ConvAttributes>(&step.attributes);
  if (conv == nullptr) return name;
  const Shape& weights = program[conv_weights(step)].shape;  // [out, kh, kw, in ÷ groups]
  const bool depthwise = conv->groups > 1 && weights[3] == 1;
  if (conv->groups > 1) name += depthwise ? " depthwise" : " grouped";
  return name + fmt::format(" {}x{}", conv->window.kernel[0], conv->window.kernel[1]);
}

void add_costs(BenchReport& report, const Program& program, const std::vector<double>& seconds,
               const DeviceRates& ceiling) {
  for (const std::string& path : program.layers) report.layers.push_back({.name = path});
  BenchCost total;
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    const Step& step = program.steps[i];
    const Cost cost = step_cost(program, step);
    const double limit = step_seconds(program, step, ceiling);
    const double ms = seconds[i] * 1e3;
    add_step(total, cost, limit);
    BenchKind& kind = kind_of(report.kinds, step_kind(program, step));
    add_step(kind.cost, cost, limit);
    kind.ms += ms;
    ++kind.steps;
    if (!step.layer.valid() || step.phase == Phase::update) {  // what belongs to no layer is the update's
      report.update_ms += ms;
      continue;
    }
    BenchLayer& layer = report.layers[step.layer.index()];
    add_step(layer.cost, cost, limit);
    (step.phase == Phase::backward ? layer.backward_ms : layer.forward_ms) += ms;
  }
  std::ranges::stable_sort(report.kinds, std::ranges::greater{}, &BenchKind::ms);
  const double step_seconds = report.ms_per_step * 1e-3;
  report.peak_flops_per_second = ceiling.flops_per_second;
  report.peak_bytes_per_second = ceiling.bytes_per_second;
  report.limit_ms = total.limit_ms;
  report.flops_per_second = static_cast<double>(total.flops) / step_seconds;
  report.bytes_per_second = static_cast<double>(total.bytes) / step_seconds;
  report.flops_share = report.flops_per_second / ceiling.flops_per_second;
  report.bytes_share = report.bytes_per_second / ceiling.bytes_per_second;
}

}  // namespace snug
