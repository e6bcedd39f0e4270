#include "cli/tune_meter.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "base/ensure.h"
#include "cli/common.h"
#include "train/process.h"
#include "tune/statistics.h"

namespace snug {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMostSteps = 200;         // of a measurement
constexpr double kShortStep = 0.2;      // seconds: one more step is spared to bring a network back into the caches
constexpr std::size_t kLeastSteps = 3;  // of a measurement whose steps are short

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

bool is_memory(const Error& error) {
  return std::ranges::all_of(error.findings(), [](const Diagnostic& f) { return f.code.starts_with('M'); });
}
/// A device that vanished, stopped, or ran out of memory while it computed.
bool is_of_device(const std::vector<Diagnostic>& findings) {
  return std::ranges::all_of(findings, [](const Diagnostic& f) { return f.code.starts_with('G') || f.code == "M304"; });
}

}  // namespace

NetworkMeter::NetworkMeter(const std::vector<TuneSetting>& settings, const std::vector<DeviceMemory>& memory,
                           TuneMeterOptions options)
    : settings_(settings), memory_(memory), options_(std::move(options)) {}

std::optional<TuneSample> NetworkMeter::measure(int setting, std::int64_t batch) {
  try {
    return sample({setting, batch});
  } catch (...) {
    failure_ = current_exception_findings();
    if (!is_of_device(failure_)) throw;
    return std::nullopt;
  }
}

std::optional<TuneSample> NetworkMeter::sample(const Key& key) {
  const Clock::time_point begin = Clock::now();
  bool fresh = false;
  BenchNetwork* network = obtain(key, fresh);
  if (network == nullptr) return std::nullopt;
  if (fresh) {
    static_cast<void>(network->warm_up());
    bytes_[key] = {.planned = network->planned_bytes(), .measured = measured_bytes(*network)};
  } else if (network->start_up().first_step_seconds < kShortStep) {
    static_cast<void>(network->step());
  }
  std::vector<double> seconds;
  double sum = 0;
  while (seconds.size() < kMostSteps) {
    if (stopped()) return std::nullopt;
    const auto some = network->steps(network->steps_at_a_time(options_.sample_seconds / kLeastSteps));
    seconds.insert(seconds.end(), some.begin(), some.end());
    const double last = seconds.back();
    sum = std::accumulate(some.begin(), some.end(), sum);
    const bool enough = seconds.size() >= kLeastSteps || last > options_.sample_seconds / 2;
    if (enough && sum + last / 2 > options_.sample_seconds) break;
  }
  const double rate = static_cast<double>(key.second) / median(std::move(seconds));
  if (options_.told) options_.told(key.first, key.second, rate);
  return TuneSample{.images_per_second = rate, .seconds = seconds_since(begin)};
}

NetworkMeter::Bytes NetworkMeter::bytes(int setting, std::int64_t batch) const {
  const auto at = bytes_.find({setting, batch});
  return at == bytes_.end() ? Bytes{} : at->second;
}

BenchNetwork& NetworkMeter::network(int setting, std::int64_t batch) {
  bool fresh = false;
  BenchNetwork* network = obtain({setting, batch}, fresh);
  ensure(network != nullptr, "what was measured fits");
  return *network;
}

BenchNetwork* NetworkMeter::obtain(const Key& key, bool& fresh) {
  const auto at = std::ranges::find(live_, key, &Live::key);
  if (at != live_.end()) {
    live_.splice(live_.begin(), live_, at);
    return live_.front().network.get();
  }
  const TuneSetting& setting = settings_[static_cast<std::size_t>(key.first)];
  BenchNetworkOptions options{.threads = options_.threads,
                              .computer = options_.computer,
                              .batch = key.second,
                              .memory = memory_[static_cast<std::size_t>(key.first)],
                              .alone = true,
                              .before_memory = [this](std::int64_t bytes) { make_room(bytes); },
                              .stop = options_.stop};
  try {
    auto network = std::make_unique<BenchNetwork>(setting.config, setting.setup, options);
    const std::int64_t bytes = network->planned_bytes();
    live_.push_front({.key = key, .bytes = bytes, .network = std::move(network)});
  } catch (const Error& error) {
    if (!is_memory(error)) throw;
    return nullptr;
  }
  fresh = true;
  return live_.front().network.get();
}

/// Gives up networks, those first that were not used for longest, until so many bytes more are within the budget.
void NetworkMeter::make_room(std::int64_t bytes) {
  std::int64_t held = 0;
  for (const Live& live : live_) held += live.bytes;
  while (!live_.empty() && held + bytes > options_.budget_bytes) {
    held -= live_.back().bytes;
    live_.pop_back();
  }
}

/// What the process holds, without the arenas of the other networks.
std::int64_t NetworkMeter::measured_bytes(const BenchNetwork& network) const {
  std::int64_t others = 0;
  for (const Live& live : live_)
    if (live.network.get() != &network) others += live.network->arena_bytes();
  const std::int64_t held = options_.computer ? snug::measured_bytes(*options_.computer) : resident_bytes();
  return std::max<std::int64_t>(network.arena_bytes(), held - others);
}

}  // namespace snug
