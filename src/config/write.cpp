#include <cmath>
#include <filesystem>
#include <type_traits>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "config/names.h"
#include "config/value.h"
#include "snug/config.h"

namespace snug::config {

namespace {

std::string text_of(bool value) { return value ? "true" : "false"; }
std::string text_of(double value) { return number_text(value); }
std::string text_of(std::int64_t value) { return std::to_string(value); }
std::string text_of(const std::string& value) { return string_text(value); }
std::string text_of(std::string_view value) { return string_text(value); }
std::string text_of(const Extent2& extent) {
  return extent[0] == extent[1] ? std::to_string(extent[0]) : fmt::format("[{}, {}]", extent[0], extent[1]);
}
std::string text_of(const Augmentation& augmentation);
std::string text_of(const LayerConfig& layer);
std::string text_of(const OptimizerConfig& optimizer);
std::string text_of(const ScheduleConfig& schedule);
std::string text_of(const Initializer& initializer);
std::string text_of(const BatchChoice& batch);
std::string text_of(const EarlyStopping& early);
template <class T>
std::string text_of(const std::vector<T>& list) {
  std::string out;
  for (const T& item : list) out += (out.empty() ? "" : ", ") + text_of(item);
  return "[" + out + "]";
}

/// Entries of a table, in order, written inline or as lines.
class Entries {
 public:
  template <class T>
  void add(std::string_view key, const T& value) {
    raw(key, text_of(value));
  }
  /// Only a value that differs from the default.
  template <class T>
  void add(std::string_view key, const T& value, const std::type_identity_t<T>& fallback) {
    if (value != fallback) add(key, value);
  }
  template <class T>
  void add(std::string_view key, const std::optional<T>& value) {
    if (value) add(key, *value);
  }
  void raw(std::string_view key, std::string_view toml) { entries_.push_back(fmt::format("{} = {}", key, toml)); }

  [[nodiscard]] bool empty() const { return entries_.empty(); }
  [[nodiscard]] std::string table() const {
    return entries_.empty() ? "{}" : fmt::format("{{ {} }}", fmt::join(entries_, ", "));
  }
  [[nodiscard]] std::string lines() const { return fmt::format("{}\n", fmt::join(entries_, "\n")); }

