// A planned network in its memory: batches go in, programs run, statistics and outputs come out.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "data/loader.h"
#include "lowering/lowering.h"
#include "planner/planner.h"
#include "runtime/runtime.h"
#include "train/metrics.h"
#include "train/parameters.h"

namespace snug {

class Network final : public TensorStore {
 public:
  /// Makes the arenas of `plan` (which must outlive it) and fills in the input's scaling and the class weights.
  Network(const Plan& plan, const InputScaling& scaling, const TrainConfig& train, const RuntimeOptions& options = {});

  // Parameters and their state.
  [[nodiscard]] std::int64_t elements(std::string_view name) const override;
  [[nodiscard]] std::span<const float> read(std::string_view name) override;
  void write(std::string_view name, std::span<const float> values) override;

  /// Samples of the whole programs; that of the last partial batch where there is no whole one; 0 without any.
  [[nodiscard]] std::int64_t train_batch() const { return batch_of(plan_.train, plan_.train_last); }
  [[nodiscard]] std::int64_t eval_batch() const { return batch_of(plan_.eval, plan_.eval_last); }
  [[nodiscard]] int train_program(std::int64_t count) const { return program_of(plan_.train, plan_.train_last, count); }
  [[nodiscard]] int eval_program(std::int64_t count) const { return program_of(plan_.eval, plan_.eval_last, count); }

  /// Samples whose images stay on the device, for training to gather its batches from; 0: batches bring theirs.
  [[nodiscard]] std::int64_t kept_samples() const;
  /// Copies images of the samples from `first` on to where they stay. Waits.
  void keep(std::int64_t first, std::span<const std::byte> images);
  /// Copies images, or the places of kept ones, and labels to where the programs read them. Allocates nothing.
  void load(const Batch& batch);
  void set_control(double learning_rate, std::int64_t step);
  void run(int program);
  [[nodiscard]] bool settled(int program) const { return runtime_.settled(program); }
  /// The same; seconds of each step, by StepId.
  [[nodiscard]] std::vector<double> run_timed(int program) { return runtime_.run_timed(program); }
  /// See Runtime.
  [[nodiscard]] std::vector<double> run_in_a_row(int program, std::size_t times, const std::function<void()>& before) {
    outputs_are_read_ = false;
    return runtime_.run_in_a_row(program, times, before);
  }
  void wait() { runtime_.wait(); }
  [[nodiscard]] std::optional<NotFinite> run_watched(int program) { return runtime_.run_watched(program); }

  /// `run`, with a look at the gradient of each parameter, as soon as it is complete.
  void run_showing_gradients(int program, const Runtime::Look& look);

  [[nodiscard]] std::int64_t arena_bytes() const { return runtime_.arena_bytes(); }
  /// What fp16 keeps of its loss's scale; all zero in other precisions. Reading waits for the runs before.
  using Scaling = std::array<double, LossScale::count>;
  [[nodiscard]] Scaling scaling();
  void set_scaling(const Scaling& scaling);
  using Stats = std::array<double, TrainStats::count>;
  /// Runs that may be on their way before the first of them is looked at.
  [[nodiscard]] int lag() const { return on_device_ ? 1 : 0; }
  /// Asks for the statistics of the last run, without waiting for it; `take_stats` does, in the order of the runs.
  void post_stats() { runtime_.post(exchange::kStats); }
  [[nodiscard]] Stats take_stats();
  /// The batch of the run before the last goes in again.
  void load_previous() { runtime_.rewrite_previous_inputs(); }
  /// Since they were last set.
  [[nodiscard]] Stats totals();
  void set_totals(const Stats& totals);
  /// Logits of the last evaluation: [batch, outputs].
  [[nodiscard]] std::span<const float> outputs();

  /// Runs every batch of the loader through the evaluation programs; `look` sees each batch once its outputs are there.
  Metrics evaluate(Loader& loader, const std::function<void(const Batch&)>& look = {});

 private:
  [[nodiscard]] std::int64_t samples_of(int program) const;
  [[nodiscard]] std::int64_t batch_of(int whole, int last) const;
  [[nodiscard]] int program_of(int whole, int last, std::int64_t count) const;

  const Plan& plan_;
  Runtime runtime_;
  bool on_device_ = false;
  bool outputs_are_read_ = false;
  std::vector<float> outputs_;
  std::vector<float> copy_;  ///< of a tensor on a device, the last that was read
};

}  // namespace snug
