#include "snug/trainer.h"
#include "train/training.h"

namespace snug {

DoneEvent train(const Config& config, const TrainOptions& options, Reporter& reporter) {
  return Training(config, options, reporter).run();
}

}  // namespace snug
