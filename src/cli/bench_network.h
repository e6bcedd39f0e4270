// A planned network on random images, ready to be timed: what `bench model` runs.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "backend/backend.h"
#include "base/dtype.h"
#include "report/reports.h"
#include "snug/config.h"
#include "train/setup.h"

namespace snug {

class Network;

class BenchNetwork {
 public:
  /// Plans and initialises; images and labels are random. Throws Error when it does not fit.
  BenchNetwork(const Config& config, const RunSetup& setup, int threads);
  ~BenchNetwork();
  BenchNetwork(const BenchNetwork&) = delete;
  BenchNetwork& operator=(const BenchNetwork&) = delete;

  /// One training step; its seconds.
  double step();
  /// The same with every step of the program timed: seconds by StepId.
  std::vector<double> step_timed();

  [[nodiscard]] const Program& program() const { return plan_.programs[static_cast<std::size_t>(plan_.train)].program; }
  [[nodiscard]] Backend& backend() { return *backend_; }
  /// Of activations.
  [[nodiscard]] DType dtype() const;
  /// Everything that is known without a step.
  [[nodiscard]] BenchReport described() const;

 private:
  void set_rate();

  const Config& config_;
  int threads_;
  std::unique_ptr<Backend> backend_;
  Plan plan_;
  std::unique_ptr<Network> network_;
  std::int64_t steps_ = 0;
};

/// Times `steps` training steps after some that are not counted, then every step of the program.
[[nodiscard]] BenchReport measure_steps(BenchNetwork& network, std::int64_t steps);

/// Answers numbers of steps on standard input, one a line, with a line of JSON each, until the input ends. The first
/// line of output, {"ready":true,…}, says that the network is there. This is how programs take turns on one machine.
/// Throws Error C… on a line that is no number of steps.
void take_turns(BenchNetwork& network);

}  // namespace snug
