#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "base/rng.h"
#include "check/check.h"
#include "cli/calibrate.h"
#include "cli/checked.h"
#include "cli/command.h"
#include "cli/common.h"
#include "ops/op.h"
#include "report/reports.h"
#include "train/network.h"
#include "train/process.h"

namespace snug {

namespace {

constexpr int kWarmUpSteps = 3;       // libraries build their kernels in the first
constexpr int kTimedSteps = 5;        // with every step of the program timed: its median is the layer's
constexpr double kUpdateRate = 1e-6;  // weights hardly move: every step does the same work

/// Random images and labels: what the values are does not change the time.
void load_random_batch(Network& network, const Config& config, const RunSetup& setup, std::int64_t batch) {
  Random random(random_key(1, RandomStream::synthetic));
  const auto& input = config.model.input;
  std::vector<std::byte> images(static_cast<std::size_t>(batch * input[0] * input[1] * input[2]));
  for (std::byte& pixel : images) pixel = static_cast<std::byte>(random.next());
  std::vector<std::int32_t> labels;
  std::vector<float> rows(static_cast<std::size_t>(batch * setup.row_width), 0.0F);
  for (std::int64_t i = 0; i < batch; ++i) {
    const auto label = static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(setup.outputs)));
    if (setup.row_width == 0) labels.push_back(label);
    if (setup.row_width > 0) rows[static_cast<std::size_t>(i * setup.row_width + label)] = 1.0F;
  }
  network.load({.images = images, .labels = labels, .rows = rows, .count = batch, .samples = {}});
}

/// The value below which `share` of the sorted values lie.
double quantile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<std::size_t>(std::lround(place))];
}

std::vector<double> time_steps(Network& network, int program, std::int64_t steps) {
  std::vector<double> seconds;
  for (std::int64_t step = -kWarmUpSteps; step < steps; ++step) {
    network.set_control(kUpdateRate, std::max<std::int64_t>(step, 0));
    const auto begin = std::chrono::steady_clock::now();
    network.run(program);
    const auto end = std::chrono::steady_clock::now();
    if (step >= 0) seconds.push_back(std::chrono::duration<double>(end - begin).count());
  }
  std::ranges::sort(seconds);
  return seconds;
}

/// Median seconds of every step of the program.
std::vector<double> step_medians(Network& network, int program) {
  std::vector<std::vector<double>> runs;
  for (int run = 0; run < kTimedSteps; ++run) runs.push_back(network.run_timed(program));
  std::vector<double> medians;
  for (std::size_t step = 0; step < runs.front().size(); ++step) {
    std::vector<double> times;
    for (const auto& run : runs) times.push_back(run[step]);
    std::ranges::sort(times);
    medians.push_back(quantile(times, 0.5));
  }
  return medians;
}

/// Times and work of the steps, summed by layer; what belongs to no layer is the update's.
void add_layers(BenchReport& report, const Program& program, const std::vector<double>& seconds) {
  for (const std::string& path : program.layers) report.layers.push_back({.name = path});
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    const Step& step = program.steps[i];
    if (!step.layer.valid() || step.phase == Phase::update) {
      report.update_ms += seconds[i] * 1e3;
      continue;
    }
    BenchLayer& layer = report.layers[step.layer.index()];
    (step.phase == Phase::backward ? layer.backward_ms : layer.forward_ms) += seconds[i] * 1e3;
    const Cost cost = step_cost(program, step);
    layer.flops += cost.flops;
    layer.bytes += cost.bytes;
  }
}

void add_times(BenchReport& report, const std::vector<double>& seconds) {
  const auto batch = static_cast<double>(report.batch);
  const auto rate = [&](double share) { return batch / quantile(seconds, share); };
  report.steps = std::ssize(seconds);
  report.images_per_second = rate(0.5);
  report.images_per_second_p5 = rate(0.95);  // a slow step is a low rate
  report.images_per_second_p95 = rate(0.05);
  report.ms_per_step = 1e3 * quantile(seconds, 0.5);
  report.ms_per_step_p5 = 1e3 * quantile(seconds, 0.05);
  report.ms_per_step_p95 = 1e3 * quantile(seconds, 0.95);
}

void add_shares(BenchReport& report, const Program& program, const Ceiling& ceiling) {
  Cost total;
  for (const Step& step : program.steps) {
    const Cost cost = step_cost(program, step);
    total.flops += cost.flops;
    total.bytes += cost.bytes;
  }
  const double seconds = report.ms_per_step * 1e-3;
  report.flops_per_second = static_cast<double>(total.flops) / seconds;
  report.bytes_per_second = static_cast<double>(total.bytes) / seconds;
  report.flops_share = report.flops_per_second / ceiling.flops_per_second;
  report.bytes_share = report.bytes_per_second / ceiling.bytes_per_second;
}

BenchReport measure(const Config& config, const RunSetup& setup, std::int64_t steps, int threads) {
  const auto backend = make_cpu_backend({.threads = threads});
  const Plan plan = plan_run(config, setup, cpu_memory(), *backend);
  if (!plan.report.fits) throw Error(does_not_fit(config, plan.report));
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  BenchReport report{.device = plan.report.device,
                     .model = config.name,
                     .precision = std::string(to_string(config.train.precision)),
                     .batch = plan.report.batch,
                     .threads = threads > 0 ? threads : cores,
                     .planned_bytes = plan.report.total_bytes + plan.report.host_bytes};
  const Program& program = plan.programs[static_cast<std::size_t>(plan.train)].program;
  {
    Network network(plan, setup.scaling, config.train);
    initialize_parameters(setup.graph, config.train, network.tensors());
    load_random_batch(network, config, setup, report.batch);
    add_times(report, time_steps(network, plan.train, steps));
    report.measured_bytes = peak_resident_bytes();
    add_layers(report, program, step_medians(network, plan.train));
  }
  add_shares(report, program, measure_ceiling(*backend));
  return report;
}

int run(const Arguments& arguments) {
  require_cpu(arguments, DeviceUse::train);
  Config config = read_config(arguments.positional()[0], arguments, true);
  if (const auto batch = arguments.integer("batch", 1))
    config.train.batch = {.kind = BatchChoice::Kind::number, .number = *batch};
  const std::int64_t steps = arguments.integer("steps", 1).value_or(20);
  std::vector<Diagnostic> findings;
  Graph graph = build_graph(config.model, findings);
  for (Diagnostic& finding : check_config(config, graph)) findings.push_back(std::move(finding));
  apply_strict(arguments, findings);
  if (has_errors(findings)) throw Error(findings);
  const RunSetup setup = setup_without_data(config, std::move(graph), findings);
  if (has_errors(findings)) throw Error(findings);
  const BenchReport report = measure(config, setup, steps, thread_count(arguments));
  print_result(arguments, to_json(report), to_text(report));
  return 0;
}

}  // namespace

Command bench_model_command() {
  return {.name = "bench model",
          .arguments = "CONFIG",
          .summary = "the speed of a training step on random images: img/s, its spread, time by layer",
          .example = "snug bench model configs/quickstart.toml --batch 128 --json",
          .least_arguments = 1,
          .most_arguments = 1,
          .options = {{"batch", "N", "instead of the config's train.batch"},
                      {"steps", "N", "steps to time (20)"},
                      kSetOption,
                      kDataRootOption,
                      kDeviceOption,
                      kThreadsOption},
          .run = run};
}

}  // namespace snug
