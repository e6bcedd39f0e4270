#include "check/measured.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "base/text.h"
#include "check/deep.h"
#include "check/families.h"
#include "check/rehearsal.h"
#include "lowering/lowering.h"

namespace snug {

namespace {

/// Of the tensor that a step makes.
std::optional<std::size_t> output_of(const Program& program, const Step& step) {
  for (std::size_t i = 0; i < step.operands.size(); ++i) {
    if (step.operands[i].access != Access::in && is_floating(program[step.operands[i].tensor].dtype)) return i;
  }
  return {};
}

bool is_rectifier(ActivationFunction function) {
  return function == ActivationFunction::relu || function == ActivationFunction::relu6;
}

bool rectifies(const Step& step) {
  if (const auto* own = std::get_if<ActivationAttributes>(&step.attributes)) {
    return step.op == Op::activation_forward && is_rectifier(own->function);
  }
  if (const auto* conv = std::get_if<ConvAttributes>(&step.attributes)) {
    return step.op == Op::conv_forward && conv->activation && is_rectifier(*conv->activation);
  }
  const auto* norm = std::get_if<BatchNormAttributes>(&step.attributes);
  return norm != nullptr && step.op == Op::batchnorm_forward && norm->activation && is_rectifier(*norm->activation);
}

double root_mean_square(std::span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value) * static_cast<double>(value);
  return values.empty() ? 0 : std::sqrt(sum / static_cast<double>(values.size()));
}

struct WeightGradient {
  std::string layer, parameter;
  double gradient = 0, weight = 0;
  [[nodiscard]] double share() const { return weight > 0 ? gradient / weight : 0; }
};

/// What one batch shows, by layer.
struct FirstBatch {
  double loss = 0;
  bool not_finite = false;
  std::string first_not_finite;  ///< layer
  std::string dead;              ///< the first layer whose rectifier gives 0 alone
  std::int64_t dead_values = 0;
  double logit_spread = -1;  ///< largest deviation of an output over the images; −1: not seen
  double logit_size = 0;
  std::vector<WeightGradient> gradients;  ///< from the last layer to the first
};

/// Looks at each step as it runs.
class Watcher {
 public:
  Watcher(FirstBatch& seen, Rehearsal& rehearsal) : seen_(seen), rehearsal_(rehearsal) {}

  void operator()(const Rehearsal::View& view) {
    if (is_loss(view.step.op)) look_at_logits(view);
    if (view.step.phase == Phase::forward && !is_loss(view.step.op)) look_at_output(view);
    if (view.step.op == Op::conv_backward_weights || view.step.op == Op::dense_backward_weights) look_at_gradient(view);
  }

 private:
  void look_at_output(const Rehearsal::View& view) {
    const auto at = output_of(view.program, view.step);
    if (!at) return;
    const std::span<const float> values = view.values(*at);
    if (values.empty()) return;
    const double size = root_mean_square(values);
    if (!std::isfinite(size) && seen_.first_not_finite.empty()) {
      seen_.first_not_finite = view.program.layer_name(view.step.layer);
    }
    if (size == 0 && rectifies(view.step) && seen_.dead.empty()) {
      seen_.dead = view.program.layer_name(view.step.layer);
      seen_.dead_values = std::ssize(values);
    }
  }
  void look_at_logits(const Rehearsal::View& view) {
    const std::span<const float> logits = view.values(0);
    const auto rows = static_cast<std::size_t>(view.program[view.step.operands[0].tensor].shape[0]);
    if (logits.empty() || rows < 2) return;
    const std::size_t width = logits.size() / rows;
    seen_.logit_spread = 0;
    seen_.logit_size = root_mean_square(logits);
    for (std::size_t k = 0; k < width; ++k) {
      double sum = 0, squares = 0;
      const auto shift = static_cast<double>(logits[k]);
      for (std::size_t i = 0; i < rows; ++i) {
        const double apart = static_cast<double>(logits[i * width + k]) - shift;
        sum += apart;
        squares += apart * apart;
      }
      const auto n = static_cast<double>(rows);
      seen_.logit_spread = std::max(seen_.logit_spread, std::sqrt(std::max(0.0, squares / n - sum * sum / (n * n))));
    }
  }
  void look_at_gradient(const Rehearsal::View& view) {
    const auto at = output_of(view.program, view.step);
    if (!at) return;
    std::string name = view.program[view.step.operands[*at].tensor].name;
    if (name.starts_with(state_prefix::kGradient)) name.erase(0, state_prefix::kGradient.size());
    WeightGradient found{.layer = view.program.layer_name(view.step.layer), .parameter = name};
    found.gradient = root_mean_square(view.values(*at));
    found.weight = root_mean_square(rehearsal_.values(name));
    if (found.weight > 0) seen_.gradients.push_back(std::move(found));
  }