 private:
  std::vector<std::string> entries_;
};

// ---- [data] ----

std::string absolute(const std::string& path) { return std::filesystem::absolute(path).lexically_normal().string(); }

/// From the root where the file lies below it, so that a moved data set needs one line changed; else absolute.
std::string from_root(const std::string& path, const std::string& root) {
  const std::filesystem::path whole = absolute(path);
  const std::filesystem::path below = root.empty() ? whole : whole.lexically_relative(root);
  return below.empty() || *below.begin() == ".." ? whole.string() : below.string();
}

std::string text_of(const DataSource& source, const std::string& root) {
  Entries out;
  out.add("format", to_string(source.format));
  switch (source.format) {
    case DataFormat::idx:
    case DataFormat::numpy:
      out.add("images", from_root(source.images, root));
      out.add("labels", from_root(source.labels, root));
      break;
    case DataFormat::cifar10:
    case DataFormat::cifar100: {
      std::vector<std::string> files;
      files.reserve(source.files.size());
      for (const std::string& file : source.files) files.push_back(from_root(file, root));
      out.add("files", files);
      break;
    }
    case DataFormat::folder:
    case DataFormat::csv:
    case DataFormat::pack: out.add(to_string(source.format), from_root(source.path, root)); break;
    case DataFormat::synthetic:
      out.add("synthetic", source.synthetic);
      out.add("count", source.count);
      break;
  }
  return out.table();
}

std::string text_of(const Normalize& normalize) {
  if (normalize.kind != Normalization::mean_std) {
    const auto first = static_cast<std::size_t>(Normalization::none);
    return string_text(kNormalizeWords[static_cast<std::size_t>(normalize.kind) - first]);
  }
  Entries out;
  out.add("mean", normalize.mean);
  out.add("std", normalize.std);
  return out.table();
}

struct AugmentWriter {
  Entries& out;
  void operator()(const RandomCrop& crop) const {
    out.add("random_crop", crop.size);
    out.add("pad", crop.pad, 0);
    if (crop.reflect) out.add("pad_mode", kPadModeWords[1]);
  }
  void operator()(const RandomResizedCrop& crop) const { out.add("random_resized_crop", crop.size); }
  void operator()(const Flip& flip) const { out.add(flip.vertical ? "vflip" : "hflip", flip.probability); }
  void operator()(const Rotate& rotate) const { out.add("rotate", rotate.degrees); }
  void operator()(const ColorJitter& jitter) const {
    out.add("color_jitter", std::vector{jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue});
  }
  void operator()(const RandAugment& random) const {
    out.raw("randaugment", fmt::format("[{}, {}]", random.count, number_text(random.magnitude)));
  }
  void operator()(const Erase& erase) const { out.add("erase", erase.probability); }
  void operator()(const Mix& mix) const { out.add(mix.cut ? "cutmix" : "mixup", mix.alpha); }
};

std::string text_of(const Augmentation& augmentation) {
  Entries out;
  std::visit(AugmentWriter{out}, augmentation.what);
  return out.table();
}

std::string data_lines(const DataConfig& data) {
  Entries out;
  const std::string root = data.root.empty() ? "" : absolute(data.root);
  if (!root.empty()) out.add("root", root);
  for (const auto& [key, source] :
       {std::pair{"train", &data.train}, std::pair{"val", &data.val}, std::pair{"test", &data.test}}) {
    if (*source) out.raw(key, text_of(**source, root));
  }
  out.add("val_split", data.val_split, 0);
  if (data.normalize.kind != Normalization::by_type) out.raw("normalize", text_of(data.normalize));
  if (!data.augment.empty()) out.add("augment", data.augment);
  out.add("layout", word_of(kLayoutWords, data.layout));
  if (data.resize.size() == 1) out.add("resize", data.resize[0]);
  if (data.resize.size() == 2) out.add("resize", data.resize);
  if (data.resize_bicubic) out.add("resize_filter", word_of(kResizeWords, data.resize_bicubic));
  out.add("gray_to_rgb", data.gray_to_rgb);
  out.add("label_offset", data.label_offset);
  out.add("ignore_label", data.ignore_label);
  out.add("cache", word_of(kCacheWords, data.cache));
  out.add("on_bad", word_of(kOnBadWords, data.skip_bad));
  out.add("shuffle", data.shuffle);
  out.add("drop_last", data.drop_last);
  out.add("balance", word_of(kBalanceWords, data.balance));
  out.add("workers", data.workers);
  return out.lines();
}

// ---- [model] ----

void add_activation(Entries& out, Activation activation, Activation fallback = Activation::identity) {
  if (activation != fallback) out.add("activation", to_string(activation));
}

void add_padding(Entries& out, const Padding& padding) {
  switch (padding.kind) {
    case Padding::Kind::valid: break;
    case Padding::Kind::same: out.add("padding", kPaddingWords[1]); break;
    case Padding::Kind::number: out.add("padding", padding.pixels); break;
  }
}

struct LayerWriter {
  Entries& out;

