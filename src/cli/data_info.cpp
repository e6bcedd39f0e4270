#include "cli/command.h"
#include "cli/common.h"
#include "cli/target.h"
#include "data/info.h"
#include "report/reports.h"

namespace snug {

namespace {

int run(const Arguments& arguments) {
  require_device(arguments);
  (void)thread_count(arguments);  // taken as every command takes it; the disk sets the pace
  const Config config = read_config(arguments.positional()[0], arguments);
  if (!config.data.train) {
    throw Error({.code = "C914",
                 .where = to_string(config.where("data")),
                 .what = "the config names no training data",
                 .fix = "train = { synthetic = \"shapes\", count = 4000 }"});
  }
  const auto data = open_source(*config.data.train, config.data, config.model.input, config.train.seed);
  const DataSummary summary = summarize(*data);
  print_result(arguments, to_json(summary), to_text(summary));
  return 0;
}

}  // namespace

Command data_info_command() {
  return {.name = "data info",
          .arguments = "CONFIG",
          .summary = "size, value range, mean, deviation and classes of the training data",
          .example = "snug data info configs/quickstart.toml",
          .least_arguments = 1,
          .most_arguments = 1,
          .options = {kSetOption, kDataRootOption, kDeviceOption, kThreadsOption},
          .run = run};
}

}  // namespace snug
