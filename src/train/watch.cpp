#include "train/watch.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "config/rates.h"
#include "graph/findings.h"
#include "train/setup.h"

namespace snug {

namespace {

double size_of(std::span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value) * static_cast<double>(value);
  return std::sqrt(sum / static_cast<double>(std::max<std::size_t>(1, values.size())));
}

/// How far a channel moved beside shrinking as a whole, which decay does alone; relative to its size.
double moved(std::span<const float> before, std::span<const float> now) {
  double along = 0, size = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const auto b = static_cast<double>(before[i]);
    along += (static_cast<double>(now[i]) - b) * b;
    size += b * b;
  }
  if (size == 0) return 0;
  double rest = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const auto b = static_cast<double>(before[i]);
    const double apart = static_cast<double>(now[i]) - b - along / size * b;
    rest += apart * apart;
  }
  return std::sqrt(rest / size);
}

/// What rounding alone moves in so many steps of decay.
double rounding(std::int64_t steps) { return 1e-6 + 5e-7 * std::sqrt(static_cast<double>(steps)); }

}  // namespace

// ---- samples --------------------------------------------------------------------------------------------------

void PassCount::begin() { std::ranges::fill(counts_, std::uint8_t{0}); }

void PassCount::add(std::span<const std::int64_t> samples) {
  for (const std::int64_t sample : samples) {
    std::uint8_t& count = counts_[static_cast<std::size_t>(sample)];
    if (count < 255) ++count;
  }
}

PassCount::Result PassCount::result() const {
  Result result;
  for (const std::uint8_t count : counts_) {
    if (count == 0) ++result.missing;
    if (count > 1) ++result.repeated;
  }
  return result;
}

// ---- channels -------------------------------------------------------------------------------------------------

ChannelWatch::ChannelWatch(const Graph& graph, const std::vector<bool>& frozen, TensorStore& tensors)
    : tensors_(tensors) {
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    if (node.parameters.empty() || (!frozen.empty() && frozen[i])) continue;
    const Parameter& parameter = node.parameters.front();
    if (!parameter.decays()) continue;  // conv and dense weights
    const snug::Layer& layer = graph.layers[node.layer.index()];
    Weight weight{.name = parameter.name, .path = layer.path, .where = layer.where, .before = {}};
    weight.channels = parameter.shape[0];
    weight.row = parameter.shape.elements() / weight.channels;
    // Of one weight a channel a step cannot be told from decay.
    if (weight.row < 2 || tensors_.elements(weight.name) != parameter.shape.elements()) continue;
    const std::span<const float> values = tensors_.read(weight.name);
    weight.size = size_of(values);
    take(weight, values, weight.before);
    weights_.push_back(std::move(weight));
  }
}

void ChannelWatch::take(const Weight& weight, std::span<const float> values, std::vector<float>& out) {
  const std::size_t taken = std::min(kTaken, static_cast<std::size_t>(weight.row));
  out.resize(static_cast<std::size_t>(weight.channels) * taken);
  std::size_t at = 0;
  for (std::int64_t channel = 0; channel < weight.channels; ++channel) {
    for (std::size_t k = 0; k < taken; ++k) {
      // Spread over the row, in each channel otherwise: inputs that are always 0 lie in rows and columns.
      const std::uint64_t place = (k * 2'654'435'761ULL + static_cast<std::uint64_t>(channel) * 40'503ULL) %
                                  static_cast<std::uint64_t>(weight.row);
      out[at++] = values[static_cast<std::size_t>(channel * weight.row) + place];
    }
  }
}

