#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "memory/placement.h"
#include "memory/problems.h"

namespace snug {
namespace {

using ::testing::IsEmpty;

std::int64_t brute_force_peak(const std::vector<Buffer>& buffers, std::int64_t steps) {
  std::int64_t peak = 0;
  for (std::int64_t step = 0; step < steps; ++step) {
    std::int64_t live = 0;
    for (const Buffer& buffer : buffers) {
      if (buffer.life.first <= step && step < buffer.life.last) live += buffer.size_bytes;
    }
    peak = std::max(peak, live);
  }
  return peak;
}

TEST(LivePeak, FirstStepOfTheLargestSum) {
  const std::vector<Buffer> buffers{{10, {0, 4}}, {20, {2, 6}}, {15, {4, 8}}, {0, {0, 9}}, {99, {3, 3}}};
  const Peak peak = live_peak(buffers);
  EXPECT_EQ(peak.bytes, 35);
  EXPECT_EQ(peak.step, 4);
  EXPECT_EQ(live_peak({}).bytes, 0);
}

TEST(LivePeak, AgreesWithCounting) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const auto buffers = test::random_buffers({.buffers = 30, .steps = 20, .max_size = 50}, seed);
    EXPECT_EQ(live_peak(buffers).bytes, brute_force_peak(buffers, 21));
  }
}

TEST(Place, NothingTakesNothing) {
  EXPECT_EQ(place({}).height_bytes, 0);
  const std::vector<Buffer> buffers{{0, {0, 5}}, {10, {3, 3}}};
  const Placement placement = place(buffers);
  EXPECT_THAT(placement.offsets, ::testing::ElementsAre(0, 0));
  EXPECT_EQ(placement.height_bytes, 0);
}

TEST(Place, SharesBytesOverTime) {
  const std::vector<Buffer> buffers{{100, {0, 2}}, {100, {2, 4}}, {100, {4, 6}}};
  EXPECT_EQ(place(buffers).height_bytes, 100);
}

TEST(Place, AlignsOffsetsButNotTheTop) {
  const std::vector<Buffer> buffers{{100, {0, 2}}, {300, {0, 2}}, {1, {1, 4}}};
  const Placement placement = place(buffers, {.alignment_bytes = 256});
  EXPECT_THAT(validate(buffers, placement.offsets, 256), IsEmpty());
  EXPECT_LE(placement.height_bytes, 256 + 512 + 300);
  EXPECT_EQ(placement.lower_bound_bytes, 401);
}

TEST(Place, RandomProblemsAreSoundAndNearTheBound) {
  struct Row {
    test::RandomProblem problem;
    std::int64_t alignment;
  };
  const Row rows[] = {{{.buffers = 1, .steps = 1, .max_size = 10}, 1},
                      {{.buffers = 20, .steps = 10, .max_size = 1000}, 1},
                      {{.buffers = 100, .steps = 50, .max_size = 100000}, 256},
                      {{.buffers = 100, .steps = 3, .max_size = 5}, 64},
                      {{.buffers = 400, .steps = 1000, .max_size = 1 << 20}, 256}};
  for (const Row& row : rows) {
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
      SCOPED_TRACE(testing::Message() << row.problem.buffers << " buffers, seed " << seed);
      const auto buffers = test::random_buffers(row.problem, seed);
      const Placement placement = place(buffers, {.alignment_bytes = row.alignment});
      EXPECT_THAT(validate(buffers, placement.offsets, row.alignment, placement.height_bytes), IsEmpty());
      EXPECT_GE(placement.height_bytes, placement.lower_bound_bytes);
      EXPECT_EQ(placement.lower_bound_bytes, live_peak(buffers).bytes);
      std::vector<Buffer> rounded = buffers;
      for (Buffer& buffer : rounded) {
        buffer.size_bytes = (buffer.size_bytes + row.alignment - 1) / row.alignment * row.alignment;
      }
      EXPECT_LE(placement.height_bytes, live_peak(rounded).bytes * 115 / 100);
    }
  }
}

TEST(Place, TinyProblemsReachTheOptimum) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const auto buffers = test::random_buffers({.buffers = 7, .steps = 8, .max_size = 20}, seed);
    const Placement placement = place(buffers, {.alignment_bytes = 1});
    const std::int64_t best = test::optimum(buffers);
    EXPECT_GE(placement.height_bytes, best) << "the brute force is not one, seed " << seed;
    EXPECT_LE(placement.height_bytes, best) << "seed " << seed;
    EXPECT_TRUE(placement.optimal) << "seed " << seed;
  }
}

TEST(Place, IsTheSameEveryTime) {
  const auto buffers = test::random_buffers({.buffers = 60, .steps = 40, .max_size = 1000}, 3);
  EXPECT_EQ(place(buffers).offsets, place(buffers).offsets);
}

TEST(Place, SharedProblems) {
  const auto folder = test::data_folder("minimalloc");
  if (folder.empty()) GTEST_SKIP() << "no shared data: set SNUG_TEST_DATA";
  struct Row {
    const char* file;
    double over_bound;  // height ÷ lower bound at most
  };
  const Row rows[] = {{"A.1048576.csv", 1.0},        {"B.1048576.csv", 1.0}, {"C.1048576.csv", 1.0},
                      {"D.1048576.csv", 1.10},       {"E.1048576.csv", 1.0}, {"input.12.csv", 1.0},
                      {"resnet50-training.csv", 1.0}};
  for (const Row& row : rows) {
    SCOPED_TRACE(row.file);
    const auto buffers = test::read_problem(folder / row.file);
    ASSERT_FALSE(buffers.empty());
    const Placement placement = place(buffers, {.alignment_bytes = 1});
    EXPECT_THAT(validate(buffers, placement.offsets, 1, placement.height_bytes), IsEmpty());
    const double ratio = static_cast<double>(placement.height_bytes) / static_cast<double>(placement.lower_bound_bytes);
    EXPECT_LE(ratio, row.over_bound);
    RecordProperty(row.file, std::to_string(ratio));
    if (std::getenv("SNUG_VERBOSE") != nullptr) std::printf("%s %.4f\n", row.file, ratio);
  }
  EXPECT_EQ(live_peak(test::read_problem(folder / "resnet50-training.csv")).bytes, 1'515'472'556);
}

}  // namespace
}  // namespace snug
