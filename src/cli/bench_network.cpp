#include "cli/bench_network.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <string>
#include <thread>

#include "base/rng.h"
#include "base/text.h"
#include "cli/bench_costs.h"
#include "cli/calibrate.h"
#include "lowering/lowering.h"
#include "report/terminal.h"
#include "train/network.h"
#include "train/process.h"

namespace snug {

namespace {

constexpr int kWarmUpSteps = 3;               // libraries build their kernels in the first
constexpr std::int64_t kMostTimedSteps = 20;  // with every step of the program timed: its median is the layer's
constexpr double kUpdateRate = 1e-6;          // weights hardly move: every step does the same work

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

/// Median seconds of every step of the program.
std::vector<double> step_medians(BenchNetwork& network, std::int64_t rounds) {
  std::vector<std::vector<double>> runs;
  runs.reserve(static_cast<std::size_t>(rounds));
  for (std::int64_t round = 0; round < rounds; ++round) runs.push_back(network.step_timed());
  std::vector<double> medians;
  medians.reserve(runs.front().size());
  for (std::size_t step = 0; step < runs.front().size(); ++step) {
    std::vector<double> times;
    times.reserve(runs.size());
    for (const auto& run : runs) times.push_back(run[step]);
    std::ranges::sort(times);
    medians.push_back(quantile(times, 0.5));
  }
  return medians;
}

void add_times(BenchReport& report, const std::vector<double>& sorted_seconds) {
  const auto batch = static_cast<double>(report.batch);
  const auto rate = [&](double share) { return batch / quantile(sorted_seconds, share); };
  report.steps = std::ssize(sorted_seconds);
  report.images_per_second = rate(0.5);
  report.images_per_second_p5 = rate(0.95);  // a slow step is a low rate
  report.images_per_second_p95 = rate(0.05);
  report.ms_per_step = 1e3 * quantile(sorted_seconds, 0.5);
  report.ms_per_step_p5 = 1e3 * quantile(sorted_seconds, 0.05);
  report.ms_per_step_p95 = 1e3 * quantile(sorted_seconds, 0.95);
}

}  // namespace

BenchNetwork::BenchNetwork(const Config& config, const RunSetup& setup, int threads)
    : config_(config), threads_(threads), backend_(make_cpu_backend({.threads = threads})) {
  plan_ = plan_run(config, setup, cpu_device(threads, config.train.precision), *backend_);
  if (!plan_.report.fits) throw Error(does_not_fit(config, plan_.report));
  network_ = std::make_unique<Network>(plan_, setup.scaling, config.train);
  initialize_parameters(setup.graph, config.train, *network_);
  load_random_batch(*network_, config, setup, plan_.report.batch);
}

BenchNetwork::~BenchNetwork() = default;

void BenchNetwork::set_rate() { network_->set_control(kUpdateRate, steps_++); }

double BenchNetwork::step() {
  set_rate();
  const auto begin = std::chrono::steady_clock::now();
  network_->run(plan_.train);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

std::vector<double> BenchNetwork::step_timed() {
  set_rate();
  return network_->run_timed(plan_.train);
}

DType BenchNetwork::dtype() const { return activation_dtype(config_.train.precision); }

BenchReport BenchNetwork::described() const {
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  return {.device = plan_.report.device,
          .model = config_.name,
          .precision = std::string(to_string(config_.train.precision)),
          .batch = plan_.report.batch,
          .threads = threads_ > 0 ? threads_ : cores,
          .planned_bytes = plan_.report.total_bytes + plan_.report.host_bytes};
}

BenchReport measure_steps(BenchNetwork& network, std::int64_t steps) {
  BenchReport report = network.described();
  std::vector<double> seconds;
  for (int step = 0; step < kWarmUpSteps; ++step) static_cast<void>(network.step());
  for (std::int64_t step = 0; step < steps; ++step) seconds.push_back(network.step());
  std::ranges::sort(seconds);
  add_times(report, seconds);
  report.measured_bytes = peak_resident_bytes();
  const std::vector<double> medians = step_medians(network, std::min(steps, kMostTimedSteps));
  add_costs(report, network.program(), medians, measure_ceiling(network.backend(), network.dtype()));
  return report;
}

void take_turns(BenchNetwork& network) {
  write(Stream::out, ready_json(network.described()) + "\n");
  std::string line;
  while (std::getline(std::cin, line)) {
    const auto steps = parse_integer(line);
    if (!steps || *steps < 1) {
      throw Error({.code = "C904",
                   .where = "standard input",
                   .what = fmt::format("--turns expects a number of steps on a line, got '{}'", line),
                   .fix = "printf '5\\n5\\n' | snug bench model CONFIG --turns"});
    }
    std::vector<double> milliseconds;
    for (std::int64_t step = 0; step < *steps; ++step) milliseconds.push_back(1e3 * network.step());
    write(Stream::out, turn_json(milliseconds) + "\n");
  }
}

}  // namespace snug