std::vector<ChannelWatch::Layer> ChannelWatch::look(std::int64_t steps) {
  std::vector<Layer> layers;
  for (Weight& weight : weights_) {
    const std::span<const float> values = tensors_.read(weight.name);
    take(weight, values, now_);
    const std::size_t taken = now_.size() / static_cast<std::size_t>(weight.channels);
    Layer layer{.path = weight.path, .where = weight.where, .channels = weight.channels};
    std::vector<double> moves;
    for (std::size_t channel = 0; channel < static_cast<std::size_t>(weight.channels); ++channel) {
      moves.push_back(moved(std::span(weight.before).subspan(channel * taken, taken),
                            std::span(now_).subspan(channel * taken, taken)));
      if (moves.back() < rounding(steps)) ++layer.still;
    }
    // Half of the channels may be dead: the upper quarter says what a living one does.
    std::ranges::sort(moves);
    layer.moved = moves[moves.size() * 3 / 4];
    layer.grown = weight.size > 0 ? size_of(values) / weight.size : 1;
    std::swap(weight.before, now_);
    layers.push_back(std::move(layer));
  }
  return layers;
}

// ---- the watch ------------------------------------------------------------------------------------------------

TrainingWatch::TrainingWatch(const Run& run)
    : config_(run.config),
      outputs_(run.outputs),
      pass_samples_(run.pass_samples),
      steps_per_epoch_(run.steps_per_epoch),
      drawn_evenly_(run.drawn_evenly),
      pass_(run.samples),
      channels_(run.graph, run.frozen, run.tensors) {}

bool TrainingWatch::told(std::string_view code) const { return std::ranges::find(told_, code) != told_.end(); }

bool TrainingWatch::once(std::string_view code) {
  // Weights that were thrown far away explode, grow and die: whichever is seen first explains the others, and that the
  // splits drift apart.
  constexpr std::array<std::string_view, 4> kThrown{"T302", "T303", "T304", "T306"};
  const bool thrown = std::ranges::any_of(kThrown, [&](std::string_view one) { return told(one); });
  const bool drift = code == "T305";
  const bool follows = drift || code == "T301" || std::ranges::find(kThrown, code) != kThrown.end();
  if (told(code) || (follows && thrown) || (drift && told("T307"))) return false;
  told_.emplace_back(code);
  return true;
}

std::string TrainingWatch::rate_line(double factor) const {
  const PeakRate rate = peak_rate(config_.train);
  return pasteable(config_, fmt::format("{} = {:.3g}", rate.key, rate.value * factor));
}

std::vector<Diagnostic> TrainingWatch::begin_pass(bool whole) {
  std::vector<Diagnostic> findings;
  if (whole_pass_ && !drawn_evenly_) {
    const PassCount::Result result = pass_.result();
    const bool wrong = result.repeated > 0 || came_ != pass_samples_;
    if (wrong && once("D152")) {
      findings.push_back(finding("D152", config_.where("data.train"),
                                 fmt::format("a pass over the data brought {} samples for {}: {} came more than once, "
                                             "{} not at all",
                                             format_count(came_), format_count(pass_samples_),
                                             format_count(result.repeated), format_count(result.missing)),
                                 "workers = 1   # in [data]; and please report it: a fault of snug",
                                 Severity::warning));
    }
  }
  pass_.begin();
  came_ = 0;
  whole_pass_ = whole;
  return findings;
}

void TrainingWatch::take(const Batch& batch) {
  pass_.add(batch.samples);
  came_ += std::ssize(batch.samples);
}

std::optional<Diagnostic> TrainingWatch::step(std::int64_t step, double loss) {
  constexpr double kExploded = 10;  // times the loss of the begin
  if (epochs_ == 0 && steps_ < steps_per_epoch_) {
    const auto quarter = static_cast<std::size_t>(std::min<std::int64_t>(3, 4 * steps_ / steps_per_epoch_));
    quarters_[quarter] += loss;
    ++quarter_steps_[quarter];
  }
  ++steps_;
  window_sum_ += loss;
  if (++in_window_ < kWindow) return {};
  const double mean = window_sum_ / static_cast<double>(kWindow);
  window_sum_ = 0;
  in_window_ = 0;
  if (steps_ == kWindow) begin_loss_ = mean;
  if (mean < kExploded * begin_loss_ + 10 || !once("T302")) return {};
  return finding("T302", config_.where("train.optimizer.lr"),
                 fmt::format("step {}: the loss is {:.4g}, and was {:.4g} at the begin: the steps are too large", step,
                             mean, begin_loss_),
                 rate_line(0.1), Severity::warning);
}

