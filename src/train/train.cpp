#include "snug/trainer.h"
#include "train/training.h"

namespace snug {

DoneEvent train(const Config& config, const TrainOptions& options, Reporter& reporter) {
  return Training(config, options, reporter, {}).run();
}

DoneEvent train(const Config& config, const TrainOptions& options, Reporter& reporter, RunSetup setup,
                std::optional<Computer> computer) {
  return Training(config, options, reporter, std::move(setup), std::move(computer)).run();
}

}  // namespace snug
