#include "check/deep.h"

#include <algorithm>
#include <cstring>
#include <map>

#include <fmt/format.h>

#include "base/text.h"
#include "check/probe.h"
#include "config/rates.h"
#include "data/source.h"
#include "lowering/lowering.h"

namespace snug {

namespace {

/// The run without what is there to make learning harder: every batch is then a plain exercise.
RunSetup plain(const RunSetup& setup) {
  constexpr double kNothing = 1e-12;
  RunSetup out = setup;
  for (Node& node : out.graph.nodes) {
    if (auto* dropout = std::get_if<DropoutAttributes>(&node.attributes)) dropout->rate = kNothing;
  }
  TrainConfig& train = out.lowering.train;
  train.label_smoothing = 0;
  train.optimizer.weight_decay = 0;
  train.ema = 0;
  train.schedule = {};
  return out;
}

OptimizerConfig safe_optimizer() { return {.kind = OptimizerKind::adam, .lr = 0.001}; }

LoaderOptions batches_of(const RunSetup& setup, std::int64_t batch, std::uint64_t seed) {
  return {
      .batch = batch, .shuffle = true, .drop_last = true, .seed = seed, .augment = {}, .row_width = setup.row_width};
}

struct Lesson {
  double before = 0, after = 0;
  std::int64_t steps = 0;
  bool learned = false;
  /// Small networks learn slowly; what is told has hardly moved.
  [[nodiscard]] bool stuck() const { return !learned && !(after < 0.8 * before); }
};

/// Steps on one batch until it is known, or long enough.
Lesson learn_one_batch(const RunSetup& setup, double rate, int threads, std::uint64_t seed) {
  constexpr std::int64_t kImages = 16, kMostSteps = 150;
  constexpr double kLearned = 0.6;
  Lesson lesson;
  const auto rehearsal = rehearsal_of(setup, kImages, threads);
  if (!rehearsal) return {.learned = true};  // not tried
  Loader loader(setup.splits.train, batches_of(setup, rehearsal->batch(), seed));
  loader.start_epoch(0);
  const Batch* batch = loader.next();
  if (batch == nullptr) return {.learned = true};
  rehearsal->load(*batch);
  for (; lesson.steps < kMostSteps; ++lesson.steps) {
    rehearsal->run(rate);
    if (rehearsal->not_finite()) {
      lesson.after = rehearsal->loss();
      return lesson;
    }
    lesson.after = rehearsal->loss();
    if (lesson.steps == 0) lesson.before = lesson.after;
    lesson.learned = lesson.after < kLearned * lesson.before;
    if (lesson.learned) return lesson;
  }
  return lesson;
}

void check_one_batch(const Config& config, const RunSetup& whole, int threads, Findings& findings) {
  // A frozen backbone comes with weights of its own, which are not here.
  if (!config.train.freeze.empty()) return;
  RunSetup setup = plain(whole);
  const double rate = peak_rate(config.train).value;
  const Lesson own = learn_one_batch(setup, rate, threads, config.train.seed);
  if (!own.stuck()) return;
  setup.lowering.train.optimizer = safe_optimizer();
  const Lesson safe = learn_one_batch(setup, safe_optimizer().lr, threads, config.train.seed);
  const std::string numbers = fmt::format("one batch cannot be learned by heart: loss {:.4g}, after {} steps {:.4g}",
                                          own.before, own.steps, own.after);
  if (safe.learned) {
    findings.push_back(
        finding("T205", config.where("train.optimizer.lr"),
                fmt::format("{} at lr = {:.3g}; adam with 0.001 gets it to {:.2g}", numbers, rate, safe.after),
                "optimizer = { name = \"adam\", lr = 0.001 }", Severity::warning));
    return;
  }
  findings.push_back(
      finding("T205", config.where("model"),
              fmt::format("{}, with adam {:.4g}: the network cannot tell its images apart", numbers, safe.after),
              "norm = \"batch\"   # in the layers, or more filters, or less pooling", Severity::warning));
}

/// Bits before and after some steps.
void check_frozen(const Config& config, const RunSetup& setup, int threads, Findings& findings) {
  if (config.train.freeze.empty() || setup.lowering.frozen.empty()) return;
  constexpr std::int64_t kImages = 8;
  constexpr int kSteps = 3;
  const auto rehearsal = rehearsal_of(setup, kImages, threads);
  if (!rehearsal) return;
  std::map<std::string, std::vector<float>> before;
  for (std::size_t i = 0; i < setup.graph.nodes.size(); ++i) {
    if (!setup.lowering.frozen[i]) continue;
    for (const Parameter& parameter : setup.graph.nodes[i].parameters) {
      const std::span<float> values = rehearsal->values(parameter.name);
      before[parameter.name].assign(values.begin(), values.end());
    }
  }
  Loader loader(setup.splits.train, batches_of(setup, rehearsal->batch(), config.train.seed));
  loader.start_epoch(0);
  for (int step = 0; step < kSteps; ++step) {
    const Batch* batch = loader.next();
    if (batch == nullptr) break;
    rehearsal->load(*batch);
    rehearsal->run(peak_rate(config.train).value);
  }
  std::string weight, statistic;
  std::int64_t statistics = 0;
  for (const auto& [name, values] : before) {
    const std::span<float> now = rehearsal->values(name);
    const bool same = now.size() == values.size() && std::memcmp(now.data(), values.data(), now.size_bytes()) == 0;
    if (same) continue;
    const bool running = name.ends_with("running_mean") || name.ends_with("running_var");
    if (running && statistics++ == 0) statistic = name;
    if (!running && weight.empty()) weight = name;
  }
  if (!weight.empty()) {
    findings.push_back(finding("T206", config.where("train.freeze"),
                               fmt::format("{} is frozen, and {} steps changed it", elide(weight, 60), kSteps),
                               "this is a fault of snug: please report it with the config"));
  } else if (statistics > 0) {
    findings.push_back(finding("T206", config.where("train.freeze"),
                               fmt::format("frozen layers change: {} running statistics moved in {} steps, first {}",
                                           statistics, kSteps, elide(statistic, 50)),
                               "freeze_stats = true", Severity::warning));
  }
}

/// The network itself, trained for a while on one part of the samples and asked about another.
Agreement network_probe(const Config& config, const RunSetup& whole, const std::vector<std::int64_t>& labels,
                        std::int64_t classes, const ProbeSamples& samples, int threads) {
  constexpr std::int64_t kImages = 32, kSteps = 300;
  RunSetup setup = plain(whole);
  setup.lowering.train.optimizer = safe_optimizer();
  setup.lowering.frozen.clear();
  const auto rehearsal = rehearsal_of(setup, kImages, threads);
  if (!rehearsal) return {};
  const auto view = [&](const std::vector<std::int64_t>& indices) {
    return make_view(setup.splits.train, indices, 0, setup.splits.train->info().classes, false);
  };
  Loader lessons(view(samples.learned), batches_of(setup, rehearsal->batch(), config.train.seed));
  std::int64_t epoch = 0;
  lessons.start_epoch(epoch);
  for (std::int64_t step = 0; step < kSteps; ++step) {
    const Batch* batch = lessons.next();
    if (batch == nullptr) {
      lessons.start_epoch(++epoch);
      batch = lessons.next();
      if (batch == nullptr) return {};
    }
    rehearsal->load(*batch);
    rehearsal->run(safe_optimizer().lr);
  }
  Loader questions(view(samples.asked), batches_of(setup, rehearsal->batch(), config.train.seed));
  questions.start_epoch(0);
  std::vector<std::int64_t> truth, told;
  while (const Batch* batch = questions.next()) {
    rehearsal->load(*batch);
    for (const std::int64_t sample : batch->samples) {
      truth.push_back(labels[static_cast<std::size_t>(samples.asked[static_cast<std::size_t>(sample)])]);
    }
    rehearsal->run(0, [&](const Rehearsal::View& seen) {
      if (!is_loss(seen.step.op)) return;
      const std::span<const float> logits = seen.values(0);
      const std::size_t width = logits.size() / static_cast<std::size_t>(batch->count);
      for (std::size_t i = 0; i < static_cast<std::size_t>(batch->count); ++i) {
        const auto row = logits.subspan(i * width, width);
        const std::int64_t answer = width == 1 ? (row[0] > 0 ? 1 : 0) : std::ranges::max_element(row) - row.begin();
        told.push_back(std::min(answer, classes - 1));
      }
    });
  }
  if (truth.size() != told.size()) return {};
  return agreement_of(truth, told, classes);
}

void check_labels_against_images(const Config& config, const RunSetup& setup, int threads, Findings& findings) {
  constexpr std::int64_t kEnough = 600;  // samples: fewer do not tell what is hard from what is random
  constexpr double kClear = 4;           // deviations above chance
  const Dataset& data = *setup.splits.train;
  const bool one_class =
      data.info().labels == LabelKind::numbers || config.train.loss == Loss::categorical_crossentropy;
  if (config.train.loss == Loss::mse || !one_class || data.info().samples < kEnough) return;
  const std::vector<std::int64_t> labels = class_numbers(data);
  const std::int64_t classes = *std::ranges::max_element(labels) + 1;
  // Of each class enough must be left to learn from.
  if (classes < 2 || classes > 200 || data.info().samples < 20 * classes) return;
  const ProbeSamples samples = probe_samples(data.info().samples, config.train.seed);
  const Agreement linear = linear_probe(data, labels, classes, samples);
  if (linear.above_chance() > kClear) return;
  const Agreement network = network_probe(config, setup, labels, classes, samples, threads);
  if (network.samples == 0 || network.above_chance() > kClear) return;
  findings.push_back(finding_at(
      "L212", data.label_where(0),
      fmt::format("labels look shuffled: learned from {} images, {} others are right in {:.1f} % (by chance {:.1f} %)",
                  format_count(std::ssize(samples.learned)), format_count(network.samples), 100 * network.share(),
                  100 * network.by_chance),
      "labels = \"FILE\"   # the labels that belong to these images, in their order", Severity::warning));
}

}  // namespace

void check_types(const Config& config, DType type, const Program& program, Findings& findings) {
  if (type != DType::f32) return;
  for (const Step& step : program.steps) {
    if (step.op != Op::cast) continue;
    const std::string name = program.layer_name(step.layer);
    findings.push_back(finding("T207", config.where("train.precision"),
                               name.empty() ? "weights are cast in a run of fp32"
                                            : fmt::format("layer '{}' casts in a run of fp32", elide(name, 60)),
                               "this is a fault of snug: please report it with the config"));
    return;
  }
}

void check_deeply(const Config& config, const RunSetup& setup, int threads, Findings& findings) {
  check_frozen(config, setup, threads, findings);
  const std::size_t before = findings.size();
  check_one_batch(config, setup, threads, findings);
  if (findings.size() > before) return;  // who cannot learn a batch learns nothing from labels
  check_labels_against_images(config, setup, threads, findings);
}

}  // namespace snug
