#include <optional>
#include <utility>

#include "snug/trainer.h"
#include "train/training.h"

namespace snug {

namespace {

constexpr int kDiverged = 6;  // exit_code of N

/// However the run ends, its folder says how.
DoneEvent run_and_close(Training training) {
  try {
    DoneEvent done = training.run();
    training.close({});
    return done;
  } catch (const Error& error) {
    training.close(exit_code(error.findings()) == kDiverged ? "diverged" : "failed");
    throw;
  } catch (...) {
    training.close("failed");
    throw;
  }
}

}  // namespace

DoneEvent train(const Config& config, const TrainOptions& options, Reporter& reporter) {
  return run_and_close(Training(config, options, reporter, {}));
}

DoneEvent train(const Config& config, const TrainOptions& options, Reporter& reporter, RunSetup setup,
                std::optional<Computer> computer) {
  return run_and_close(Training(config, options, reporter, std::move(setup), std::move(computer)));
}

}  // namespace snug
