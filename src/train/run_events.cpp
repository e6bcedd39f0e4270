#include "train/run_events.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "config/names.h"
#include "data/contact_sheet.h"
#include "data/sample_pictures.h"
#include "train/event_graph.h"
#include "train/event_pictures.h"

namespace snug {

namespace {

constexpr std::size_t kSamples = 16;
constexpr std::int64_t kLongest = 96;       // pixels of a sample's picture
constexpr std::int64_t kMostPictured = 50;  // epochs with histograms and pictures

// Of the plugin for hyper-parameters: HParamsPluginData, SessionStartInfo, SessionEndInfo, google.protobuf.Value.
constexpr std::string_view kPlugin = "hparams";
namespace plugin_data {
enum : int { version = 1, session_start = 3, session_end = 4 };
}
namespace session_start {
enum : int { parameters = 1, seconds = 5 };
}
namespace session_end {
enum : int { status = 1, seconds = 2 };
constexpr std::int64_t kSuccess = 1, kFailure = 2;
}  // namespace session_end
namespace map_entry {
enum : int { key = 1, value = 2 };
}
namespace any_value {
enum : int { number = 2, text = 3, truth = 4 };
}

ProtoMessage plugin_message(int field, const ProtoMessage& what) {
  ProtoMessage data;
  return data.integer(plugin_data::version, 0).message(field, what);
}

class HyperParameters {
 public:
  void add(std::string_view key, double value) { entry(key, ProtoMessage().real(any_value::number, value)); }
  void add(std::string_view key, std::int64_t value) { add(key, static_cast<double>(value)); }
  void add(std::string_view key, bool value) { entry(key, ProtoMessage().integer(any_value::truth, value ? 1 : 0)); }
  void add(std::string_view key, std::string_view value) { entry(key, ProtoMessage().bytes(any_value::text, value)); }
  [[nodiscard]] ProtoMessage& start() { return start_; }

