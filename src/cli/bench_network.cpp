#include "cli/bench_network.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <numeric>
#include <string>
#include <thread>

#include "base/rng.h"
#include "base/text.h"
#include "cli/bench_costs.h"
#include "cli/calibrate.h"
#include "cli/conditions.h"
#include "lowering/lowering.h"
#include "report/terminal.h"
#include "train/network.h"
#include "train/process.h"
#include "tune/statistics.h"

namespace snug {

namespace {

constexpr double kSteady = 0.05;  // two steps in a row that differ by less: the machine is warm
constexpr int kMostWarmUpSteps = 8;
constexpr double kLeastWarmUpSeconds = 0.05, kMostWarmUpSeconds = 4;  // short steps: two alike are no proof
constexpr std::size_t kMostTimedSteps = 50;  // with every step of the program timed: its mean is the layer's
constexpr double kTogetherSeconds = 0.25;    // of steps that follow each other on a device before one is timed by parts
constexpr double kUpdateRate = 1e-6;         // weights hardly move: every step does the same work

/// Random images, or places of kept ones, and labels: what the values are does not change the time.
void load_random_batch(Network& network, const Config& config, const RunSetup& setup, std::int64_t batch) {
  Random random(random_key(1, RandomStream::synthetic));
  const auto& input = config.model.input;
  const std::int64_t kept = network.kept_samples();
  std::vector<std::byte> images(static_cast<std::size_t>(kept > 0 ? 0 : batch * input[0] * input[1] * input[2]));
  for (std::byte& pixel : images) pixel = static_cast<std::byte>(random.next());
  std::vector<SamplePlace> places(static_cast<std::size_t>(kept > 0 ? batch : 0));
  for (SamplePlace& place : places)
    place.sample = static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(kept)));
  std::vector<std::int32_t> labels;
  std::vector<float> rows(static_cast<std::size_t>(batch * setup.row_width), 0.0F);
  for (std::int64_t i = 0; i < batch; ++i) {
    const auto label = static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(setup.outputs)));
    if (setup.row_width == 0) labels.push_back(label);
    if (setup.row_width > 0) rows[static_cast<std::size_t>(i * setup.row_width + label)] = 1.0F;
  }
  network.load({.images = images, .labels = labels, .rows = rows, .places = places, .count = batch, .samples = {}});
}

/// Seconds of every step of the program: means over those rounds whose sum lies in the middle half, so that a round
/// which something disturbed does not count, and that the steps still add up to a whole one.
std::vector<double> step_means(const std::vector<std::vector<double>>& rounds) {
  std::vector<double> sums;
  sums.reserve(rounds.size());
  for (const auto& round : rounds) sums.push_back(std::accumulate(round.begin(), round.end(), 0.0));
  const double low = quantile(sums, 0.25), high = quantile(sums, 0.75);
  std::vector<double> means(rounds.front().size(), 0.0);
  double count = 0;
  for (std::size_t i = 0; i < rounds.size(); ++i) {
    if (sums[i] < low || sums[i] > high) continue;
    for (std::size_t step = 0; step < means.size(); ++step) means[step] += rounds[i][step];
    ++count;
  }
  if (count == 0) return rounds.front();  // two rounds: none lies between
  for (double& mean : means) mean /= count;
  return means;
}

void add_times(BenchReport& report, std::vector<double> seconds) {
  for (double& time : seconds) time *= 1e3;
  report.step = timing_of(std::move(seconds));
  const double images = 1e3 * static_cast<double>(report.batch);
  report.images_per_second = images / report.step.median;
  report.images_per_second_p5 = images / report.step.p95;  // a slow step is a low rate
  report.images_per_second_p95 = images / report.step.p5;
}

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

}  // namespace

BenchNetwork::BenchNetwork(const Config& config, const RunSetup& setup, const BenchNetworkOptions& options)
    : config_(config),
      threads_(options.threads),
      gpu_(options.gpu),
      stop_(options.stop),
      computer_(options.computer.value_or(this_computer(options.threads))),
      backend_(computer_.make_backend(config)) {
  const Clock::time_point begin = Clock::now();
  const Planning planning = computer_.planning(config);
  plan_ = plan_run(config, setup, options.memory.value_or(planning.memory), *backend_,
                   {.batch = options.batch,
                    .trial_backend = planning.make_backend,
                    .alone = options.alone,
                    .processor = computer_.processor});
  if (!plan_.report.fits) throw Error(does_not_fit(config, plan_.report));
  if (options.before_memory) options.before_memory(planned_bytes());
  start_.plan_seconds = seconds_since(begin);
  network_ = std::make_unique<Network>(plan_, setup.scaling, config.train, RuntimeOptions{.device = computer_.device});
  initialize_parameters(setup.graph, config.train, *network_);
  load_random_batch(*network_, config, setup, plan_.report.batch);
  start_.memory_seconds = seconds_since(begin) - start_.plan_seconds;
}

BenchNetwork::~BenchNetwork() = default;

void BenchNetwork::set_rate() { network_->set_control(kUpdateRate, steps_++); }

double BenchNetwork::step() {
  set_rate();
  const Clock::time_point begin = Clock::now();
  network_->run(plan_.train);
  network_->wait();
  return last_seconds_ = seconds_since(begin);
}