  FirstBatch& seen_;
  Rehearsal& rehearsal_;
};

class Judge {
 public:
  Judge(const Config& config, const RunSetup& setup, const FirstBatch& seen, std::int64_t batch, bool odd_scale)
      : config_(config),
        graph_(setup.graph),
        outputs_(setup.outputs),
        seen_(seen),
        batch_(batch),
        odd_scale_(odd_scale) {}

  /// One finding: what lies deepest explains the rest.
  [[nodiscard]] Findings judge() const {
    Findings findings;
    // Layers are frozen, and norms left as they came, where weights come with --init.
    if (!config_.train.freeze.empty() || config_.train.freeze_stats) return findings;
    const auto add = [&](std::optional<Diagnostic> found) {
      if (found && findings.empty()) findings.push_back(*std::move(found));
    };
    if (odd_scale_) return findings;  // of inputs that are far off everything else follows
    add(not_finite());
    add(dead());
    add(same_outputs());
    add(vanished());
    add(first_loss());
    add(exploded());
    return findings;
  }

 private:
  [[nodiscard]] std::string place(const std::string& path) const {
    const auto layer = std::ranges::find(graph_.layers, path, &Layer::path);
    return layer == graph_.layers.end() ? to_string(config_.where("model")) : to_string(layer->where);
  }
  [[nodiscard]] bool is_gate(const std::string& path) const {
    const auto layer = std::ranges::find(graph_.layers, path, &Layer::path);
    return layer != graph_.layers.end() && layer->type == "squeeze_excite";
  }
  [[nodiscard]] bool odd_initializer() const {
    const InitializerKind kind = config_.train.initializer.kind;
    return kind == InitializerKind::normal;
  }
  [[nodiscard]] std::string remedy() const {
    if (odd_initializer()) return "initializer = \"he_normal\"   # in [train]";
    for (const Node& node : graph_.nodes) {
      const auto* activation = std::get_if<ActivationAttributes>(&node.attributes);
      const bool last = &node == &graph_.nodes.back();
      if (activation == nullptr || last || is_gate(graph_.layers[node.layer.index()].path)) continue;
      if (activation->function == ActivationFunction::sigmoid || activation->function == ActivationFunction::tanh) {
        return fmt::format("activation = \"relu\"   # instead of {}, or norm = \"batch\"",
                           activation->function == ActivationFunction::tanh ? "tanh" : "sigmoid");
      }
    }
    return "norm = \"batch\"   # in the layers before it, or more filters";
  }

  [[nodiscard]] std::optional<Diagnostic> not_finite() const {
    if (!seen_.not_finite && seen_.first_not_finite.empty()) return {};
    const std::string& layer = seen_.first_not_finite;
    return finding_at(
        "T204", place(layer),
        layer_text(layer.empty() ? "loss" : layer,
                   fmt::format("its output is not finite on the first {} images, before any step", batch_)),
        odd_initializer() ? remedy() : "normalize = \"per-channel\"   # in [data]");
  }
  [[nodiscard]] std::optional<Diagnostic> dead() const {
    // A gate or a branch that is dead leaves a way around it: then the first layer has a gradient.
    if (seen_.dead.empty() || seen_.gradients.empty() || seen_.gradients.back().gradient != 0) return {};
    return finding_at("T202", place(seen_.dead),
                      layer_text(seen_.dead, fmt::format("all {} values behind its relu are 0 on {} images: it is dead "
                                                         "before the first step",
                                                         format_count(seen_.dead_values), batch_)),
                      remedy());
  }
  [[nodiscard]] std::optional<Diagnostic> same_outputs() const {
    constexpr double kSame = 1e-5;
    if (seen_.logit_spread < 0 || seen_.logit_spread > kSame * std::max(seen_.logit_size, 1e-2)) return {};
    return finding_at("T203", to_string(graph_.layers.back().where),
                      fmt::format("the outputs for {} images differ by {:.2g} (their size is {:.2g}): nothing of the "
                                  "image arrives",
                                  batch_, seen_.logit_spread, seen_.logit_size),
                      remedy(), Severity::warning);
  }
  [[nodiscard]] std::optional<Diagnostic> vanished() const {
    constexpr double kVanished = 1e-7;
    // A gate whose few rectifiers are dead stays as it is, and hands everything on.
    std::vector<WeightGradient> list = seen_.gradients;
    std::erase_if(list, [&](const WeightGradient& found) { return is_gate(found.layer); });
    if (list.size() < 2) return {};
    const auto least = std::ranges::min_element(list, {}, &WeightGradient::share);
    const auto most = std::ranges::max_element(list, {}, &WeightGradient::share);
    if (most->share() == 0 || least->share() > kVanished * most->share()) return {};
    return finding_at(
        "T203", place(least->layer),
        layer_text(least->layer, fmt::format("its gradient is {:.1e} of its weights, that of '{}' {:.1e}: "
                                             "it will not learn",
                                             least->share(), elide(most->layer, 30), most->share())),
        remedy(), Severity::warning);
  }
  [[nodiscard]] std::optional<Diagnostic> first_loss() const {
    const Loss loss = config_.train.loss;
    if (loss == Loss::mse) return {};
    const bool binary = loss == Loss::binary_crossentropy;
    const double expected = std::log(binary ? 2.0 : static_cast<double>(std::max<std::int64_t>(2, outputs_)));
    if (seen_.loss < 3 * expected + 8) return {};
    return finding(
        "T201", config_.where("train.loss"),
        fmt::format("the loss before the first step is {:.4g}; guessing evenly among {} classes gives {:.3f}",
                    seen_.loss, binary ? 2 : outputs_, expected),
        odd_initializer() ? remedy() : "normalize = \"per-channel\"   # in [data], or norm = \"batch\"",
        Severity::warning);
  }
  /// Plain steps that are many times as large as what they change.
  [[nodiscard]] std::optional<Diagnostic> exploded() const {
    constexpr double kExploded = 20;
    const OptimizerConfig& optimizer = config_.train.optimizer;
    if (optimizer.kind != OptimizerKind::sgd || config_.train.clip_norm > 0) return {};
    const auto most = std::ranges::max_element(seen_.gradients, {}, &WeightGradient::share);
    if (most == seen_.gradients.end() || optimizer.lr * most->share() < kExploded) return {};
    const double target = std::sqrt(std::max(0.0, seen_.loss));
    if (config_.train.loss == Loss::mse && target > 10) {
      return finding(
          "T204", config_.where("train.optimizer.lr"),
          fmt::format("lr = {} makes the first step of '{}' {:.0f} times as large as its weights: targets are "
                      "about {:.2g}",
                      optimizer.lr, elide(most->layer, 20), optimizer.lr * most->share(), target),
          fmt::format("np.save(\"y.npy\", (y / {:.1g}).astype(np.float32))   # in every split", target),
          Severity::warning);
    }
    return finding("T204", config_.where("train.optimizer.lr"),
                   fmt::format("lr = {} makes the first step of '{}' {:.0f} times as large as its weights",
                               optimizer.lr, elide(most->layer, 40), optimizer.lr * most->share()),
                   fmt::format("lr = {:.1g}", 0.01 / most->share()), Severity::warning);
  }