std::vector<Diagnostic> TrainingWatch::end_epoch(const EpochEvent& epoch, std::int64_t step) {
  std::vector<Diagnostic> findings;
  const auto add = [&](Found found) {
    if (found) findings.push_back(*std::move(found));
  };
  ++epochs_;
  add(still_loss(epoch, step));
  const bool still = !findings.empty();
  for (Diagnostic& found : channels(step)) {
    if (!still) findings.push_back(std::move(found));
  }
  add(drift(epoch, step));
  add(val_at_chance(epoch, step));
  if (!first_epoch_loss_) first_epoch_loss_ = epoch.train_loss;
  epoch_began_ = steps_;
  return findings;
}

/// Every epoch sees the same samples, so that their mean loss moves by learning alone.
TrainingWatch::Found TrainingWatch::still_loss(const EpochEvent& epoch, std::int64_t step) {
  constexpr double kStill = 0.005;
  constexpr std::int64_t kFewSteps = 40;
  last_losses_[static_cast<std::size_t>(epochs_ - 1) % last_losses_.size()] = epoch.train_loss;
  double before = 0, now = epoch.train_loss;
  if (first_epoch_loss_) {
    before = *first_epoch_loss_;
  } else if (config_.train.epochs == 1 && quarter_steps_[0] > 0 && quarter_steps_[3] > 0) {
    before = quarters_[0] / static_cast<double>(quarter_steps_[0]);
    now = quarters_[3] / static_cast<double>(quarter_steps_[3]);
  } else {
    return {};
  }
  const double chance =
      config_.train.loss == Loss::mse ? 0 : 1.0 / static_cast<double>(std::max<std::int64_t>(2, outputs_));
  const bool learned = chance > 0 && epoch.train_accuracy > 0.5 + chance / 2;
  const bool warming = static_cast<double>(epochs_) <= config_.train.schedule.warmup_epochs + 1 &&
                       config_.train.schedule.warmup_epochs > 0;
  const bool tiny = config_.train.loss != Loss::mse && before < 0.1;
  // It fell a little while everything died, and then stood still at what guessing gives.
  const auto [least, most] = std::ranges::minmax(last_losses_);
  const bool stuck = epochs_ > std::ssize(last_losses_) && most - least <= kStill * most && chance > 0 &&
                     epoch.train_accuracy < 1.3 * chance;
  if (stuck) before = last_losses_[static_cast<std::size_t>(epochs_) % last_losses_.size()];
  if (steps_ < kFewSteps || warming || learned || tiny || !(std::abs(now - before) <= kStill * before || stuck))
    return {};
  if (!once("T301")) return {};
  const bool plain = config_.train.optimizer.kind == OptimizerKind::sgd;
  const double rate = config_.train.optimizer.lr;
  const bool low = rate < (plain ? 0.005 : 3e-5);
  return finding("T301", config_.where("train.optimizer.lr"),
                 fmt::format("step {}: after {} epochs the loss has not moved: {:.5g} then, {:.5g} now", step, epochs_,
                             before, now),
                 low ? rate_line((plain ? 0.05 : 0.001) / rate) : rate_line(0.1), Severity::warning);
}

