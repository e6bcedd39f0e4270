#include "cli/bench_costs.h"

#include <fmt/format.h>

#include <algorithm>

#include "ops/op.h"

namespace snug {

namespace {

/// The limit of what a step moves: of the caches where all of it stays in them.
double DeviceLimits::*bytes_limit(const Cost& cost, const DeviceLimits& limits) {
  return cost.bytes > limits.cache_bytes ? &DeviceLimits::memory_bytes_per_second
                                         : &DeviceLimits::cache_bytes_per_second;
}

void add_step(BenchCost& sum, const Cost& cost, const DeviceLimits& limits) {
  sum.flops += cost.flops;
  sum.bytes += cost.bytes;
  const auto bytes_limit_of = bytes_limit(cost, limits);
  const double flops_ms = 1e3 * static_cast<double>(cost.flops) / limits.flops_per_second;
  const double bytes_ms = 1e3 * static_cast<double>(cost.bytes) / (limits.*bytes_limit_of);
  if (flops_ms >= bytes_ms) {
    sum.flops_ms += flops_ms;
  } else {
    (bytes_limit_of == &DeviceLimits::memory_bytes_per_second ? sum.memory_ms : sum.cache_ms) += bytes_ms;
  }
}

/// Raises `limit` to what was reached; true when it was below.
bool raise(double& limit, std::int64_t amount, double seconds) {
  if (seconds <= 0 || static_cast<double>(amount) <= limit * seconds) return false;
  limit = static_cast<double>(amount) / seconds;
  return true;
}

void raise_limits(BenchReport& report, const Program& program, const std::vector<double>& seconds,
                  const std::vector<bool>& counted) {
  bool flops = false, memory = false, cache = false;
  DeviceLimits& limits = report.limits;
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    if (!counted.empty() && !counted[i]) continue;
    const Cost cost = step_cost(program, program.steps[i]);
    const auto bytes_limit_of = bytes_limit(cost, limits);
    flops = raise(limits.flops_per_second, cost.flops, seconds[i]) || flops;
    const bool raised = raise(limits.*bytes_limit_of, cost.bytes, seconds[i]);
    (bytes_limit_of == &DeviceLimits::memory_bytes_per_second ? memory : cache) |= raised;
  }
  // A cache is never slower than the memory behind it.
  limits.cache_bytes_per_second = std::max(limits.cache_bytes_per_second, limits.memory_bytes_per_second);
  if (flops) report.raised.emplace_back("FLOP");
  if (memory) report.raised.emplace_back("memory");
  if (cache) report.raised.emplace_back("caches");
}

BenchKind& kind_of(std::vector<BenchKind>& kinds, const std::string& name) {
  const auto found = std::ranges::find(kinds, name, &BenchKind::name);
  return found != kinds.end() ? *found : kinds.emplace_back(BenchKind{.name = name});
}

/// Whether a step is a layer's work, and not that of input, loss or update.
bool is_of_layer(const Step& step) { return step.layer.valid() && step.phase != Phase::update && !is_loss(step.op); }

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

std::vector<bool> steps_of_layer(const Program& program, std::string_view path) {
  std::vector<bool> counted;
  counted.reserve(program.steps.size());
  for (const Step& step : program.steps) {
    bool inside = false;
    if (is_of_layer(step)) {
      const std::string_view layer = program.layers[step.layer.index()];
      inside = layer == path || (layer.starts_with(path) && layer[path.size()] == '.');
    }
    counted.push_back(inside);
  }
  return counted;
}

void add_costs(BenchReport& report, const Program& program, const std::vector<double>& seconds, DeviceLimits limits,
               const std::vector<bool>& counted) {
  report.limits = limits;
  raise_limits(report, program, seconds, counted);
  for (const std::string& path : program.layers) report.layers.push_back({.name = path});
  report.update.name = "input, loss, update";
  double bytes_seconds = 0;  // that the bytes take at best
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    if (!counted.empty() && !counted[i]) continue;
    const Step& step = program.steps[i];
    const Cost cost = step_cost(program, step);
    const double ms = seconds[i] * 1e3;
    report.layers_ms += ms;
    bytes_seconds += static_cast<double>(cost.bytes) / (report.limits.*bytes_limit(cost, report.limits));
    add_step(report.cost, cost, report.limits);
    BenchKind& kind = kind_of(report.kinds, step_kind(program, step));
    add_step(kind.cost, cost, report.limits);
    kind.ms += ms;
    ++kind.steps;
    const bool of_layer = is_of_layer(step);
    BenchLayer& layer = of_layer ? report.layers[step.layer.index()] : report.update;
    add_step(layer.cost, cost, report.limits);
    (of_layer && step.phase == Phase::forward ? layer.forward_ms : layer.backward_ms) += ms;
  }
  std::erase_if(report.layers, [](const BenchLayer& layer) { return layer.ms() == 0 && layer.cost.bytes == 0; });
  std::ranges::stable_sort(report.layers, std::ranges::greater{}, &BenchLayer::ms);
  std::ranges::stable_sort(report.kinds, std::ranges::greater{}, &BenchKind::ms);
  const double step_seconds = report.step.median * 1e-3;
  report.flops_per_second = static_cast<double>(report.cost.flops) / step_seconds;
  report.bytes_per_second = static_cast<double>(report.cost.bytes) / step_seconds;
  report.flops_share = report.flops_per_second / report.limits.flops_per_second;
  report.bytes_share = bytes_seconds / step_seconds;
}

}  // namespace snug