  void operator()(const ConvLayer& conv) const {
    if (conv.depthwise) {
      out.add("depthwise", conv.kernel);
      out.add("multiplier", conv.multiplier, 1);
    } else {
      out.add("conv", conv.filters);
      out.add("kernel", conv.kernel);
      out.add("groups", conv.groups, 1);
    }
    out.add("stride", conv.stride, {1, 1});
    add_padding(out, conv.padding);
    out.add("dilation", conv.dilation, {1, 1});
    out.add("bias", conv.bias);
    if (conv.norm) out.add("norm", kNormWords[0]);
    add_activation(out, conv.activation);
  }
  void operator()(const DenseLayer& dense) const {
    out.add("dense", dense.units);
    out.add("bias", dense.bias, true);
    add_activation(out, dense.activation);
  }
  void operator()(const PoolLayer& pool) const {
    out.add(pool.average ? "avgpool" : "maxpool", pool.size);
    out.add("stride", pool.stride, pool.size);
    add_padding(out, pool.padding);
    out.add("ceil", pool.ceil, false);
  }
  void operator()(const GlobalAveragePoolLayer&) const { out.add("global_avgpool", true); }
  void operator()(const AdaptiveAveragePoolLayer& pool) const { out.add("adaptive_avgpool", pool.size); }
  void operator()(const FlattenLayer&) const { out.add("flatten", true); }
  void operator()(const DropoutLayer& dropout) const { out.add("dropout", dropout.rate); }
  void operator()(const BatchNormLayer& norm) const {
    out.add("batchnorm", true);
    add_activation(out, norm.activation);
  }
  void operator()(const ActivationLayer& layer) const { out.add("activation", to_string(layer.activation)); }
  void operator()(const ResidualLayer& residual) const {
    out.add("residual", residual.body);
    if (!residual.shortcut.empty()) out.add("shortcut", residual.shortcut);
    add_activation(out, residual.activation);
    if (residual.stochastic_depth_last) {
      out.add("stochastic_depth", std::vector{residual.stochastic_depth, *residual.stochastic_depth_last});
    } else {
      out.add("stochastic_depth", residual.stochastic_depth, 0);
    }
  }
  void operator()(const BranchesLayer& branches) const { out.add("branches", branches.branches); }
  void operator()(const BlockLayer& block) const {
    out.add("repeat", block.repeat, 0);
    out.add("block", block.layers);
  }
  void operator()(const SqueezeExciteLayer& layer) const {
    out.add("squeeze_excite", layer.reduced);
    add_activation(out, layer.activation, Activation::relu);
  }
};

std::string text_of(const LayerConfig& layer) {
  Entries out;
  std::visit(LayerWriter{out}, layer.what);
  const LayerNames& names = layer.names;
  out.add("name", names.name);
  out.add("norm_name", names.norm_name);
  out.add("body_name", names.body_name);
  out.add("shortcut_name", names.shortcut_name);
  if (!names.branch_names.empty()) out.add("branch_names", names.branch_names);
  out.add("first", names.first, 0);
  out.add("turn", names.turn);
  out.add("reduce_name", names.reduce_name);
  out.add("expand_name", names.expand_name);
  return out.table();
}

std::string model_lines(const ModelConfig& model) {
  Entries out;
  out.raw("input", fmt::format("[{}]", fmt::join(model.input, ", ")));
  if (model.classes != ModelConfig{}.classes) out.add("classes", model.classes);  // layers have their numbers by now
  out.add("bn_momentum", model.bn_momentum);
  std::string layers;
  for (const LayerConfig& layer : model.layers) layers += fmt::format("  {},\n", text_of(layer));
  out.raw("layers", fmt::format("[\n{}]", layers));
  return out.lines();
}

// ---- [train] and [memory] ----

std::string text_of(const OptimizerConfig& optimizer) {
  const OptimizerConfig fallback;
  const bool sgd = optimizer.kind == OptimizerKind::sgd;
  Entries out;
  out.add("name", word_of(kOptimizerWords, optimizer.kind));
  out.add("lr", optimizer.lr);
  if (sgd || optimizer.momentum != fallback.momentum) out.add("momentum", optimizer.momentum);
  if (sgd || optimizer.nesterov != fallback.nesterov) out.add("nesterov", optimizer.nesterov);
  out.add("weight_decay", optimizer.weight_decay);
  const bool betas = optimizer.beta1 != fallback.beta1 || optimizer.beta2 != fallback.beta2;
  if (!sgd || betas) out.add("betas", std::vector{optimizer.beta1, optimizer.beta2});
  if (!sgd || optimizer.epsilon != fallback.epsilon) out.add("epsilon", optimizer.epsilon);
  return out.table();
}

std::string text_of(const ScheduleConfig& schedule) {
  const ScheduleConfig fallback;
  const bool step = schedule.kind == ScheduleKind::step;
  Entries out;
  out.add("name", word_of(kScheduleWords, schedule.kind));
  out.add("warmup_epochs", schedule.warmup_epochs);
  if (step || schedule.every_epochs != fallback.every_epochs) out.add("every_epochs", schedule.every_epochs);
  if (step || schedule.factor != fallback.factor) out.add("factor", schedule.factor);
  out.add("max_lr", schedule.max_lr, fallback.max_lr);
  const bool onecycle = schedule.kind == ScheduleKind::onecycle;
  if (onecycle || schedule.warmup_fraction != fallback.warmup_fraction) {
    out.add("warmup_fraction", schedule.warmup_fraction);
  }
  return out.table();
}

std::string text_of(const Initializer& initializer) {
  const std::string_view name = word_of(kInitializerWords, initializer.kind);
  const bool plain = initializer.kind != InitializerKind::normal && initializer.std == Initializer{}.std;
  if (plain) return string_text(name);
  Entries out;
  out.add("name", name);
  out.add("std", initializer.std);
  return out.table();
}

std::string text_of(const BatchChoice& batch) {
  switch (batch.kind) {
    case BatchChoice::Kind::number: return std::to_string(batch.number);
    case BatchChoice::Kind::automatic: return string_text(kBatchWords[0]);
    case BatchChoice::Kind::maximum: return string_text(kBatchWords[1]);
  }
  return "";
}

std::string text_of(const EarlyStopping& early) {
  Entries out;
  out.add("monitor", early.monitor);
  out.add("patience", early.patience);
  return out.table();
}

std::string train_lines(const TrainConfig& train) {
  Entries out;
  out.add("loss", to_string(train.loss));
  out.add("epochs", train.epochs);
  out.add("batch", train.batch);
  out.add("optimizer", train.optimizer);
  out.add("schedule", train.schedule);
  out.add("precision", to_string(train.precision));
  out.raw("seed", std::to_string(train.seed));
  out.add("label_smoothing", train.label_smoothing);
  out.add("clip_norm", train.clip_norm);
  out.add("loss_scale", train.loss_scale);
  out.add("ema", train.ema);
  out.add("accumulate", train.accumulate);
  if (!train.freeze.empty()) out.add("freeze", train.freeze);
  out.add("freeze_stats", train.freeze_stats);
  out.add("histograms", train.histograms);
  if (!train.class_weights.empty()) out.add("class_weights", train.class_weights);
  out.add("early_stopping", train.early_stopping);
  out.add("steps_per_epoch", train.steps_per_epoch);
  out.add("checkpoint_every", train.checkpoint_every);
  out.add("initializer", train.initializer);
  out.add("decay_norm_and_bias", train.decay_norm_and_bias);
  out.add("lr_reference_batch", train.lr_reference_batch);
  return out.lines();
}

/// The percentage that reads back as exactly this share: rounding may be off by a few units in the last place.
std::string percent_text(double fraction) {
  constexpr int kUnits = 8;
  double percent = fraction * 100;
  for (int i = 0; i < kUnits; ++i) percent = std::nextafter(percent, 0.0);
  for (int i = 0; i < 2 * kUnits && percent / 100 != fraction; ++i) percent = std::nextafter(percent, 1e300);
  const double plain = std::round(fraction * 100);
  return fmt::format("{}%", plain / 100 == fraction ? plain : percent);
}

std::string memory_lines(const MemoryConfig& memory) {
  Entries out;
  if (memory.budget.bytes) {
    out.add("budget", *memory.budget.bytes);
  } else {
    out.add("budget", percent_text(memory.budget.fraction));
  }
  if (memory.strategy_auto) {
    out.add("strategy", kAutoWords[0]);
  } else {
    out.add("strategy", memory.strategy);
  }
  out.add("workspace", memory.workspace_bytes);
  return out.lines();
}

std::string whole(const Config& run) {
  std::string out = fmt::format("name = {}\n", string_text(run.name));
  out += fmt::format("\n[data]\n{}", data_lines(run.data));
  out += fmt::format("\n[model]\n{}", model_lines(run.model));
  out += fmt::format("\n[train]\n{}", train_lines(run.train));
  return out + fmt::format("\n[memory]\n{}", memory_lines(run.memory));
}

}  // namespace

}  // namespace snug::config

namespace snug {

std::string to_toml(const Config& config) { return config::whole(config); }

}  // namespace snug
