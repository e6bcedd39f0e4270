#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <span>
#include <utility>

#include "memory/placement.h"
#include "memory/problems.h"

namespace snug {
namespace {

using ::testing::IsEmpty;

/// Rectangles that cut a whole one up: they fit `height` exactly, over every step.
std::vector<Buffer> cut_up(std::size_t pieces, std::int64_t steps, std::int64_t height, std::uint64_t seed) {
  Random random(seed);
  std::vector<Buffer> buffers{{.size_bytes = height, .life = {0, steps}}};
  while (buffers.size() < pieces) {
    Buffer& whole = buffers[random.below(static_cast<std::uint32_t>(buffers.size()))];
    const std::int64_t length = whole.life.last - whole.life.first;
    Buffer rest = whole;
    if (random.below(2) == 0 && length > 1) {
      whole.life.last = whole.life.first + 1 + random.below(static_cast<std::uint32_t>(length - 1));
      rest.life.first = whole.life.last;
    } else if (whole.size_bytes > 1) {
      whole.size_bytes = 1 + random.below(static_cast<std::uint32_t>(whole.size_bytes - 1));
      rest.size_bytes -= whole.size_bytes;
    } else {
      continue;
    }
    buffers.push_back(rest);
  }
  return buffers;
}

void expect_sound(std::span<const Buffer> buffers, const Placement& placement) {
  EXPECT_THAT(validate(buffers, placement.offsets, 1, placement.height_bytes), IsEmpty());
  EXPECT_EQ(placement.lower_bound_bytes, live_peak(buffers).bytes);
  EXPECT_GE(placement.proven_bound_bytes, placement.lower_bound_bytes);
  EXPECT_GE(placement.height_bytes, placement.proven_bound_bytes);
  EXPECT_EQ(placement.optimal, placement.height_bytes == placement.proven_bound_bytes);
}

TEST(Solve, NothingTakesNothing) {
  const Placement placement = solve({}, {.capacity_bytes = 0});
  EXPECT_EQ(placement.height_bytes, 0);
  EXPECT_TRUE(placement.optimal);
}

TEST(Solve, ProvesWhatTheLowerBoundDoesNot) {
  const std::vector<Buffer> problems[] = {
      {{2, {0, 2}}, {2, {0, 1}}, {1, {1, 4}}, {1, {1, 3}}, {1, {2, 3}}, {1, {2, 4}}, {2, {3, 5}}, {2, {4, 5}}},
      {{4, {0, 3}},
       {2, {0, 2}},
       {1, {2, 5}},
       {1, {2, 4}},
       {1, {3, 6}},
       {3, {3, 4}},
       {4, {4, 7}},
       {1, {5, 6}},
       {2, {6, 7}}}};
  for (const auto& buffers : problems) {
    const std::int64_t best = test::optimum(buffers);
    ASSERT_GT(best, live_peak(buffers).bytes) << "no example of what it is to be one of";
    const Placement least = solve(buffers, {});
    expect_sound(buffers, least);
    EXPECT_EQ(least.height_bytes, best);
    EXPECT_TRUE(least.optimal);
    EXPECT_EQ(place(buffers, {.alignment_bytes = 1}).height_bytes, best);
    EXPECT_EQ(solve(buffers, {.capacity_bytes = best - 1}).proven_bound_bytes, best);
  }
}

TEST(Solve, AgreesWithBruteForce) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const test::RandomProblem problem{.buffers = 1 + static_cast<int>(seed % 7),
                                      .steps = 3 + static_cast<std::uint32_t>(seed % 5),
                                      .max_size = seed % 3 == 0 ? 6U : 1000U};
    const auto buffers = test::random_buffers(problem, seed);
    const std::int64_t best = test::optimum(buffers);
    const Placement least = solve(buffers, {});
    expect_sound(buffers, least);
    EXPECT_EQ(least.height_bytes, best);
    EXPECT_TRUE(least.optimal);
    EXPECT_LE(solve(buffers, {.capacity_bytes = best}).height_bytes, best);
    const Placement below = solve(buffers, {.capacity_bytes = best - 1});
    expect_sound(buffers, below);
    EXPECT_GE(below.height_bytes, best);
    EXPECT_GE(below.proven_bound_bytes, best) << "that nothing is within one byte less is proven";
  }
}

TEST(Solve, FindsPackingsWithoutHoles) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const auto buffers = cut_up(60, 40, 1000, seed);
    const Placement placement = solve(buffers, {.time_limit_seconds = 60});
    expect_sound(buffers, placement);
    EXPECT_EQ(placement.height_bytes, 1000);
  }
}

TEST(Solve, MoreCapacityNeverFails) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto buffers = test::random_buffers({.buffers = 12, .steps = 9, .max_size = 30}, seed);
    const Placement least = solve(buffers, {});
    ASSERT_TRUE(least.optimal) << "seed " << seed;
    for (std::int64_t capacity = least.height_bytes - 3; capacity < least.height_bytes + 10; ++capacity) {
      const Placement placement = solve(buffers, {.capacity_bytes = capacity});
      expect_sound(buffers, placement);
      EXPECT_EQ(placement.height_bytes <= capacity, capacity >= least.height_bytes)
          << "seed " << seed << ", capacity " << capacity;
    }
  }
}

