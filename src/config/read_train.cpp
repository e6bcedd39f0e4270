#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "config/sections.h"
#include "config/table_reader.h"

namespace snug::config {

namespace {

/// A key that the chosen method does not use is a warning: it may be left over from another choice.
void warn_unused(const TableReader& reader, std::string_view key, std::string_view method) {
  // Of a faulty key or name enough has been said.
  if (reader.find(key) == nullptr || reader.doubtful("name")) return;
  reader.findings().warning("T012", reader.table().find(key)->where,
                            fmt::format("{} has no effect with \"{}\"", reader.path_of(key), method),
                            fmt::format("leave out {}", key));
}

void read_optimizer(const Value& table, OptimizerConfig& out, Findings& findings) {
  const TableReader reader(table, "optimizer", "train.optimizer", findings);
  reader.read("name", kOptimizerWords, out.kind);
  reader.read("lr", out.lr);
  reader.read("momentum", out.momentum);
  reader.read("nesterov", out.nesterov);
  reader.read("weight_decay", out.weight_decay);
  reader.read("epsilon", out.epsilon);
  if (const Value* betas = reader.find("betas")) {
    out.beta1 = betas->items[0].as_number();
    out.beta2 = betas->items[1].as_number();
  }
  const bool sgd = out.kind == OptimizerKind::sgd;
  const std::string_view method = word_of(kOptimizerWords, out.kind);
  if (sgd) {
    warn_unused(reader, "betas", method);
    warn_unused(reader, "epsilon", method);
  } else {
    warn_unused(reader, "momentum", method);
    warn_unused(reader, "nesterov", method);
  }
  if (sgd && out.nesterov && out.momentum == 0 && !reader.doubtful("momentum")) {
    findings.error("T011", table.find("nesterov")->where, "nesterov needs momentum above 0, and momentum is 0",
                   line_for(table.find("nesterov")->where, "train.optimizer.momentum", "0.9"));
  }
}

void read_schedule(const Value& table, ScheduleConfig& out, Findings& findings) {
  const TableReader reader(table, "schedule", "train.schedule", findings);
  reader.read("name", kScheduleWords, out.kind);
  reader.read("warmup_epochs", out.warmup_epochs);
  reader.read("every_epochs", out.every_epochs);
  reader.read("factor", out.factor);
  reader.read("max_lr", out.max_lr);
  reader.read("warmup_fraction", out.warmup_fraction);
  const std::string_view method = word_of(kScheduleWords, out.kind);
  for (const std::string_view key : {"every_epochs", "factor"}) {
    if (out.kind != ScheduleKind::step) warn_unused(reader, key, method);
  }
  for (const std::string_view key : {"max_lr", "warmup_fraction"}) {
    if (out.kind != ScheduleKind::onecycle) warn_unused(reader, key, method);
  }
}

void read_initializer(const Value& value, Initializer& out, Findings& findings) {
  if (value.kind == Value::Kind::text) {
    out.kind = static_cast<InitializerKind>(index_of(kInitializerWords, value.text).value_or(0));
    return;
  }
  const TableReader reader(value, "initializer", "train.initializer", findings);
  reader.require("name");
  reader.read("name", kInitializerWords, out.kind);
  reader.read("std", out.std);
  if (reader.find("name") != nullptr && out.kind != InitializerKind::normal) {
    warn_unused(reader, "std", word_of(kInitializerWords, out.kind));
  }
}

void read_tables(const TableReader& reader, TrainConfig& out) {
  Findings& findings = reader.findings();
  if (const Value* table = reader.find("optimizer")) read_optimizer(*table, out.optimizer, findings);
  if (const Value* table = reader.find("schedule")) read_schedule(*table, out.schedule, findings);
  if (const Value* value = reader.find("initializer")) read_initializer(*value, out.initializer, findings);
  if (const Value* table = reader.find("early_stopping")) {
    const TableReader stopping(*table, "early_stopping", "train.early_stopping", findings);
    EarlyStopping& early = out.early_stopping.emplace();
    stopping.read("monitor", early.monitor);
    stopping.read("patience", early.patience);
  }
}

std::int64_t bytes_of(const Value& value) {
  return value.kind == Value::Kind::integer ? value.integer : parse_size_bytes(value.text).value_or(0);
}

}  // namespace

void read_train(const Value& table, TrainConfig& out, Findings& findings) {
  const TableReader reader(table, "train", "train", findings);
  reader.read("loss", kLossWords, out.loss);
  reader.read("epochs", out.epochs);
  reader.read("precision", kPrecisionWords, out.precision);
  if (const Value* batch = reader.find("batch")) {
    const bool number = batch->kind == Value::Kind::integer;
    const std::size_t word = index_of(kBatchWords, batch->text).value_or(0);
    const auto first = static_cast<std::size_t>(BatchChoice::Kind::automatic);
    out.batch = number ? BatchChoice{BatchChoice::Kind::number, batch->integer}
                       : BatchChoice{static_cast<BatchChoice::Kind>(first + word), 0};
  }
  auto seed = static_cast<std::int64_t>(out.seed);
  reader.read("seed", seed);
  out.seed = static_cast<std::uint64_t>(seed);
  reader.read("label_smoothing", out.label_smoothing);
  reader.read("clip_norm", out.clip_norm);
  reader.read("loss_scale", out.loss_scale);
  reader.read("ema", out.ema);
  reader.read("accumulate", out.accumulate);
  reader.read("freeze", out.freeze);
  reader.read("freeze_stats", out.freeze_stats);
  reader.read("histograms", out.histograms);
  reader.read("class_weights", out.class_weights);
  reader.read("steps_per_epoch", out.steps_per_epoch);
  reader.read("checkpoint_every", out.checkpoint_every);
  reader.read("decay_norm_and_bias", out.decay_norm_and_bias);
  reader.read("lr_reference_batch", out.lr_reference_batch);
  read_tables(reader, out);
  if (out.batch.kind == BatchChoice::Kind::number && out.accumulate > out.batch.number) {
    findings.error("T013", table.find("accumulate")->where,
                   fmt::format("accumulate {} parts of a batch of {}: a part would have no sample", out.accumulate,
                               out.batch.number),
                   line_for(table.find("accumulate")->where, "train.accumulate", std::to_string(out.batch.number)));
  }
}

void read_memory(const Value& table, MemoryConfig& out, Findings& findings) {
  const TableReader reader(table, "memory", "memory", findings);
  if (const Value* budget = reader.find("budget")) {
    const bool share = budget->kind == Value::Kind::text && budget->text.ends_with('%');
    if (share) {
      const auto percent = parse_number(std::string_view(budget->text).substr(0, budget->text.size() - 1));
      out.budget.fraction = percent.value_or(100) / 100;  // the key's kind has been checked
    } else {
      out.budget.bytes = bytes_of(*budget);
    }
  }
  if (const Value* strategy = reader.find("strategy")) {
    out.strategy_auto = strategy->kind == Value::Kind::text;
    if (!out.strategy_auto) reader.read("strategy", out.strategy);
  }
  if (const Value* workspace = reader.find("workspace")) out.workspace_bytes = bytes_of(*workspace);
}

}  // namespace snug::config
