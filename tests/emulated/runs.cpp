#include "emulated/runs.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/file.h"

namespace snug::test {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kConfig = R"(
name = "{}"
[data]
train = {{ synthetic = "shapes", count = 44 }}
val = {{ synthetic = "shapes", count = 13 }}
[model]
input = {}
layers = [
{}
]
[train]
batch = 8
epochs = 2
seed = 3
{}
)";

Graph graph_of(const Config& config) {
  std::vector<Diagnostic> findings;
  Graph graph = build_graph(config.model, findings);
  if (has_errors(findings)) throw Error(std::move(findings));
  return graph;
}

class Recorder final : public Reporter {
 public:
  explicit Recorder(RunResult& result) : result_(result) {}
  void on_event(const TrainEvent& event) override {
    if (const auto* step = std::get_if<StepEvent>(&event)) result_.losses.push_back(step->loss);
    if (const auto* epoch = std::get_if<EpochEvent>(&event)) result_.epochs.push_back(*epoch);
    if (const auto* finding = std::get_if<FindingEvent>(&event)) result_.findings.push_back(finding->finding);
    if (const auto* plan = std::get_if<PlanEvent>(&event)) result_.plan = plan->plan;
  }

 private:
  RunResult& result_;
};

}  // namespace

const std::vector<NetText>& nets() {
  static const std::vector<NetText> kNets{
      {.name = "lenet",
       .input = "[16, 16, 1]",
       .layers = R"({ conv = 6, kernel = 5, padding = "same", activation = "relu" }, { maxpool = 2 },
                    { conv = 9, kernel = 3, activation = "tanh" }, { avgpool = 2 }, { flatten = true },
                    { dense = 24, activation = "relu" }, { dropout = 0.25 }, { dense = 10 })",
       .train = R"(optimizer = { name = "sgd", lr = 0.05, momentum = 0.9, nesterov = true, weight_decay = 5e-4 }
                   clip_norm = 1.0)"},
      {.name = "resnet",
       .input = "[16, 16, 3]",
       .layers = R"({ conv = 8, kernel = 3, padding = "same", norm = "batch", activation = "relu" },
                    { maxpool = 3, stride = 2, padding = 1 },
                    { residual = [ { conv = 8, kernel = 3, padding = 1, norm = "batch", activation = "relu" },
                                   { conv = 8, kernel = 3, padding = 1, norm = "batch" } ], activation = "relu" },
                    { residual = [ { conv = 16, kernel = 3, stride = 2, padding = 1, norm = "batch", activation = "relu" },
                                   { conv = 16, kernel = 3, padding = 1, norm = "batch" } ],
                      shortcut = [ { conv = 16, kernel = 1, stride = 2, norm = "batch" } ], activation = "relu" },
                    { global_avgpool = true }, { dense = 10 })",
       .train = R"(optimizer = { name = "sgd", lr = 0.05, momentum = 0.9, weight_decay = 5e-4 }
                   ema = 0.9
                   label_smoothing = 0.1)"},
      {.name = "mobilenet",
       .input = "[16, 16, 3]",
       .layers = R"({ conv = 8, kernel = 3, stride = 2, padding = 1, norm = "batch", activation = "relu6" },
                    { residual = [ { conv = 16, kernel = 1, norm = "batch", activation = "silu" },
                                   { depthwise = 3, padding = 1, norm = "batch", activation = "silu" },
                                   { squeeze_excite = 4, activation = "silu" },
                                   { conv = 8, kernel = 1, norm = "batch" } ], stochastic_depth = 0.2 },
                    { conv = 16, kernel = 1, norm = "batch", activation = "leaky_relu" },
                    { depthwise = 3, stride = 2, padding = 1, norm = "batch", activation = "gelu" },
                    { global_avgpool = true }, { dense = 10 })",
       .train = R"(optimizer = { name = "adamw", lr = 2e-3, weight_decay = 0.01 }
                   accumulate = 2)"},
      {.name = "bottleneck",
       .input = "[16, 16, 3]",
       .layers = R"({ conv = 16, kernel = 3, stride = 2, padding = 1, norm = "batch", activation = "relu" },
                    { residual = [ { conv = 8, kernel = 1, norm = "batch", activation = "relu" },
                                   { conv = 8, kernel = 3, padding = 1, norm = "batch", activation = "relu" },
                                   { conv = 32, kernel = 1, norm = "batch" } ],
                      shortcut = [ { conv = 32, kernel = 1, norm = "batch" } ], activation = "relu" },
                    { residual = [ { conv = 8, kernel = 1, norm = "batch", activation = "relu" },
                                   { conv = 8, kernel = 3, padding = 1, norm = "batch", activation = "relu" },
                                   { conv = 32, kernel = 1, norm = "batch" } ], activation = "relu" },
                    { batchnorm = true, activation = "relu6" },
                    { branches = [ [], [ { conv = 16, kernel = 1, norm = "batch", activation = "relu" },
                                         { conv = 8, kernel = 3, padding = 1, bias = false } ] ] },
                    { batchnorm = true, activation = "relu" }, { conv = 16, kernel = 1, bias = false },
                    { global_avgpool = true }, { dense = 10 })",
       .train = R"(optimizer = { name = "sgd", lr = 0.03, momentum = 0.9, weight_decay = 5e-4 })"},
      {.name = "densenet",
       .input = "[16, 16, 1]",
       .layers = R"({ conv = 8, kernel = 3, padding = 1, bias = false },
                    { repeat = 3, block = [ { branches = [ [], [
                        { batchnorm = true, activation = "relu" },
                        { conv = 12, kernel = 1, norm = "batch", activation = "relu" },
                        { conv = 4, kernel = 3, padding = 1, bias = false } ] ] } ] },
                    { batchnorm = true, activation = "relu" }, { conv = 8, kernel = 1, bias = false }, { avgpool = 2 },
                    { batchnorm = true, activation = "relu" }, { adaptive_avgpool = 2 }, { flatten = true },
                    { dense = 10 })",
       .train = R"(optimizer = { name = "adam", lr = 2e-3 }
                   class_weights = [1, 2, 0.5, 1, 1, 1, 1.5, 1, 1, 1])"},
  };
  return kNets;
}