TEST(Solve, ACapacityBelowTheBoundIsHopelessAtOnce) {
  const auto buffers = cut_up(2000, 300, 1 << 20, 1);
  const Placement placement = solve(buffers, {.capacity_bytes = (1 << 20) - 1, .time_limit_seconds = 1e9});
  expect_sound(buffers, placement);
  EXPECT_GT(placement.height_bytes, (1 << 20) - 1);
}

TEST(Solve, TimeOutGivesTheBestSoFar) {
  const auto buffers = cut_up(1500, 200, 1 << 20, 2);
  const Placement placement = solve(buffers, {.time_limit_seconds = 0});
  expect_sound(buffers, placement);
}

TEST(Solve, PartsApartInTimeAreSolvedApart) {
  std::vector<Buffer> buffers;
  std::int64_t tallest = 0;
  for (std::uint64_t part = 0; part < 30; ++part) {
    const std::int64_t height = 500 + static_cast<std::int64_t>(part * 17 % 30);
    tallest = std::max(tallest, height);
    for (Buffer buffer : cut_up(30, 20, height, part)) {
      buffer.life.first += static_cast<std::int64_t>(part) * 20;
      buffer.life.last += static_cast<std::int64_t>(part) * 20;
      buffers.push_back(buffer);
    }
  }
  const Placement placement = solve(buffers, {.time_limit_seconds = 60});
  expect_sound(buffers, placement);
  EXPECT_EQ(placement.height_bytes, tallest);
}

TEST(Solve, LargeProblemsAreSound) {
  struct Row {
    std::vector<Buffer> buffers;
    double over_bound;  // height ÷ lower bound at most
  };
  const Row rows[] = {{cut_up(3000, 500, 1 << 24, 3), 2},
                      {test::random_buffers({.buffers = 3000, .steps = 4000, .max_size = 1 << 20}, 4), 1.1}};
  for (const Row& row : rows) {
    const Placement placement = solve(row.buffers, {.time_limit_seconds = 1});
    expect_sound(row.buffers, placement);
    EXPECT_LE(static_cast<double>(placement.height_bytes),
              row.over_bound * static_cast<double>(placement.lower_bound_bytes));
  }
}

TEST(Solve, FiftyThousandBuffers) {
  Random random(5);
  std::vector<Buffer> buffers;
  for (int i = 0; i < 50'000; ++i) {
    const std::int64_t first = random.below(100'000);
    buffers.push_back({.size_bytes = 1 + random.below(1 << 20), .life = {first, first + 1 + random.below(60)}});
  }
  const Placement placement = solve(buffers, {.time_limit_seconds = 1});
  expect_sound(buffers, placement);
  EXPECT_LE(static_cast<double>(placement.height_bytes), 1.1 * static_cast<double>(placement.lower_bound_bytes));
}

TEST(Solve, ExtremeNumbers) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
  const std::vector<Buffer> buffers{{kMost / 2, {kLeast, 0}}, {kMost / 2 - 1, {-1, kMost}}, {1, {kLeast, kMost}}};
  const Placement placement = solve(buffers, {});
  expect_sound(buffers, placement);
  EXPECT_EQ(placement.height_bytes, kMost / 2 + kMost / 2);
  EXPECT_TRUE(placement.optimal);
  const std::vector<Buffer> whole{{1, {kLeast, kMost}}, {kMost - 1, {kLeast, 0}}, {0, {0, 1}}};
  EXPECT_EQ(solve(whole, {}).height_bytes, kMost);
}

TEST(Solve, SharedProblems) {
  const auto folder = test::data_folder("minimalloc");
  if (folder.empty()) GTEST_SKIP() << "no shared data: set SNUG_TEST_DATA";
  for (const char* file : {"A", "B", "C", "D", "E"}) {
    SCOPED_TRACE(file);
    const auto buffers = test::read_problem(folder / (std::string(file) + ".1048576.csv"));
    ASSERT_FALSE(buffers.empty());
    const Placement placement = solve(buffers, {.capacity_bytes = 1 << 20, .time_limit_seconds = 60});
    expect_sound(buffers, placement);
    EXPECT_LE(placement.height_bytes, 1 << 20);
    // Time that runs backwards is another problem to the search, and as good as this one.
    std::vector<Buffer> mirrored = buffers;
    for (Buffer& buffer : mirrored) buffer.life = {-buffer.life.last, -buffer.life.first};
    EXPECT_LE(solve(mirrored, {.capacity_bytes = 1 << 20, .time_limit_seconds = 60}).height_bytes, 1 << 20);
  }
  const auto training = test::read_problem(folder / "resnet50-training.csv");
  const Placement placement = solve(training, {});
  expect_sound(training, placement);
  EXPECT_EQ(placement.height_bytes, 1'515'472'556);
  EXPECT_TRUE(placement.optimal);
}

}  // namespace
}  // namespace snug
