// One training run, from its set-up to its last checkpoint. Internal to `train`.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "snug/trainer.h"
#include "train/network.h"
#include "train/run_events.h"
#include "train/run_files.h"
#include "train/setup.h"
#include "train/watch.h"

namespace snug {

class Training {
 public:
  /// Opens, plans and takes the memory. Throws Error for what stands in the way; nothing is written yet.
  /// `setup`: when it is known already. `computer`: what runs it, instead of this processor.
  Training(const Config& config, const TrainOptions& options, Reporter& reporter, std::optional<RunSetup> setup,
           std::optional<Computer> computer = {});
  DoneEvent run();
  /// Completes the folder once the run has ended: what came of the samples, how it ended (see RunStart; empty: as the
  /// state says), and at_end. Throws nothing: what fails is a note.
  void close(std::string_view state);

 private:
  using Clock = std::chrono::steady_clock;

  // Before the first step.
  void read_state();
  void require_same(std::string_view what, std::uint64_t saved, std::uint64_t now) const;
  void make_plan();
  void make_loaders();
  void keep_images();
  void fill_parameters();
  void load_init(const std::filesystem::path& path);
  void open_files();
  void begin_events();

  // The loop. run_steps is false when the run ends before the epoch does.
  [[nodiscard]] bool run_steps();
  void issue_step();
  [[nodiscard]] std::int64_t run_program(int program);
  void end_epoch();
  [[nodiscard]] EvalResult evaluate();
  void keep_evaluation() const;
  [[nodiscard]] RunStart run_start() const;
  void look_at_loss();
  void report_step(double loss, double learning_rate);
  void report_progress(double loss);
  void follow(const EpochEvent& epoch);
  void tell_waiting();
  [[nodiscard]] bool may_skip();
  void tell_scale(EpochEvent& epoch);
  void begin_watch();
  void tell(std::vector<Diagnostic> findings);

  [[nodiscard]] std::string lower_rate() const;
  [[nodiscard]] std::int64_t total_steps() const { return steps_per_epoch_ * config_.train.epochs; }
  [[nodiscard]] bool stop_asked() const { return options_.stop != nullptr && options_.stop->load(); }
  /// Whether another step may follow those that are on their way.
  [[nodiscard]] bool may_issue(std::int64_t end) const;
  [[nodiscard]] double rate_of(std::int64_t step) const;
  void add_seconds(Clock::time_point since);
  [[nodiscard]] bool stopped_early() const;

  // Results.
  void emit(const TrainEvent& event);
  void save();
  [[nodiscard]] RunFiles::Weights weights() { return {setup_.graph, *network_, buffer_}; }
  [[nodiscard]] CheckpointInfo checkpoint_info() const;
  [[nodiscard]] DoneEvent done_event(bool interrupted) const;
  [[noreturn]] void fail_diverged(Diagnostic finding);
  [[nodiscard]] Diagnostic divergence(double loss);

  const Config& config_;
  const TrainOptions& options_;
  Reporter& reporter_;
  Computer computer_;
  RunSetup setup_;
  RunChoice choice_;
  std::optional<StateFile> saved_;
  std::unique_ptr<Backend> backend_;
  Plan plan_;
  std::unique_ptr<Network> network_;
  std::unique_ptr<Loader> train_loader_, val_loader_;
  std::unique_ptr<TrainingWatch> watch_;
  std::vector<Diagnostic> notes_;  ///< of --init
  std::unique_ptr<RunFiles> files_;
  std::unique_ptr<RunEvents> events_;
  std::vector<float> buffer_;
  EvalResult evaluation_;       ///< of the validation data after the last epoch
  EvalResult best_evaluation_;  ///< and after the best of this process
  TrainState state_;
  std::int64_t steps_per_epoch_ = 0;
  std::int64_t passes_batches_ = 0;  ///< batches in one pass over the data
  std::int64_t saved_step_ = -1, saved_epoch_ = -1;
  std::int64_t issued_ = 0;              ///< steps; those behind state_.step are on their way
  std::array<int, 2> programs_{-1, -1};  ///< of even and of odd steps, the last of each
  std::int64_t steps_here_ = 0, samples_here_ = 0, step_allocations_ = 0;
  double seconds_here_ = 0;
  double waited_before_ = 0;  ///< for data, in passes before this one
  bool told_waiting_ = false, told_skipping_ = false;
  Clock::time_point began_ = Clock::now();
  std::optional<Clock::time_point> step_event_, progress_event_;
};

}  // namespace snug
