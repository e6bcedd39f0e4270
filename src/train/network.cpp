#include "train/network.h"

#include <algorithm>
#include <utility>

#include "base/ensure.h"
#include "lowering/lowering.h"

namespace snug {

namespace {

void fill_floats(Runtime& runtime, std::string_view name, const std::vector<double>& values) {
  const TensorInfo* info = runtime.find(name);
  if (info == nullptr) return;
  ensure(info->dtype == DType::f32, "scaling and class weights are floats");
  ensure(info->shape.elements() == std::ssize(values), "one value per channel, one weight per class");
  std::vector<float> floats(values.size());
  std::ranges::transform(values, floats.begin(), [](double value) { return static_cast<float>(value); });
  runtime.write(name, std::as_bytes(std::span(floats)));
}

}  // namespace

Network::Network(const Plan& plan, const InputScaling& scaling, const TrainConfig& train, const RuntimeOptions& options)
    : plan_(plan), runtime_(plan, options), on_device_(options.device != nullptr) {
  fill_floats(runtime_, exchange::kMean, scaling.mean);
  fill_floats(runtime_, exchange::kInverseStd, scaling.inverse_std);
  fill_floats(runtime_, exchange::kClassWeights, train.class_weights);
  set_scaling({train.loss_scale});
  outputs_.resize(static_cast<std::size_t>(elements(exchange::kOutputs)));
}

std::int64_t Network::elements(std::string_view name) const {
  return runtime_.size_bytes(name) / size_bytes(DType::f32);
}

std::span<const float> Network::read(std::string_view name) {
  if (!on_device_) return runtime_.values<float>(name);
  copy_.resize(static_cast<std::size_t>(elements(name)));
  runtime_.read(name, std::as_writable_bytes(std::span(copy_)));
  return copy_;
}

void Network::write(std::string_view name, std::span<const float> values) {
  runtime_.write(name, std::as_bytes(values));
}

std::int64_t Network::samples_of(int program) const {
  const Program& p = plan_.programs[static_cast<std::size_t>(program)].program;
  const TensorId images = p.find(exchange::kImages);
  return p[images.valid() ? images : p.find(exchange::kPlaces)].shape[0];
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

std::int64_t Network::kept_samples() const {
  const TensorInfo* images = runtime_.find(exchange::kKeptImages);
  return images != nullptr ? images->shape[0] : 0;
}

void Network::keep(std::int64_t first, std::span<const std::byte> images) {
  const std::int64_t image_bytes = runtime_.size_bytes(exchange::kKeptImages) / kept_samples();
  runtime_.write(exchange::kKeptImages, images, first * image_bytes);
}

void Network::load(const Batch& batch) {
  if (batch.places.empty()) {
    runtime_.write(exchange::kImages, batch.images);
  } else {
    runtime_.write(exchange::kPlaces, std::as_bytes(batch.places));
  }
  const auto labels = batch.rows.empty() ? std::as_bytes(batch.labels) : std::as_bytes(batch.rows);
  if (!labels.empty()) runtime_.write(exchange::kLabels, labels);
}

void Network::set_control(double learning_rate, std::int64_t step) {
  std::array<double, Control::count> control{};
  control[Control::learning_rate] = learning_rate;
  control[Control::step] = static_cast<double>(step);
  runtime_.write(exchange::kControl, std::as_bytes(std::span(control)));
}

void Network::run(int program) {
  outputs_are_read_ = false;
  runtime_.run(program);
}

void Network::run_showing_gradients(int program, const Runtime::Look& look) {
  outputs_are_read_ = false;
  runtime_.run_showing(program, state_prefix::kGradient, [&](std::string_view name, std::span<const float> values) {
    look(name.substr(state_prefix::kGradient.size()), values);
  });
}

Network::Scaling Network::scaling() {
  Scaling scaling{};
  if (runtime_.find(exchange::kScaling) != nullptr)
    runtime_.read(exchange::kScaling, std::as_writable_bytes(std::span(scaling)));
  return scaling;
}

void Network::set_scaling(const Scaling& scaling) {
  if (runtime_.find(exchange::kScaling) != nullptr)
    runtime_.write(exchange::kScaling, std::as_bytes(std::span(scaling)));
}

Network::Stats Network::take_stats() {
  Stats stats{};
  runtime_.take(std::as_writable_bytes(std::span(stats)));
  return stats;
}

Network::Stats Network::totals() {
  Stats totals{};
  runtime_.read(exchange::kTotals, std::as_writable_bytes(std::span(totals)));
  return totals;
}

void Network::set_totals(const Stats& totals) { runtime_.write(exchange::kTotals, std::as_bytes(std::span(totals))); }

std::span<const float> Network::outputs() {
  if (!std::exchange(outputs_are_read_, true))
    runtime_.read(exchange::kOutputs, std::as_writable_bytes(std::span(outputs_)));
  return outputs_;
}

Metrics Network::evaluate(Loader& loader, const std::function<void(const Batch&)>& look) {
  set_totals({});
  loader.start_epoch(0);
  while (const Batch* batch = loader.next()) {
    load(*batch);
    run(eval_program(batch->count));
    if (look) look(*batch);
  }
  return metrics_of(totals());
}

}  // namespace snug