  const Config& config_;
  const Graph& graph_;
  std::int64_t outputs_;
  const FirstBatch& seen_;
  std::int64_t batch_;
  bool odd_scale_;
};

constexpr std::int64_t kMostFlops = 80'000'000'000;  // a step of a second or less on two cores

}  // namespace

std::unique_ptr<Rehearsal> rehearsal_of(const RunSetup& setup, std::int64_t most_samples, int threads) {
  // Of a machine's memory half at most; what needs more than 2 GiB for two images takes longer than a check may.
  const std::int64_t most_bytes = std::min<std::int64_t>(std::int64_t{2} << 30, cpu_memory().free_bytes / 2);
  std::int64_t flops = 0;
  for (const Node& node : setup.graph.nodes)
    flops += 3 * forward_flops(setup.graph, node);  // backward is twice as much
  const std::int64_t quick = std::max<std::int64_t>(2, kMostFlops / std::max<std::int64_t>(1, flops));
  std::int64_t batch = std::min({most_samples, quick, setup.splits.train->info().samples});
  for (; batch >= 2; batch /= 2) {
    if (auto made = Rehearsal::make(setup, batch, threads, most_bytes)) return made;
  }
  return nullptr;
}

std::vector<Diagnostic> measure(const Config& config, const RunSetup& setup, const MeasureOptions& options) {
  constexpr std::int64_t kImages = 16;
  Findings findings;
  if (setup.splits.train->info().samples < 2) return findings;  // of one sample nothing can be compared
  std::unique_ptr<Rehearsal> rehearsal = rehearsal_of(setup, kImages, options.threads);
  if (!rehearsal) {
    findings.push_back(finding("T209", config.where("train.batch"),
                               "no batch was tried: two images of this network need more than 2 GiB or half of the "
                               "free memory",
                               "nothing to do: the plan says what fits", Severity::note));
    return findings;
  }
  const std::int64_t batch = rehearsal->batch();
  Loader loader(
      setup.splits.train,
      {.batch = batch, .shuffle = true, .seed = config.train.seed, .augment = {}, .row_width = setup.row_width});
  loader.start_epoch(0);
  const Batch* first = loader.next();
  if (first == nullptr) return findings;
  rehearsal->load(*first);
  FirstBatch seen;
  rehearsal->run(0, Watcher(seen, *rehearsal));
  seen.loss = rehearsal->loss();
  seen.not_finite = rehearsal->not_finite();
  findings = Judge(config, setup, seen, batch, options.odd_scale).judge();
  if (!options.deep || has_errors(findings)) return findings;
  check_types(config, setup.lowering.dtype, rehearsal->program(), findings);
  rehearsal.reset();  // the next ones take as much
  check_deeply(config, setup, options.threads, findings);
  return findings;
}

}  // namespace snug