std::vector<double> BenchNetwork::steps(std::size_t count) {
  std::vector<double> seconds = network_->run_in_a_row(plan_.train, count, [this] { set_rate(); });
  if (!seconds.empty()) last_seconds_ = seconds.back();
  return seconds;
}

std::size_t BenchNetwork::steps_at_a_time(double for_seconds) const {
  constexpr double kMost = 256;
  if (computer_.device == nullptr) return 1;
  return static_cast<std::size_t>(std::clamp(for_seconds / std::max(last_seconds_, 1e-6), 1.0, kMost));
}

std::int64_t BenchNetwork::measured_bytes() const {
  return computer_.device != nullptr ? snug::measured_bytes(computer_) : peak_resident_bytes();
}

/// On a GPU its own memory is what is measured.
std::int64_t BenchNetwork::planned_bytes() const {
  return plan_.report.total_bytes + (computer_.device != nullptr ? 0 : plan_.report.host_bytes);
}

/// On a GPU the network gives its memory back first: it may have all of it.
DeviceLimits BenchNetwork::limits() {
  if (computer_.device != nullptr) network_.reset();
  return measure_limits(*backend_, dtype(), computer_.device);
}

void BenchNetwork::step_on(const Batch& batch) {
  network_->load(batch);
  set_rate();
  network_->run(network_->train_program(batch.count));
}

std::optional<double> BenchNetwork::joules() const { return energy_joules(gpu_); }

std::vector<double> BenchNetwork::step_timed() {
  set_rate();
  return network_->run_timed(plan_.train);
}

double BenchNetwork::warm_up() {
  const Clock::time_point begin = Clock::now();
  const double first = step();
  double before = first;
  for (int i = 1; !stopped() && seconds_since(begin) + before < kMostWarmUpSeconds; ++i) {
    const double now = step();
    const bool steady = std::abs(now - before) < kSteady * now || i >= kMostWarmUpSteps;
    if (steady && seconds_since(begin) > kLeastWarmUpSeconds) break;
    before = now;
  }
  start_.first_step_seconds = first;
  return first;
}

std::int64_t BenchNetwork::arena_bytes() const { return network_->arena_bytes(); }

DType BenchNetwork::dtype() const { return activation_dtype(config_.train.precision); }

BenchReport BenchNetwork::described() const {
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  return {.device = plan_.report.device,
          .model = config_.name,
          .precision = std::string(to_string(config_.train.precision)),
          .batch = plan_.report.batch,
          .threads = threads_ > 0 ? threads_ : cores,
          .planned_bytes = planned_bytes()};
}

BenchReport measure_steps(BenchNetwork& network, std::int64_t steps) {
  BenchReport report = network.described();
  static_cast<void>(network.warm_up());
  report.start = network.start_up();
  const auto joules = network.joules();
  std::vector<double> seconds;
  std::vector<std::vector<double>> rounds;
  while (std::cmp_less(seconds.size(), steps)) {
    const std::size_t left = static_cast<std::size_t>(steps) - seconds.size();
    const std::vector<double> some = network.steps(std::min(left, network.steps_at_a_time(kTogetherSeconds)));
    seconds.insert(seconds.end(), some.begin(), some.end());
    // Evenly among the whole ones, so that both see the same machine.
    if (rounds.size() * static_cast<std::size_t>(steps) < kMostTimedSteps * seconds.size() &&
        rounds.size() < kMostTimedSteps)
      rounds.push_back(network.step_timed());
    if (network.stopped()) break;
  }
  if (const auto now = network.joules(); now && joules && *now > *joules)
    report.joules_per_step = (*now - *joules) / static_cast<double>(seconds.size() + rounds.size());
  report.interrupted = std::cmp_less(seconds.size(), steps);
  add_times(report, std::move(seconds));
  report.measured_bytes = network.measured_bytes();
  add_costs(report, network.program(), step_means(rounds), network.limits());
  return report;
}

BenchReport measure_layer(BenchNetwork& network, std::string_view layer, std::int64_t rounds) {
  BenchReport report = network.described();
  const Program& program = network.program();
  const std::vector<bool> counted = steps_of_layer(program, layer);
  static_cast<void>(network.warm_up());
  report.start = network.start_up();
  std::vector<double> seconds;
  std::vector<std::vector<double>> times;
  for (std::int64_t round = 0; round < rounds && (round == 0 || !network.stopped()); ++round) {
    times.push_back(network.step_timed());
    double sum = 0;
    for (std::size_t i = 0; i < counted.size(); ++i) sum += counted[i] ? times.back()[i] : 0;
    seconds.push_back(sum);
  }
  report.interrupted = std::cmp_less(seconds.size(), rounds);
  report.measured_bytes = network.measured_bytes();
  add_times(report, std::move(seconds));
  add_costs(report, program, step_means(times), network.limits(), counted);
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
    for (const double seconds : network.steps(static_cast<std::size_t>(*steps))) milliseconds.push_back(1e3 * seconds);
    write(Stream::out, turn_json(milliseconds) + "\n");
  }
}

}  // namespace snug