Runs::Runs() : folder_(fs::temp_directory_path() / fmt::format("snug-emulated-{}", ::getpid())) {
  fs::create_directories(folder_);
}
Runs::~Runs() { fs::remove_all(folder_); }

Config Runs::config(const NetText& net, const RunOptions& options) const {
  const fs::path path = folder_ / fmt::format("{}.toml", net.name);
  std::string layers(net.layers);
  std::ranges::replace(layers, '\n', ' ');  // a table in a line is one line
  write_text(path, fmt::format(fmt::runtime(kConfig), net.name, net.input, layers, net.train));
  auto set = options.set;
  set.emplace_back("train.precision", fmt::format("\"{}\"", options.precision));
  return load_config(path, {.set = set});
}

RunResult Runs::run(const Config& config, const RunOptions& options, const std::optional<Computer>& computer) const {
  const fs::path out = folder_ / (computer ? "emulated" : "cpu");
  if (!options.resume) fs::remove_all(out);
  RunResult result;
  Recorder recorder(result);
  const TrainOptions train_options{
      .out = out, .resume = options.resume, .max_steps = options.max_steps, .log_every = 1, .threads = 1};
  RunSetup setup = make_setup(config, graph_of(config), open_data(config.data, config.model.input, config.train.seed),
                              computer ? computer->processor : this_processor());
  result.done = train(config, train_options, recorder, std::move(setup), computer);
  result.folder = out;
  result.weights = read_text(out / "last.safetensors");
  result.state = read_text(out / "last.state");
  return result;
}

RunResult Runs::on_cpu(const NetText& net, const RunOptions& options) const {
  return run(config(net, options), options, {});
}

RunResult Runs::with(const NetText& net, const Computer& computer, const RunOptions& options) const {
  return run(config(net, options), options, computer);
}

}  // namespace snug::test
