// A planned network, ready to be timed: what `bench model`, `bench op` and `tune` run.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "backend/backend.h"
#include "base/dtype.h"
#include "data/loader.h"
#include "report/bench.h"
#include "snug/config.h"
#include "train/setup.h"

namespace snug {

class Network;

struct BenchNetworkOptions {
  int threads = 0;
  std::optional<Computer> computer{};                       ///< absent: this processor
  std::optional<std::size_t> gpu{};                         ///< cuda:N whose energy counts
  std::int64_t batch = 0;                                   ///< instead of the config's, when not 0
  std::optional<DeviceMemory> memory{};                     ///< to plan for; absent: as it is now
  bool alone = false;                                       ///< no remedies where it does not fit
  std::function<void(std::int64_t bytes)> before_memory{};  ///< told what the plan takes before it is taken
  const std::atomic<bool>* stop = nullptr;                  ///< once it is set, measuring ends after the step
};

class BenchNetwork {
 public:
  /// Plans and initialises; images and labels are random. Throws Error when it does not fit.
  BenchNetwork(const Config& config, const RunSetup& setup, const BenchNetworkOptions& options);
  ~BenchNetwork();
  BenchNetwork(const BenchNetwork&) = delete;
  BenchNetwork& operator=(const BenchNetwork&) = delete;

  /// One training step, waited for; its seconds.
  double step();
  /// Steps one behind the other as a training has them; the seconds of each.
  std::vector<double> steps(std::size_t count);
  /// How many steps of the last one's length fill that time: so many are measured together, for a device is kept busy.
  [[nodiscard]] std::size_t steps_at_a_time(double for_seconds) const;
  /// What the process holds: of the device's memory where one computes.
  [[nodiscard]] std::int64_t measured_bytes() const;
  [[nodiscard]] std::int64_t planned_bytes() const;
  /// See energy_joules.
  [[nodiscard]] std::optional<double> joules() const;
  /// The same on a batch of the loader, with what it takes to bring it there.
  void step_on(const Batch& batch);
  /// The same with every step of the program timed: seconds by StepId.
  std::vector<double> step_timed();
  /// Steps until two in a row take alike; at most some seconds of them. Returns the seconds of the first.
  double warm_up();

  [[nodiscard]] const Program& program() const { return plan_.programs[static_cast<std::size_t>(plan_.train)].program; }
  [[nodiscard]] const PlanReport& plan() const { return plan_.report; }
  [[nodiscard]] bool stopped() const { return stop_ != nullptr && stop_->load(); }
  [[nodiscard]] std::int64_t arena_bytes() const;
  /// What the device can do at best. Measured last: on a GPU no step follows.
  [[nodiscard]] DeviceLimits limits();
  /// Of activations.
  [[nodiscard]] DType dtype() const;
  [[nodiscard]] const StartUp& start_up() const { return start_; }
  /// Everything that is known without a step.
  [[nodiscard]] BenchReport described() const;

 private:
  void set_rate();

  const Config& config_;
  int threads_;
  std::optional<std::size_t> gpu_;
  const std::atomic<bool>* stop_;
  Computer computer_;
  std::unique_ptr<Backend> backend_;
  Plan plan_;
  std::unique_ptr<Network> network_;
  StartUp start_;
  std::int64_t steps_ = 0;
  double last_seconds_ = 0;  ///< of a step
};

/// Times `steps` training steps after some that are not counted, and between them, in turn, every step of the program.
/// Ends early, with what there is, once the network is stopped.
[[nodiscard]] BenchReport measure_steps(BenchNetwork& network, std::int64_t steps);

/// The same for the steps of layers at or below `layer` alone: their sum, round by round.
[[nodiscard]] BenchReport measure_layer(BenchNetwork& network, std::string_view layer, std::int64_t rounds);

/// Answers numbers of steps on standard input, one a line, with a line of JSON each, until the input ends. The first
/// line of output, {"ready":true,…}, says that the network is there. This is how programs take turns on one machine.
/// Throws Error C… on a line that is no number of steps.
void take_turns(BenchNetwork& network);

}  // namespace snug
