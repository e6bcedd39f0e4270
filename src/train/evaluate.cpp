#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "snug/trainer.h"
#include "train/inference.h"
#include "train/metrics.h"
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

/// What is counted beside the sums of the loss steps: a confusion matrix where an image has one class, hits of each
/// output where it has several, nothing for mse.
class Outcome {
 public:
  Outcome(Loss loss, std::int64_t outputs, const CheckpointInfo& info)
      : loss_(loss),
        outputs_(outputs),
        names_(class_names(info, loss == Loss::binary_crossentropy && outputs == 1 ? 2 : outputs)),
        confusion_(loss == Loss::mse || has_several() ? std::vector<std::string>() : names_),
        several_(has_several() ? names_.size() : 0) {}

  void add(const Batch& batch, std::span<const float> logits) {
    if (loss_ == Loss::mse) return;
    const auto width = static_cast<std::size_t>(outputs_);
    for (std::size_t i = 0; i < static_cast<std::size_t>(batch.count); ++i) {
      const std::span<const float> row = logits.subspan(i * width, width);
      if (batch.rows.empty())
        confusion_.add(batch.labels[i], arg_max(row));
      else
        add_row(batch.rows.subspan(i * width, width), row);
    }
  }

  void finish(EvalResult& result) const {
    result.confusion = confusion_.counts();
    result.per_class = confusion_.per_class();
    for (std::size_t c = 0; c < several_.size(); ++c) result.per_class.push_back(several_[c].metrics(names_[c]));
  }

 private:
  /// One of several yes-or-no outputs.
  struct Counts {
    std::int64_t there = 0, predicted = 0, hits = 0;
    [[nodiscard]] ClassMetrics metrics(const std::string& name) const {
      const auto share = [](std::int64_t part, std::int64_t whole) {
        return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0.0;
      };
      return {.name = name,
              .precision = share(hits, predicted),
              .recall = share(hits, there),
              .f1 = share(2 * hits, there + predicted),
              .support = there};
    }
  };

  static std::int64_t arg_max(std::span<const float> row) { return std::ranges::max_element(row) - row.begin(); }

  void add_row(std::span<const float> truth, std::span<const float> logits) {
    if (loss_ == Loss::categorical_crossentropy) return confusion_.add(arg_max(truth), arg_max(logits));
    if (!has_several()) return confusion_.add(truth[0] > 0.5F ? 1 : 0, logits[0] > 0.0F ? 1 : 0);
    for (std::size_t c = 0; c < several_.size(); ++c) {
      const bool there = truth[c] > 0.5F;
      const bool predicted = logits[c] > 0.0F;
      several_[c].there += there ? 1 : 0;
      several_[c].predicted += predicted ? 1 : 0;
      several_[c].hits += there && predicted ? 1 : 0;
    }
  }

  [[nodiscard]] bool has_several() const { return loss_ == Loss::binary_crossentropy && outputs_ > 1; }

  Loss loss_;
  std::int64_t outputs_;
  std::vector<std::string> names_;
  Confusion confusion_;
  std::vector<Counts> several_;
};

std::int64_t choose_batch(const EvalOptions& options, const Config& config, const CheckpointInfo& info,
                          std::int64_t samples) {
  std::int64_t batch = options.batch;
  if (batch == 0 && options.config && config.train.batch.kind == BatchChoice::Kind::number)
    batch = config.train.batch.number;
  if (batch == 0) batch = info.batch;
  return std::clamp<std::int64_t>(batch, 1, samples);
}

}  // namespace

EvalResult evaluate(const std::filesystem::path& path, const EvalOptions& options) {
  const Checkpoint checkpoint = open_checkpoint(path);
  Config config =
      options.config ? *options.config : checkpoint_config(checkpoint.info, checkpoint.path, options.changes);
  config.train.class_weights.clear();  // the loss is without them
  const Graph graph = checked_graph(config);
  const std::int64_t outputs = output_count(graph, config.train.loss);
  const std::shared_ptr<const Dataset> data = open_split(config, options.split, checkpoint.info.classes);
  std::vector<Diagnostic> findings;
  check_images(*data, config, options.split, findings);
  check_labels(*data, config, outputs, findings);
  if (has_errors(findings)) throw Error(std::move(findings));
  check_scale(checkpoint.info, data->info(), data->where(0));

  const std::int64_t batch = choose_batch(options, config, checkpoint.info, data->info().samples);
  std::vector<std::int64_t> batches{batch};
  if (const std::int64_t rest = data->info().samples % batch; rest > 0) batches.push_back(rest);
  Inference inference(checkpoint, config, graph, batches, true, options.threads);
  Loader loader(data, eval_loader_options(config, batch, label_row_width(config.train.loss, outputs)));
  Outcome outcome(config.train.loss, outputs, checkpoint.info);
  Network& network = inference.network();
  const Metrics metrics = network.evaluate(loader, [&](const Batch& b) { outcome.add(b, network.outputs()); });
  EvalResult result{.loss = metrics.loss,
                    .accuracy = metrics.accuracy,
                    .top5_accuracy = metrics.top5_accuracy,
                    .samples = metrics.samples};
  outcome.finish(result);
  return result;
}

}  // namespace snug
