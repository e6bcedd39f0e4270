#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "snug/trainer.h"
#include "train/evaluation.h"
#include "train/inference.h"
#include "train/metrics.h"
#include "train/outcomes.h"
#include "train/setup.h"

namespace snug {

namespace {

/// The split, opened without the others where that is possible.
std::shared_ptr<const Dataset> open_split(const Config& config, const std::string& split,
                                          const std::vector<std::string>& classes) {
  const DataConfig& data = config.data;
  const auto open = [&](const std::optional<DataSource>& source) -> std::shared_ptr<const Dataset> {
    return source ? open_source(*source, data, config.model.input, config.train.seed, classes) : nullptr;
  };
  std::shared_ptr<const Dataset> opened;
  if (split == "test") {
    opened = open(data.test);
  } else if (data.val_split > 0) {
    Splits splits = open_data(data, config.model.input, config.train.seed);
    opened = split == "val" ? splits.val : splits.train;
  } else if (split == "val" || split == "train") {
    opened = open(split == "val" ? data.val : data.train);
  } else {
    throw Error(Diagnostic{.code = "C613",
                           .where = "--split",
                           .what = fmt::format("there is no split {}", split.substr(0, 60)),
                           .fix = "--split val (or train, test)"});
  }
  if (opened == nullptr)
    throw Error(Diagnostic{.code = "C613",
                           .where = "--split",
                           .what = fmt::format("the config names no data.{}", split),
                           .fix = "--split with one that it names, or --config with another config"});
  return opened;
}

std::int64_t choose_batch(const EvalOptions& options, const Config& config, const CheckpointInfo& info,
                          std::int64_t samples) {
  std::int64_t batch = options.batch;
  if (batch == 0 && options.config && config.train.batch.kind == BatchChoice::Kind::number)
    batch = config.train.batch.number;
  if (batch == 0) batch = info.batch;
  return std::clamp<std::int64_t>(batch, 1, samples);
}

}  // namespace

Evaluation evaluate_split(const std::filesystem::path& path, const EvalOptions& options,
                          const std::optional<Computer>& computer) {
  const Checkpoint checkpoint = open_checkpoint(path);
  Evaluation done;
  done.checkpoint = checkpoint.path;
  done.config = options.config ? *options.config : checkpoint_config(checkpoint.info, checkpoint.path, options.changes);
  Config& config = done.config;
  config.train.class_weights.clear();  // the loss is without them
  const Graph graph = checked_graph(config);
  const std::int64_t outputs = output_count(graph, config.train.loss);
  done.data = open_split(config, options.split, checkpoint.info.classes);
  const std::int64_t samples = done.data->info().samples;
  std::vector<Diagnostic> findings;
  check_images(*done.data, config, options.split, findings);
  check_labels(*done.data, config, outputs, findings);
  if (has_errors(findings)) throw Error(std::move(findings));
  check_scale(checkpoint.info, done.data->info(), done.data->where(0));

  const std::int64_t batch = choose_batch(options, config, checkpoint.info, samples);
  std::vector<std::int64_t> batches{batch};
  if (const std::int64_t rest = samples % batch; rest > 0) batches.push_back(rest);
  Inference inference(checkpoint, config, graph, batches, true, computer.value_or(this_computer(options.threads)));
  Loader loader(done.data, eval_loader_options(config, batch, label_row_width(config.train.loss, outputs)));
  Outcomes outcomes({.loss = config.train.loss,
                     .outputs = outputs,
                     .classes = checkpoint.info.classes,
                     .samples = samples,
                     .most_outcomes = options.outcomes ? samples : 0});
  Network& network = inference.network();
  const Metrics metrics = network.evaluate(loader, [&](const Batch& b) { outcomes.add(b, network.outputs()); });
  done.result = outcomes.take_result(metrics);
  done.classes = outcomes.classes();
  done.epoch = checkpoint.info.epoch;
  return done;
}

EvalResult evaluate(const std::filesystem::path& path, const EvalOptions& options) {
  return evaluate_split(path, options).result;
}

}  // namespace snug
