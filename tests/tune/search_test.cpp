// The search on curves that never were: shapes with known answers, noise from seeds, no clock.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/rng.h"
#include "tune/search.h"

namespace snug {
namespace {

struct Shape {
  std::string name;
  std::int64_t limit = 0;
  std::function<double(std::int64_t)> rate;
};

const std::vector<Shape>& shapes() {
  static const std::vector<Shape> kShapes{
      {"saturates early", 4096, [](std::int64_t b) { return 1000.0 * double(b) / (double(b) + 2); }},
      {"saturates late", 65'535, [](std::int64_t b) { return 9000.0 * double(b) / (double(b) + 48); }},
      {"falls out of the cache", 4096,
       [](std::int64_t b) { return 800.0 * double(b) / (double(b) + 4) * (b > 96 ? 0.85 : 1.0); }},
      {"flat from one", 1024, [](std::int64_t) { return 50.0; }},
      {"falls from one", 512, [](std::int64_t b) { return 100.0 / (1 + 0.05 * std::log2(double(b))); }},
      {"waves of a GPU", 8192,
       [](std::int64_t b) { return 5000.0 * double(b) / (std::ceil(double(b) / 66) * 66 + 20); }},
      {"memory ends it while it rises", 96, [](std::int64_t b) { return 400.0 * double(b) / (double(b) + 40); }},
      {"one image fits", 1, [](std::int64_t) { return 3.0; }},
      {"five fit", 5, [](std::int64_t b) { return 10.0 * double(b) / (double(b) + 1); }},
  };
  return kShapes;
}

struct Noise {
  double deviation = 0;  ///< of a measurement
  double outliers = 0;   ///< share of measurements that lose a third
  double drift = 0;      ///< that the machine slows down by over a hundred measurements
};

class Synthetic final : public TuneMeter {
 public:
  Synthetic(const Shape& shape, Noise noise, std::uint64_t seed)
      : shape_(shape), noise_(noise), random_(random_key(seed, RandomStream::synthetic)) {}

  std::optional<TuneSample> measure(int setting, std::int64_t batch) override {
    EXPECT_EQ(setting, 0);
    EXPECT_GE(batch, 1);
    EXPECT_LE(batch, shape_.limit) << shape_.name << ": only what fits is run";
    double rate = shape_.rate(batch) * std::exp(noise_.deviation * random_.normal());
    if (random_.uniform() < noise_.outliers) rate *= 0.67;
    rate *= 1 - noise_.drift * static_cast<double>(count_++) / 100;
    const double step = static_cast<double>(batch) / rate;
    const double steps = step > 0.2 ? std::ceil(0.4 / step) : std::max(3.0, std::ceil(0.4 / step));
    const double seconds = 0.2 + step * steps;
    spent_ += seconds;
    ++measured_[batch];
    return TuneSample{.images_per_second = rate, .seconds = seconds};
  }
  bool stopped() override { return stop_after_ >= 0 && count_ >= stop_after_; }

  const Shape& shape_;
  Noise noise_;
  Random random_;
  int count_ = 0, stop_after_ = -1;
  double spent_ = 0;
  std::map<std::int64_t, int> measured_;
};

/// The fastest of every batch that a sweep would look at.
double sweep_best(const Shape& shape) {
  double best = 0;
  for (std::int64_t batch = 1; batch <= shape.limit; batch *= 2) {
    best = std::max(best, shape.rate(batch));
    if (batch / 2 * 3 <= shape.limit && batch >= 2) best = std::max(best, shape.rate(batch / 2 * 3));
  }
  return best;
}

struct Outcome {
  int good = 0;  ///< picks that reach 94 % of the sweep
  int most_measurements = 0;
  double least_share = 1;
};

Outcome many(const Shape& shape, Noise noise, int seeds) {
  Outcome outcome;
  for (int seed = 1; seed <= seeds; ++seed) {
    Synthetic meter(shape, noise, static_cast<std::uint64_t>(seed));
    const TuneResult result = tune({.limits = {shape.limit}, .time_limit_seconds = 1e9}, meter);
    const double share = shape.rate(result.curve.at(result.knee).batch) / sweep_best(shape);
    outcome.good += share >= 0.94 ? 1 : 0;
    outcome.least_share = std::min(outcome.least_share, share);
    outcome.most_measurements = std::max(outcome.most_measurements, meter.count_);
  }
  return outcome;
}

TEST(TuneSearch, WithoutNoiseTheKneeIsExact) {
  for (const Shape& shape : shapes()) {
    Synthetic meter(shape, {}, 1);
    const TuneResult result = tune({.limits = {shape.limit}, .time_limit_seconds = 1e9}, meter);
    ASSERT_FALSE(result.curve.empty()) << shape.name;
    EXPECT_EQ(result.end, TuneEnd::known) << shape.name;
    const TunePoint& knee = result.curve[result.knee];
    const TunePoint& fastest = result.curve[result.fastest];
    EXPECT_GE(knee.images_per_second, kNearFastest * fastest.images_per_second) << shape.name;
    for (const TunePoint& point : result.curve) {
      EXPECT_LE(point.images_per_second, fastest.images_per_second) << shape.name;
      if (point.batch < knee.batch) {
        EXPECT_LT(point.images_per_second, kNearFastest * fastest.images_per_second) << shape.name << point.batch;
      }
    }
    EXPECT_GE(shape.rate(knee.batch), 0.955 * sweep_best(shape)) << shape.name << " picked " << knee.batch;
    EXPECT_TRUE(std::ranges::is_sorted(result.curve, {}, &TunePoint::batch)) << shape.name;
  }
}

TEST(TuneSearch, PicksHoldAgainstASweepUnderNoise) {
  struct Row {
    Noise noise;
    int least_good = 0;  ///< of a thousand
  };
  for (const Row& row : {Row{{.deviation = 0.01}, 1000}, Row{{.deviation = 0.03}, 960},
                         Row{{.deviation = 0.02, .outliers = 0.1}, 970}, Row{{.deviation = 0.01, .drift = 0.1}, 985}}) {
    for (const Shape& shape : shapes()) {
      const Outcome outcome = many(shape, row.noise, 1000);
      EXPECT_GE(outcome.good, row.least_good)
          << shape.name << ", noise " << row.noise.deviation << ", outliers " << row.noise.outliers << ", drift "
          << row.noise.drift << ": the worst reaches " << outcome.least_share;
      EXPECT_LE(outcome.most_measurements, 220) << shape.name;
    }
  }
}

TEST(TuneSearch, IsNoGrid) {
  // A sweep of the same batches for 20 s each takes ten minutes.
  const Shape& shape = shapes()[1];
  Synthetic meter(shape, {.deviation = 0.01}, 7);
  const TuneResult result = tune({.limits = {shape.limit}, .time_limit_seconds = 200}, meter);
  for (const auto& [batch, times] : meter.measured_) {
    EXPECT_TRUE(batch < shape.limit / 4 || (batch == shape.limit && times == 1)) << "it ends where the curve is flat";
  }
  EXPECT_LT(result.seconds, 62);
  EXPECT_DOUBLE_EQ(result.seconds, meter.spent_);
}

TEST(TuneSearch, KeepsToItsTime) {
  for (const Shape& shape : shapes()) {
    for (const double limit : {3.0, 10.0, 30.0}) {
      Synthetic meter(shape, {.deviation = 0.02}, 3);
      const TuneResult result = tune({.limits = {shape.limit}, .time_limit_seconds = limit}, meter);
      if (shape.limit > 1) {
        EXPECT_LE(result.seconds, 1.3 * limit) << shape.name << " within " << limit;
      }
      EXPECT_FALSE(result.curve.empty()) << shape.name;
      if (result.end == TuneEnd::known) {
        EXPECT_LE(result.seconds, 1.3 * limit);
      }
    }
  }
}

TEST(TuneSearch, WhatWasMeasuredIsKeptWhenTheUserStops) {
  for (int after = 0; after < 40; ++after) {
    Synthetic meter(shapes()[0], {.deviation = 0.01}, 5);
    meter.stop_after_ = after;
    const TuneResult result = tune({.limits = {4096}, .time_limit_seconds = 1e9}, meter);
    EXPECT_LE(meter.count_, after);
    EXPECT_EQ(result.curve.empty(), after == 0);
    if (after < 20) {
      EXPECT_EQ(result.end, TuneEnd::stopped) << after;
    }
    if (after > 0) {
      EXPECT_LT(result.knee, result.curve.size());
    }
  }
}

/// Two settings: the second is twice as fast and fits half as much; a third has no batch at all.
class TwoSettings final : public TuneMeter {
 public:
  std::optional<TuneSample> measure(int setting, std::int64_t batch) override {
    EXPECT_LT(setting, 2);
    if (setting == 1 && batch > 64) return std::nullopt;  // does not fit though it was thought to
    const double rate = (setting + 1) * 100.0 * static_cast<double>(batch) / (static_cast<double>(batch) + 30);
    return TuneSample{.images_per_second = rate, .seconds = 0.5};
  }
  bool stopped() override { return false; }
};

TEST(TuneSearch, SettingsAreHeldAgainstEachOther) {
  TwoSettings meter;
  const TuneResult result = tune({.limits = {1024, 1024, 0}, .time_limit_seconds = 1e9}, meter);
  EXPECT_EQ(result.curve[result.knee].setting, 1);
  EXPECT_EQ(result.curve[result.fastest].batch, 64);
  for (const TunePoint& point : result.curve)
    if (point.setting == 1) {
      EXPECT_LE(point.batch, 64);
    }
}

TEST(TuneSearch, NothingFitsNothingIsMeasured) {
  Synthetic meter(shapes()[0], {}, 1);
  EXPECT_TRUE(tune({.limits = {0}, .time_limit_seconds = 10}, meter).curve.empty());
  EXPECT_EQ(meter.count_, 0);
}

}  // namespace
}  // namespace snug
