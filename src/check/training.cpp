// T: settings of the training run that contradict each other, the data or the machine.
#include <algorithm>

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

/// Rates that no network of ordinary scale bears: a slip of the keyboard rather than a choice.
void check_rate(const Config& config, Findings& findings) {
  const bool sgd = config.train.optimizer.kind == OptimizerKind::sgd;
  const double most = sgd ? 10 : 0.1;
  const auto look = [&](std::string_view key, double rate) {
    if (rate <= most) return;
    const std::string_view name = key.substr(key.rfind('.') + 1);
    findings.push_back(finding("T111", config.where(key),
                               fmt::format("{} = {:.4g} is far above what {} bears: rates are mostly below {}", name,
                                           rate, sgd ? "sgd" : "adam", sgd ? 1.0 : 0.01),
                               fmt::format("{} = {}", name, sane_rate(config.train.optimizer.kind, rate)),
                               Severity::warning));
  };
  look("train.optimizer.lr", config.train.optimizer.lr);
  if (config.train.schedule.kind == ScheduleKind::onecycle) look("train.schedule.max_lr", config.train.schedule.max_lr);
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

/// BatchNorm in training needs more than one value a channel.
void check_batch_norm(const Config& config, const Graph& graph, Findings& findings) {
  const TrainConfig& train = config.train;
  const bool single = train.batch.kind == BatchChoice::Kind::number && train.batch.number / train.accumulate <= 1;
  if (!single || train.freeze_stats) return;
  for (const Node& node : graph.nodes) {
    if (node.op != NodeOp::batchnorm || node.output.elements() > node.output.back()) continue;
    const Layer& layer = graph.layers[node.layer.index()];
    findings.push_back(
        finding("A201", layer.where,
                layer_text(layer.path, fmt::format("BatchNorm on {} with {} sample at a time has one value "
                                                   "per channel, and no variance",
                                                   to_string(node.output), 1)),
                fmt::format("batch = {}", std::max<std::int64_t>(2 * train.accumulate, 16))));
    return;
  }
}

}  // namespace

void check_training(const Config& config, const Graph& graph, const Processor& processor, Findings& findings) {
  check_schedule(config, findings);
  check_rate(config, findings);
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

void check_samples(const Config& config, const Splits& splits, Findings& findings) {
  const BatchChoice& batch = config.train.batch;
  if (!splits.train || batch.kind != BatchChoice::Kind::number) return;
  const std::int64_t samples = splits.train->info().samples;
  if (samples == 0 || batch.number <= samples) return;
  const bool no_step = config.data.drop_last;
  findings.push_back(
      finding("T108", config.where("train.batch"),
              fmt::format("batch = {} is larger than the training data of {} samples{}", format_count(batch.number),
                          format_count(samples), no_step ? ", and drop_last leaves no batch at all" : ""),
              fmt::format("batch = {}", std::max<std::int64_t>(1, samples / 10)),
              no_step ? Severity::error : Severity::warning));
}

}  // namespace snug