 private:
  void entry(std::string_view key, const ProtoMessage& value) {
    ProtoMessage made;
    start_.message(session_start::parameters, made.bytes(map_entry::key, key).message(map_entry::value, value));
  }
  ProtoMessage start_;
};

std::int64_t parameter_total(const Graph& graph) {
  std::int64_t total = 0;
  for (const Node& node : graph.nodes) total += parameter_count(node);
  return total;
}

/// What is tried out, by the keys of the config.
ProtoMessage session_start_info(const Config& config, const Graph& graph, const PlanReport& plan) {
  const TrainConfig& train = config.train;
  const OptimizerConfig& optimizer = train.optimizer;
  HyperParameters made;
  if (!config.model.file.empty()) made.add("model.file", std::string_view(config.model.file));
  const auto& input = graph.input;
  made.add("model.input", std::string_view(fmt::format("{}x{}x{}", input[0], input[1], input[2])));
  made.add("model.parameters", parameter_total(graph));
  made.add("train.batch", plan.batch);
  made.add("train.epochs", train.epochs);
  made.add("train.loss", to_string(train.loss));
  made.add("train.optimizer.name", config::word_of(config::kOptimizerWords, optimizer.kind));
  made.add("train.optimizer.lr", optimizer.lr);
  if (optimizer.kind == OptimizerKind::sgd) {
    made.add("train.optimizer.momentum", optimizer.momentum);
    made.add("train.optimizer.nesterov", optimizer.nesterov);
  }
  made.add("train.optimizer.weight_decay", optimizer.weight_decay);
  made.add("train.schedule.name", config::word_of(config::kScheduleWords, train.schedule.kind));
  made.add("train.schedule.warmup_epochs", train.schedule.warmup_epochs);
  made.add("train.precision", to_string(train.precision));
  made.add("train.seed", static_cast<double>(train.seed));
  made.add("train.label_smoothing", train.label_smoothing);
  made.add("train.clip_norm", train.clip_norm);
  made.add("train.ema", train.ema);
  made.add("train.accumulate", plan.accumulation);
  made.add("data.augment", std::ssize(config.data.augment));
  return made.start().real(session_start::seconds, now_seconds());
}

}  // namespace

void RunEvents::begin(std::int64_t step, bool goes_on) {
  if (!goes_on) {
    file_.add_graph(graph_def(run_.graph));
    const ProtoMessage info = session_start_info(run_.config, run_.graph, run_.plan);
    file_.add(
        0, {plugin_value("_hparams_/session_start_info", kPlugin, plugin_message(plugin_data::session_start, info))});
  }
  file_.add(step,
            {scalar_value("memory/planned_bytes", static_cast<double>(run_.plan.total_bytes + run_.plan.host_bytes))});
}

void RunEvents::step(std::int64_t step, double loss, double learning_rate) {
  const auto now = std::chrono::steady_clock::now();
  if (told_ && now - *told_ < std::chrono::seconds(1)) return;
  told_ = now;
  told_step_ = step;
  file_.add(step, {scalar_value("loss/step", loss), scalar_value("learning_rate", learning_rate)});
}

void RunEvents::take_gradient(std::string_view parameter, std::span<const float> values) {
  gradients_.push_back(histogram_value("gradients/" + std::string(parameter), histogram_of(values)));
}

void RunEvents::epoch(const EpochEvent& epoch, const EvalResult* val, std::int64_t step, bool last) {
  const bool classes = run_.config.train.loss != Loss::mse;
  std::vector<ProtoMessage> values{scalar_value("loss/train", epoch.train_loss)};
  if (classes) values.push_back(scalar_value("accuracy/train", epoch.train_accuracy));
  if (epoch.val_loss) values.push_back(scalar_value("loss/val", *epoch.val_loss));
  if (classes && epoch.val_accuracy) values.push_back(scalar_value("accuracy/val", *epoch.val_accuracy));
  if (told_step_ != step) values.push_back(scalar_value("learning_rate", epoch.lr));
  values.push_back(scalar_value("images_per_second", epoch.images_per_second));
  values.push_back(scalar_value("memory/used_bytes", static_cast<double>(run_.used_bytes())));
  file_.add(step, values);

  std::vector<ProtoMessage> large;
  const std::int64_t every = (run_.config.train.epochs + kMostPictured - 1) / kMostPictured;
  if (last || epoch.epoch % every == 0 || epoch.epoch == 1) {
    if (run_.config.train.histograms) add_histograms(large);
    if (val != nullptr) add_pictures(large, *val);
  }
  gradients_.clear();
  if (!large.empty()) file_.add(step, large);
}

void RunEvents::add_histograms(std::vector<ProtoMessage>& values) {
  for (const Parameter* parameter : all_parameters(run_.graph)) {
    if (run_.tensors.elements(parameter->name) == 0) continue;
    values.push_back(histogram_value((parameter->trainable() ? "weights/" : "statistics/") + parameter->name,
                                     histogram_of(run_.tensors.read(parameter->name))));
  }
  std::ranges::move(gradients_, std::back_inserter(values));
}

void RunEvents::add_pictures(std::vector<ProtoMessage>& values, const EvalResult& val) {
  if (!val.confusion.empty() && val.confusion.size() <= kMostDrawnClasses)
    values.push_back(image_value("confusion_matrix", confusion_picture(val.confusion, run_.classes)));
  if (!val.outcomes.empty()) values.push_back(image_value("samples", sample_sheet(val.outcomes)));
}

/// The same samples in every epoch.
Picture RunEvents::sample_sheet(const std::vector<SampleOutcome>& outcomes) {
  if (pictures_.empty()) {
    const std::size_t count = std::min(kSamples, outcomes.size());
    std::vector<std::int64_t> samples;
    for (std::size_t i = 0; i < count; ++i) {
      shown_.push_back(i * outcomes.size() / count);
      samples.push_back(outcomes[shown_.back()].sample);
    }
    pictures_ = sample_pictures(*run_.val, samples);
    for (Picture& picture : pictures_) picture = thumbnail(picture, kLongest);
  }
  std::vector<SheetEntry> entries;
  for (std::size_t i = 0; i < shown_.size(); ++i)
    entries.push_back({pictures_[i], outcome_text(outcomes[shown_[i]], run_.classes)});
  return contact_sheet(entries);
}

void RunEvents::end(std::int64_t step, bool success) {
  ProtoMessage info;
  info.integer(session_end::status, success ? session_end::kSuccess : session_end::kFailure);
  info.real(session_end::seconds, now_seconds());
  file_.add(step,
            {plugin_value("_hparams_/session_end_info", kPlugin, plugin_message(plugin_data::session_end, info))});
  file_.sync();
}

}  // namespace snug