TrainingWatch::Found TrainingWatch::drift(const EpochEvent& epoch, std::int64_t step) {
  constexpr double kWorse = 1.5;
  constexpr std::int64_t kEpochs = 3;
  if (!epoch.val_loss) return {};
  since_best_loss_ = !best_val_loss_ || *epoch.val_loss < *best_val_loss_ ? 0 : since_best_loss_ + 1;
  since_best_accuracy_ = epoch.val_accuracy.value_or(0) > best_val_accuracy_ ? 0 : since_best_accuracy_ + 1;
  best_val_loss_ = std::min(best_val_loss_.value_or(*epoch.val_loss), *epoch.val_loss);
  best_val_accuracy_ = std::max(best_val_accuracy_, epoch.val_accuracy.value_or(0));
  const bool apart = *epoch.val_loss > kWorse * *best_val_loss_ && epoch.train_loss < 0.7 * *epoch.val_loss;
  if (!apart || since_best_loss_ < kEpochs || since_best_accuracy_ < kEpochs || !once("T305")) return {};
  return finding(
      "T305", config_.where("train.epochs"),
      fmt::format("step {}: training and validation drift apart: loss {:.4g} and {:.4g}, which was {:.4g} {} "
                  "epochs ago",
                  step, epoch.train_loss, *epoch.val_loss, *best_val_loss_, since_best_loss_),
      "early_stopping = { monitor = \"val_loss\", patience = 2 }   # in [train]; or augment, or dropout",
      Severity::note);
}

/// What is learned and yet worth nothing on the other split: the two are not made alike.
TrainingWatch::Found TrainingWatch::val_at_chance(const EpochEvent& epoch, std::int64_t step) {
  constexpr double kLearned = 0.9;
  constexpr std::int64_t kEpochs = 3;
  if (!epoch.val_accuracy || config_.train.loss == Loss::mse || epochs_ < kEpochs) return {};
  const double chance = 1.0 / static_cast<double>(std::max<std::int64_t>(2, outputs_));
  if (epoch.train_accuracy < kLearned || best_val_accuracy_ > 1.2 * chance + 0.02 || !once("T307")) return {};
  return finding("T307", config_.where("data.val"),
                 fmt::format("step {}: {:.1f} % of data.train are right and {:.1f} % of data.val, which chance gives: "
                             "the splits differ",
                             step, 100 * epoch.train_accuracy, 100 * *epoch.val_accuracy),
                 "val_split = 0.1   # in [data], instead of val", Severity::warning);
}

std::vector<Diagnostic> TrainingWatch::channels(std::int64_t step) {
  constexpr double kDeadShare = 0.25;
  constexpr double kAlive = 50;  // times what rounding moves
  constexpr double kGrown = 1000;
  const std::int64_t steps = steps_ - epoch_began_;
  std::vector<Diagnostic> findings;
  if (steps < 5) return findings;
  const std::vector<ChannelWatch::Layer> layers = channels_.look(steps);
  double most = 0;
  for (const auto& layer : layers) most = std::max(most, layer.moved);
  for (const auto& layer : layers) {
    const double share = static_cast<double>(layer.still) / static_cast<double>(layer.channels);
    if (layer.still == layer.channels && most > kAlive * kAlive * rounding(steps)) {
      if (!once("T303")) continue;
      findings.push_back(
          finding("T303", layer.where,
                  layer_text(layer.path, fmt::format("step {}: no gradient reached any of its {} channels "
                                                     "in {} steps",
                                                     step, layer.channels, steps)),
                  "norm = \"batch\"   # in this layer and the one before it, or a lower lr", Severity::warning));
    } else if (share >= kDeadShare && layer.still >= 2 && layer.moved > kAlive * rounding(steps)) {
      if (!once("T304")) continue;
      findings.push_back(finding("T304", layer.where,
                                 layer_text(layer.path, fmt::format("step {}: {} of {} channels are dead, no gradient "
                                                                    "reached them in {} steps",
                                                                    step, layer.still, layer.channels, steps)),
                                 rate_line(0.1) + ", or activation = \"leaky_relu\"", Severity::warning));
    } else if (layer.grown > kGrown && once("T306")) {
      findings.push_back(finding("T306", layer.where,
                                 layer_text(layer.path, fmt::format("step {}: its weights are {:.0f} times as large as "
                                                                    "at the begin",
                                                                    step, layer.grown)),
                                 rate_line(0.1), Severity::warning));
    }
  }
  return findings;
}

}  // namespace snug
