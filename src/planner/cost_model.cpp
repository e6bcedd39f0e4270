#include "planner/cost_model.h"

#include <algorithm>
#include <cstdint>
#include <limits>

namespace snug {

namespace {

bool is_depthwise(const Program& program, const Step& step) {
  const auto* conv = std::get_if<ConvAttributes>(&step.attributes);
  if (conv == nullptr || conv->groups <= 1) return false;
  const std::size_t weights = step.op == Op::conv_backward_weights ? 2 : 1;
  return program[step.operands[weights].tensor].shape[3] == 1;
}

bool is_norm(Op op) {
  return op == Op::batchnorm_forward || op == Op::batchnorm_apply || op == Op::batchnorm_backward || is_pooled_norm(op);
}

double flops_per_second(const Program& program, const Step& step, const DeviceRates& rates) {
  if (rates.fused_flops_per_second > 0 && is_fused_product(step.op)) return rates.fused_flops_per_second;
  const bool depthwise = rates.depthwise_flops_per_second > 0 && is_depthwise(program, step);
  return depthwise ? rates.depthwise_flops_per_second : rates.flops_per_second;
}

double seconds_of(std::int64_t amount, double rate) { return rate > 0 ? static_cast<double>(amount) / rate : 0; }

/// What a norm makes in the forward pass, or again; null of other steps.
const Operand* norm_output(const Step& step) {
  if (step.op != Op::batchnorm_forward && step.op != Op::batchnorm_apply) return nullptr;
  const bool residual = std::get<BatchNormAttributes>(step.attributes).residual;
  return &step.operands[residual ? 6 : 5];
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
  return beside +
         std::max({seconds_of(cost.flops, flops_per_second(program, step, rates)), swept, rates.least_seconds});
}

namespace {

/// What steps find in the last cache, for what they then take besides step_seconds, or less. A tensor stays there until
/// as many bytes have been touched as the cache holds.
class CacheModel {
 public:
  CacheModel(const Program& program, const DeviceRates& rates)
      : program_(program), rates_(rates), seen_(program.storages.size(), kNever), last_(program.storages.size(), 0) {
    if (!knows()) return;
    touched_.push_back(0);
    for (std::size_t i = 0; i < program.steps.size(); ++i) {
      std::int64_t bytes = 0;
      for (const Operand& operand : program.steps[i].operands) {
        bytes += bytes_of(operand);
        last_[storage(operand)] = i;
      }
      touched_.push_back(touched_.back() + bytes);
    }
  }

  /// Of step `i`; of one after another.
  double correction(std::size_t i) {
    if (!knows()) return 0;
    const Step& step = program_.steps[i];
    double seconds = 0;
    // A depthwise convolution takes its time for bytes, wherever they are.
    if (step.op == Op::conv_backward_weights && !is_depthwise(program_, step)) {
      const Operand& x = step.operands.front();
      const std::size_t seen = seen_[storage(x)];
      if (seen == kNever || !stays(seen, i)) seconds = cold_seconds(x);
    }
    if (const Operand* y = norm_output(step); y != nullptr && dies_early(i, *y)) seconds = -stay_seconds(*y);
    for (const Operand& operand : step.operands) seen_[storage(operand)] = i;
    return seconds;
  }

  [[nodiscard]] std::size_t storage(const Operand& operand) const {
    return program_[operand.tensor].view.storage.index();
  }
  [[nodiscard]] bool knows() const { return rates_.cache_bytes > 0; }
  [[nodiscard]] double cold_seconds(const Operand& x) const {
    return seconds_of(bytes_of(x), rates_.cold_bytes_per_second);
  }
  [[nodiscard]] double stay_seconds(const Operand& y) const {
    return seconds_of(bytes_of(y), rates_.stay_bytes_per_second);
  }
  /// Whether what step `i` writes is still in the cache when it is read for the last time.
  [[nodiscard]] bool dies_early(std::size_t i, const Operand& y) const { return stays(i, last_[storage(y)]); }
  /// Whether it would be, made of one as large just before.
  [[nodiscard]] bool can_stay(const Operand& y) const {
    return 2 * static_cast<double>(bytes_of(y)) <= rates_.cache_bytes;
  }

 private:
  static constexpr std::size_t kNever = std::numeric_limits<std::size_t>::max();

  [[nodiscard]] std::int64_t bytes_of(const Operand& operand) const {
    const TensorInfo& tensor = program_[operand.tensor];
    return tensor.shape.elements() * size_bytes(tensor.dtype);
  }
  /// Whether what step `from` touches is still in the cache at step `to`.
  [[nodiscard]] bool stays(std::size_t from, std::size_t to) const {
    return static_cast<double>(touched_[to] - touched_[from]) <= rates_.cache_bytes;
  }

  const Program& program_;
  const DeviceRates& rates_;
  std::vector<std::int64_t> touched_;  // bytes, before each step
  std::vector<std::size_t> seen_;      // by storage: the step that touched it last so far
  std::vector<std::size_t> last_;      // by storage: the last step of all that does
};

}  // namespace

std::vector<double> step_times(const Program& program, const DeviceRates& rates) {
  std::vector<double> times;
  times.reserve(program.steps.size());
  std::vector<double> ready(program.tensors.size(), 0);  // when the copy queue is done with a tensor
  CacheModel cache(program, rates);
  double now = 0, copies_end = 0;
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    const Step& step = program.steps[i];
    double seconds = std::max(0.0, step_seconds(program, step, rates) + cache.correction(i));
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

std::vector<double> spared_by_again(const Program& program, const DeviceRates& rates) {
  std::vector<double> spared(program.steps.size(), 0);
  CacheModel cache(program, rates);
  if (!cache.knows()) return spared;
  std::vector<double> cold(program.storages.size(), 0);  // what reading it takes besides
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    const double seconds = cache.correction(i);
    const Step& step = program.steps[i];
    if (step.op == Op::conv_backward_weights) cold[cache.storage(step.operands.front())] += seconds;
  }
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    const Operand* y = norm_output(program.steps[i]);
    if (y == nullptr || !cache.can_stay(*y) || cache.dies_early(i, *y)) continue;
    spared[i] = cold[cache.storage(*y)] + 2 * cache.stay_seconds(*y);  // written twice, to where something lay
  }
  return spared;
}

}  // namespace snug
