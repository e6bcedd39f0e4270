// Networks of several batch sizes, timed in turn: what the search of `tune` measures with.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/bench_network.h"
#include "snug/diagnostic.h"
#include "tune/search.h"

namespace snug {

/// A way to run: a precision, and a number of parts that a batch is done in.
struct TuneSetting {
  Config config;
  RunSetup setup;
};

struct TuneMeterOptions {
  int threads = 0;
  std::optional<Computer> computer{};  ///< absent: this processor
  double sample_seconds = 0.4;         ///< of steps in one measurement; one step where that takes longer
  std::int64_t budget_bytes = 0;       ///< of all networks that are kept at a time
  const std::atomic<bool>* stop = nullptr;
  std::function<void(int setting, std::int64_t batch, double images_per_second)> told{};  ///< after each measurement
};

class NetworkMeter final : public TuneMeter {
 public:
  /// `memory`: of each setting's device, before any network took of it. All must outlive the meter.
  NetworkMeter(const std::vector<TuneSetting>& settings, const std::vector<DeviceMemory>& memory,
               TuneMeterOptions options);

  std::optional<TuneSample> measure(int setting, std::int64_t batch) override;
  bool stopped() override { return !failure_.empty() || (options_.stop != nullptr && options_.stop->load()); }
  /// What the device failed with, if it did: from then on nothing is measured, and what was measured stays.
  [[nodiscard]] const std::vector<Diagnostic>& failure() const { return failure_; }

  struct Bytes {
    std::int64_t planned = 0, measured = 0;
  };
  [[nodiscard]] Bytes bytes(int setting, std::int64_t batch) const;
  /// The network of a batch that was measured; made again where it was given up.
  [[nodiscard]] BenchNetwork& network(int setting, std::int64_t batch);

 private:
  using Key = std::pair<int, std::int64_t>;
  struct Live {
    Key key;
    std::int64_t bytes = 0;
    std::unique_ptr<BenchNetwork> network;
  };
  std::optional<TuneSample> sample(const Key& key);
  BenchNetwork* obtain(const Key& key, bool& fresh);
  void make_room(std::int64_t bytes);
  [[nodiscard]] std::int64_t measured_bytes(const BenchNetwork& network) const;

  const std::vector<TuneSetting>& settings_;
  const std::vector<DeviceMemory>& memory_;
  TuneMeterOptions options_;
  std::list<Live> live_;  ///< what was used last comes first
  std::map<Key, Bytes> bytes_;
  std::vector<Diagnostic> failure_;
};

}  // namespace snug
