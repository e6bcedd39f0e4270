#include "train/network.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "base/ensure.h"
#include "lowering/lowering.h"

namespace snug {

namespace {

void fill_floats(Runtime& runtime, std::string_view name, const std::vector<double>& values) {
  const TensorInfo* info = runtime.find(name);
  if (info == nullptr) return;
  ensure(info->dtype == DType::f32, "scaling and class weights are floats");
  const std::span<float> target = runtime.values<float>(name);
  ensure(target.size() == values.size(), "one value per channel, one weight per class");
  std::ranges::transform(values, target.begin(), [](double value) { return static_cast<float>(value); });
}

void copy_bytes(std::span<const std::byte> from, std::span<std::byte> to) {
  ensure(from.size() <= to.size(), "a batch fits the planned input");
  if (!from.empty()) std::memcpy(to.data(), from.data(), from.size());
}

}  // namespace

Network::Network(const Plan& plan, const InputScaling& scaling, const TrainConfig& train)
    : plan_(plan),
      runtime_(plan),
      images_(runtime_.bytes(exchange::kImages)),
      labels_(runtime_.bytes(exchange::kLabels)),
      control_(runtime_.values<double>(exchange::kControl)),
      stats_(runtime_.values<double>(exchange::kStats)),
      totals_(runtime_.values<double>(exchange::kTotals)),
      outputs_(runtime_.values<float>(exchange::kOutputs)) {
  fill_floats(runtime_, exchange::kMean, scaling.mean);
  fill_floats(runtime_, exchange::kInverseStd, scaling.inverse_std);
  fill_floats(runtime_, exchange::kClassWeights, train.class_weights);
}

TensorLookup Network::tensors() {
  return [this](std::string_view name) { return runtime_.values<float>(name); };
}

std::int64_t Network::samples_of(int program) const {
  const Program& p = plan_.programs[static_cast<std::size_t>(program)].program;
  return p[p.find(exchange::kImages)].shape[0];
}

std::int64_t Network::batch_of(int whole, int last) const {
  if (whole >= 0) return samples_of(whole);
  return last >= 0 ? samples_of(last) : 0;
}

int Network::program_of(int whole, int last, std::int64_t count) const {
  for (const int program : {whole, last})
    if (program >= 0 && samples_of(program) == count) return program;
  fail("no program was planned for a batch of this size", __FILE__, __LINE__);
}

void Network::load(const Batch& batch) {
  copy_bytes(batch.images, images_);
  copy_bytes(batch.rows.empty() ? std::as_bytes(batch.labels) : std::as_bytes(batch.rows), labels_);
}

void Network::set_control(double learning_rate, std::int64_t step) {
  control_[Control::learning_rate] = learning_rate;
  control_[Control::step] = static_cast<double>(step);
  control_[Control::loss_scale] = 1.0;
}

Metrics Network::evaluate(Loader& loader, const std::function<void(const Batch&)>& look) {
  std::ranges::fill(totals_, 0.0);
  loader.start_epoch(0);
  while (const Batch* batch = loader.next()) {
    load(*batch);
    run(eval_program(batch->count));
    if (look) look(*batch);
  }
  return metrics_of(totals_);
}

}  // namespace snug
