// T: settings of the training run that contradict each other, the data or the machine.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/text.h"
#include "check/families.h"
#include "config/precision.h"
#include "config/rates.h"

namespace snug {

namespace {

void check_schedule(const Config& config, Findings& findings) {
  const double warmup = config.train.schedule.warmup_epochs;
  const auto epochs = static_cast<double>(config.train.epochs);
  if (warmup == 0 || warmup < epochs) return;
  findings.push_back(finding(
      "T101", config.where("train.schedule.warmup_epochs"),
      fmt::format("warmup_epochs = {} of {} epochs: the run ends before the warm-up does", warmup, config.train.epochs),
      fmt::format("warmup_epochs = {:.2g}", epochs * 0.1)));
}

void check_precision(const Config& config, const Processor& processor, Findings& findings) {
  const Position where = config.where("train.precision");
  const Precision precision = config.train.precision;
  if (const auto why = cannot_compute(precision, processor)) {
    findings.push_back(finding("T102", where, *why, computable_instead(precision, processor)));
  } else if (precision == Precision::tf32 && !processor.gpu) {
    findings.push_back(
        finding("T103", where, "precision = \"tf32\" runs as fp32 on the CPU", "precision = \"fp32\"", Severity::note));
  }
}

/// Rates outside of what any published recipe uses: a slip of the keyboard rather than a choice.
struct RateRange {
  double least = 0, most = 0;
};
RateRange rates_of(const TrainConfig& train) {
  if (train.optimizer.kind != OptimizerKind::sgd) return {1e-7, 0.05};
  // Large batches are trained with rates in proportion; momentum m makes a rate count 1 / (1 - m) times.
  const double batch = train.batch.kind == BatchChoice::Kind::number ? static_cast<double>(train.batch.number) : 512;
  const double most = 20 * std::max(1.0, batch / 512) * (1 - train.optimizer.momentum);
  return {1e-5 * (1 - train.optimizer.momentum), std::min(most, 10.0)};
}

/// A schedule of steps that go up.
void check_steps(const Config& config, Findings& findings) {
  const TrainConfig& train = config.train;
  if (train.schedule.kind != ScheduleKind::step || train.schedule.factor <= 1) return;
  const double steps = std::ceil(static_cast<double>(train.epochs) / train.schedule.every_epochs) - 1;
  const double last = train.optimizer.lr * std::pow(train.schedule.factor, std::max(0.0, steps));
  if (last <= rates_of(train).most) return;
  findings.push_back(finding("T111", config.where("train.schedule.factor"),
                             fmt::format("factor = {} takes the rate from {:.4g} to {:.4g} in {} epochs: steps are to "
                                         "lower it",
                                         train.schedule.factor, train.optimizer.lr, last, train.epochs),
                             "factor = 0.1", Severity::warning));
}

void check_rate(const Config& config, Findings& findings) {
  const TrainConfig& train = config.train;
  const RateRange range = rates_of(train);
  const std::string_view optimizer = train.optimizer.kind == OptimizerKind::sgd ? "sgd" : "adam";
  const auto [key, rate] = peak_rate(train);
  const std::string_view name = key.substr(key.rfind('.') + 1);
  if (rate > range.most * (1 + 1e-9)) {
    findings.push_back(finding("T111", config.where(key),
                               fmt::format("{} = {:.4g} is far above what {} bears: rates are mostly below {:.2g} here",
                                           name, rate, optimizer, range.most / 4),
                               fmt::format("{} = {}", name, sane_rate(train.optimizer.kind, rate)), Severity::warning));
  } else if (rate < range.least) {
    findings.push_back(finding(
        "T112", config.where(key),
        fmt::format("{} = {:.4g} moves nothing: {} is used with 1,000 times that and more", name, rate, optimizer),
        fmt::format("{} = {}", name, train.optimizer.kind == OptimizerKind::sgd ? 0.05 : 0.001), Severity::warning));
  }
}

/// Decay that takes more than a hundredth of every weight in each step.
void check_decay(const Config& config, Findings& findings) {
  const OptimizerConfig& optimizer = config.train.optimizer;
  constexpr double kMostAStep = 0.01;
  // Adam divides what is added to the gradient by its size: only adamw and sgd shrink by lr * weight_decay.
  const double shrink = optimizer.lr * optimizer.weight_decay / (1 - (optimizer.momentum < 1 ? optimizer.momentum : 0));
  if (optimizer.kind == OptimizerKind::adam ? optimizer.weight_decay < 0.1 : shrink <= kMostAStep) return;
  findings.push_back(finding(
      "T115", config.where("train.optimizer.weight_decay"),
      fmt::format("weight_decay = {} with lr = {} outweighs the gradients: {:.2g} of each weight "
                  "goes every step",
                  optimizer.weight_decay, optimizer.lr, shrink),
      fmt::format("weight_decay = {}", optimizer.kind == OptimizerKind::adamw ? "0.05" : "5e-4"), Severity::warning));
}

void check_regularisers(const Config& config, Findings& findings) {
  const TrainConfig& train = config.train;
  if (train.label_smoothing >= 0.5) {
    findings.push_back(finding(
        "T117", config.where("train.label_smoothing"),
        fmt::format("label_smoothing = {} leaves the right class less than half of its weight", train.label_smoothing),
        "label_smoothing = 0.1", Severity::warning));
  }
  if (train.clip_norm > 0 && train.clip_norm < 1e-3) {
    findings.push_back(
        finding("T119", config.where("train.clip_norm"),
                fmt::format("clip_norm = {} cuts every gradient down to almost nothing; norms are mostly "
                            "0.1 to 10",
                            train.clip_norm),
                "clip_norm = 1.0", Severity::warning));
  }
  const ScheduleConfig& schedule = train.schedule;
  if (schedule.kind == ScheduleKind::step && schedule.every_epochs >= static_cast<double>(train.epochs)) {
    findings.push_back(finding(
        "T113", config.where("train.schedule.every_epochs"),
        fmt::format("every_epochs = {} in {} epochs: the rate never steps", schedule.every_epochs, train.epochs),
        fmt::format("every_epochs = {}", std::max(1.0, std::floor(static_cast<double>(train.epochs) / 3))),
        Severity::note));
  }
}

void check_accumulate(const Config& config, Findings& findings) {
  const TrainConfig& train = config.train;
  if (train.batch.kind != BatchChoice::Kind::number || train.batch.number % train.accumulate == 0) return;
  std::int64_t divisor = std::min(train.accumulate, train.batch.number);
  while (train.batch.number % divisor != 0) --divisor;
  findings.push_back(finding("T104", config.where("train.accumulate"),
                             fmt::format("accumulate = {} does not divide batch = {}: its parts are of unequal size",
                                         train.accumulate, train.batch.number),
                             fmt::format("accumulate = {}", divisor), Severity::warning));
}

void check_early_stopping(const Config& config, Findings& findings) {
  if (!config.train.early_stopping) return;
  const EarlyStopping& stopping = *config.train.early_stopping;
  const bool validates = config.data.val || config.data.val_split > 0;
  if (stopping.monitor.starts_with("val_") && config.data.train && !validates) {
    findings.push_back(finding("T106", config.where("train.early_stopping.monitor"),
                               fmt::format("early stopping watches {}, and there is no data.val", stopping.monitor),
                               "val_split = 0.1   # in [data]"));
  }
  if (stopping.patience < config.train.epochs) return;
  findings.push_back(finding(
      "T105", config.where("train.early_stopping.patience"),
      fmt::format("patience = {} in {} epochs: the run can never stop early", stopping.patience, config.train.epochs),
      fmt::format("patience = {}", std::max<std::int64_t>(1, config.train.epochs / 4)), Severity::warning));
}

std::string weights_line(std::int64_t count) {
  constexpr std::int64_t kMostWritten = 12;  // more do not fit a line
  std::string line = "class_weights = [";
  for (std::int64_t i = 0; i < std::min(count, kMostWritten); ++i) line += i == 0 ? "1.0" : ", 1.0";
  return line + (count > kMostWritten ? fmt::format(", …]   # {} numbers", count) : "]");
}

void check_class_weights(const Config& config, const Graph& graph, Findings& findings) {
  const std::vector<double>& weights = config.train.class_weights;
  if (weights.empty()) return;
  const Position where = config.where("train.class_weights");
  if (!is_crossentropy(config.train.loss)) {
    findings.push_back(finding(
        "T107", where, fmt::format("class_weights weigh classes, and {} has none", to_string(config.train.loss)),
        "class_weights = []"));
    return;
  }
  const auto ending = ending_of(graph, config.train.loss);
  if (ending && ending->outputs > 1 && ending->outputs != std::ssize(weights)) {
    findings.push_back(
        finding("T107", where,
                fmt::format("class_weights has {} numbers, the network {} outputs", weights.size(), ending->outputs),
                weights_line(ending->outputs)));
  } else if (std::ranges::all_of(weights, [](double weight) { return weight == 0; })) {
    findings.push_back(finding("T107", where, fmt::format("all {} class_weights are 0: nothing counts", weights.size()),
                               weights_line(std::ssize(weights))));
  }
}

void check_freeze(const Config& config, const Graph& graph, Findings& findings) {
  if (config.train.freeze.empty() || !graph.complete) return;
  const Position where = config.where("train.freeze");
  const std::size_t before = findings.size();
  const std::vector<bool> frozen = frozen_nodes(graph, config.train.freeze, where, findings);
  if (findings.size() > before) return;
  for (std::size_t i = 0; i < frozen.size(); ++i) {
    if (!frozen[i] && !graph.nodes[i].parameters.empty()) return;
  }
  findings.push_back(finding(
      "T109", where,
      fmt::format("freeze names all {} layers with parameters: nothing is trained", std::ranges::count(frozen, true)),
      "freeze = [\"backbone\"]"));
}

/// The first BatchNorm that takes one value a channel of a sample; null without any.
const Node* norm_of_one_value(const Graph& graph) {
  const auto found = std::ranges::find_if(graph.nodes, [](const Node& node) {
    return node.op == NodeOp::batchnorm && node.output.elements() <= node.output.back();
  });
  return found == graph.nodes.end() ? nullptr : &*found;
}

/// BatchNorm in training needs more than one value a channel.
void check_batch_norm(const Config& config, const Graph& graph, Findings& findings) {
  const TrainConfig& train = config.train;
  const bool single = train.batch.kind == BatchChoice::Kind::number && train.batch.number / train.accumulate <= 1;
  if (!single || train.freeze_stats) return;
  const Node* norm = norm_of_one_value(graph);
  if (norm == nullptr) return;
  const Layer& layer = graph.layers[norm->layer.index()];
  findings.push_back(finding(
      "A201", layer.where,
      layer_text(layer.path, fmt::format("BatchNorm on {} with 1 sample at a time has one value per channel, and "
                                         "no variance",
                                         to_string(norm->output))),
      fmt::format("batch = {}   # in [train]", std::max<std::int64_t>(2 * train.accumulate, 16))));
}

}  // namespace

void check_training(const Config& config, const Graph& graph, const Processor& processor, Findings& findings) {
  check_schedule(config, findings);
  const std::size_t before = findings.size();
  check_rate(config, findings);
  if (findings.size() == before) check_steps(config, findings);
  check_decay(config, findings);
  check_regularisers(config, findings);
  check_precision(config, processor, findings);
  check_accumulate(config, findings);
  check_early_stopping(config, findings);
  check_class_weights(config, graph, findings);
  check_freeze(config, graph, findings);
  check_batch_norm(config, graph, findings);
  if (config.train.loss == Loss::mse && config.train.label_smoothing > 0) {
    findings.push_back(finding("T110", config.where("train.label_smoothing"),
                               fmt::format("label_smoothing = {} has no effect with mse", config.train.label_smoothing),
                               "label_smoothing = 0.0", Severity::warning));
  }
}

namespace {

std::int64_t steps_of_run(const Config& config, std::int64_t samples) {
  const TrainConfig& train = config.train;
  const std::int64_t batch = train.batch.kind == BatchChoice::Kind::number ? train.batch.number : 128;
  const std::int64_t pass = config.data.drop_last ? samples / batch : (samples + batch - 1) / batch;
  return (train.steps_per_epoch > 0 ? train.steps_per_epoch : pass) * train.epochs;
}

/// Evaluation goes by the average: what it still holds of the first, random weights.
void check_average(const Config& config, std::int64_t samples, Findings& findings) {
  constexpr double kMuch = 0.05;
  constexpr std::int64_t kRealRun = 50;  // steps; a few are a trial
  if (config.train.ema <= 0) return;
  const std::int64_t steps = steps_of_run(config, samples);
  const double left = std::pow(config.train.ema, static_cast<double>(steps));
  if (left < kMuch) return;
  findings.push_back(finding("T118", config.where("train.ema"),
                             fmt::format("ema = {} over {} steps still holds {:.0f} % of the initial weights, and "
                                         "evaluation uses it",
                                         config.train.ema, format_count(steps), 100 * left),
                             fmt::format("ema = {:.3g}", std::max(0.5, 1 - 10.0 / static_cast<double>(steps))),
                             steps >= kRealRun ? Severity::warning : Severity::note));
}

/// The last batch may hold one sample, whose BatchNorm has no variance.
void check_last_batch(const Config& config, const Graph& graph, std::int64_t samples, Findings& findings) {
  const std::int64_t batch = config.train.batch.number;
  if (batch < 2 || samples % batch != 1 || samples <= batch || config.data.drop_last || config.train.freeze_stats) {
    return;
  }
  const Node* norm = norm_of_one_value(graph);
  if (norm == nullptr) return;
  const Layer& layer = graph.layers[norm->layer.index()];
  findings.push_back(finding("A201", layer.where,
                             layer_text(layer.path, fmt::format("{} samples in batches of {} leave one over: BatchNorm "
                                                                "then has one value per channel",
                                                                format_count(samples), batch)),
                             "drop_last = true   # in [data]"));
}

void check_dropped(const Config& config, std::int64_t samples, Findings& findings) {
  constexpr double kMuch = 0.2;
  const std::int64_t batch = config.train.batch.number;
  const double share = static_cast<double>(samples % batch) / static_cast<double>(samples);
  if (!config.data.drop_last || share < kMuch) return;
  findings.push_back(finding("T116", config.where("data.drop_last"),
                             fmt::format("drop_last leaves out {} of {} samples every epoch: batch = {}",
                                         format_count(samples % batch), format_count(samples), batch),
                             "drop_last = false", Severity::warning));
}

}  // namespace

void check_samples(const Config& config, const Splits& splits, const Graph& graph, Findings& findings) {
  if (!splits.train || splits.train->info().samples == 0) return;
  const std::int64_t samples = splits.train->info().samples;
  check_average(config, samples, findings);
  const BatchChoice& batch = config.train.batch;
  if (batch.kind != BatchChoice::Kind::number) return;
  if (batch.number <= samples) {
    check_dropped(config, samples, findings);
    check_last_batch(config, graph, samples, findings);
    return;
  }
  const bool no_step = config.data.drop_last;
  findings.push_back(
      finding("T108", config.where("train.batch"),
              fmt::format("batch = {} is larger than the training data of {} samples{}", format_count(batch.number),
                          format_count(samples), no_step ? ", and drop_last leaves no batch at all" : ""),
              fmt::format("batch = {}", std::max<std::int64_t>(1, samples / 10)),
              no_step ? Severity::error : Severity::warning));
}

}  // namespace snug
