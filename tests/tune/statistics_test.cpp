#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/rng.h"
#include "tune/statistics.h"

namespace snug {
namespace {

TEST(Statistics, QuantilesLieBetweenValues) {
  struct Row {
    std::vector<double> values;
    double share, expected;
  };
  for (const Row& row : {Row{{3, 1, 2}, 0.5, 2}, Row{{1, 2}, 0.5, 1.5}, Row{{4}, 0.95, 4}, Row{{0, 10}, 0.05, 0.5},
                         Row{{}, 0.5, 0}, Row{{5, 1, 9}, 1, 9}, Row{{5, 1, 9}, 0, 1}})
    EXPECT_DOUBLE_EQ(quantile(row.values, row.share), row.expected);
}

TEST(Statistics, ErrorsOfMediansAreOfTheSpreadAndNotOfOutliers) {
  EXPECT_TRUE(std::isinf(median_error({1, 2})));
  EXPECT_EQ(median_error({7, 7, 7, 7}), 0);
  EXPECT_DOUBLE_EQ(median_error({99, 100, 101, 100, 1000}), median_error({99, 100, 101, 100, 101}));
  // The true error, from many draws.
  Random random(random_key(1, RandomStream::synthetic));
  std::vector<double> medians;
  double told = 0;
  constexpr int kDraws = 2000;
  for (int i = 0; i < kDraws; ++i) {
    std::vector<double> values(25);
    for (double& value : values) value = 100 + 3 * random.normal();
    medians.push_back(median(values));
    told += median_error(values) / kDraws;
  }
  double deviation = 0;
  for (const double value : medians) deviation += (value - 100) * (value - 100) / kDraws;
  EXPECT_NEAR(told, std::sqrt(deviation) / 100, 0.15 * told);
}

/// Steps of a machine that is now faster, now slower: neighbours are alike.
std::vector<double> run_of(Random& random, double middle, int steps, double noise, double wander) {
  std::vector<double> run;
  double state = 0;
  for (int i = 0; i < steps; ++i) {
    state = 0.9 * state + wander * std::sqrt(1 - 0.81) * random.normal();
    run.push_back(middle * std::exp(noise * random.normal() + state));
  }
  return run;
}

TEST(Statistics, IntervalsCoverTheTruthAsOftenAsTheySay) {
  struct Row {
    double noise, wander;
    int least;  ///< of 100
  };
  for (const Row& row : {Row{0.02, 0, 88}, Row{0.01, 0.01, 75}}) {
    Random random(random_key(3, RandomStream::synthetic));
    int covered = 0;
    for (int i = 0; i < 100; ++i) {
      const Runs before{run_of(random, 10, 60, row.noise, row.wander)};
      const Runs after{run_of(random, 10.5, 60, row.noise, row.wander)};
      const Interval interval = ratio_interval(before, after, 0.95);
      EXPECT_LE(interval.low, interval.high);
      covered += interval.low <= 1.05 && 1.05 <= interval.high ? 1 : 0;
    }
    EXPECT_GE(covered, row.least) << row.noise << " " << row.wander;
  }
}

/// Whether the interval of two runs lies beyond 2 % on one side: what `bench compare` calls a change.
bool is_change(const Interval& interval) { return interval.low > 1.02 || interval.high < 0.98; }

TEST(Statistics, RunsThatDifferByHalfOfWhatTheirStepsDoAreNoChange) {
  Random random(random_key(6, RandomStream::synthetic));
  int changes = 0, seen = 0;
  for (int i = 0; i < 200; ++i) {
    // As on a virtual machine whose neighbours compute: steps differ by 4 %, runs by 2.
    const double first = 10 * (1 + 0.02 * random.normal()), second = 10 * (1 + 0.02 * random.normal());
    changes +=
        is_change(ratio_interval({run_of(random, first, 20, 0.04, 0)}, {run_of(random, second, 20, 0.04, 0)}, 0.95));
    // As on one that is left alone.
    const Interval slower =
        ratio_interval({run_of(random, 10, 20, 0.01, 0)}, {run_of(random, 10.5, 20, 0.01, 0)}, 0.95);
    seen += is_change(slower);
  }
  EXPECT_LE(changes, 10);
  EXPECT_GE(seen, 190);
}

TEST(Statistics, IntervalsRepeatAndOfOneValueHaveNoWidth) {
  Random random(random_key(4, RandomStream::synthetic));
  const Runs a{run_of(random, 5, 30, 0.03, 0)}, b{run_of(random, 5, 40, 0.03, 0), run_of(random, 5, 20, 0.03, 0)};
  const Interval first = ratio_interval(a, b, 0.95), second = ratio_interval(a, b, 0.95);
  EXPECT_EQ(first.low, second.low);
  EXPECT_EQ(first.high, second.high);
  const Interval single = ratio_interval({{2.0}}, {{3.0}}, 0.95);
  EXPECT_EQ(single.low, 1.5);
  EXPECT_EQ(single.high, 1.5);
  EXPECT_DOUBLE_EQ(ratio_of_medians({{1, 2, 3}, {4}}, {{6}}), 2.0);
}

TEST(Statistics, ASlowBeginningIsNotSteady) {
  const std::vector<double> seconds{9, 3, 1.0, 1.1, 1.0, 0.9, 5, 1.0};
  const auto steady = steady_part(seconds);
  EXPECT_EQ(steady.size(), 6U);
  EXPECT_EQ(steady.front(), 1.0);
  EXPECT_EQ(steady_part(std::vector<double>{9, 9, 1, 1}).size(), 2U) << "half of them stay";
  EXPECT_TRUE(steady_part({}).empty());
  EXPECT_EQ(steady_part(std::vector<double>{2}).size(), 1U);
}

}  // namespace
}  // namespace snug
