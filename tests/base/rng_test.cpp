#include "base/rng.h"

#include <array>
#include <cmath>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace snug {
namespace {

using Words = std::array<std::uint32_t, 4>;

/// The published vectors of Random123 for philox4x32-10.
TEST(Philox, known_answers) {
  EXPECT_EQ(philox(0, 0, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr std::uint64_t kOnes = ~std::uint64_t{0};
  EXPECT_EQ(philox(kOnes, kOnes, kOnes), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  // Counter and key from the digits of π; words are stored low first.
  EXPECT_EQ(philox(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, is_a_constant_expression) { static_assert(philox(0, 0, 0)[0] == 0x6627e8d5); }

TEST(RandomKey, differs_by_seed_stream_and_item) {
  std::set<std::uint64_t> keys;
  for (const std::uint64_t seed : {1, 2}) {
    for (const auto stream : {RandomStream::initialization, RandomStream::shuffle, RandomStream::dropout}) {
      for (const std::uint64_t item : {0, 1, 2}) keys.insert(random_key(seed, stream, item));
    }
  }
  EXPECT_EQ(keys.size(), 18U);
}

TEST(Random, is_a_function_of_its_key) {
  Random a(7), b(7), c(8);
  std::vector<std::uint32_t> first, second, other;
  for (int i = 0; i < 9; ++i) {
    first.push_back(a.next());
    second.push_back(b.next());
    other.push_back(c.next());
  }
  EXPECT_EQ(first, second);
  EXPECT_NE(first, other);
  EXPECT_EQ(first[4], philox(7, 1, 0)[0]);  // four words a counter
}

TEST(ToUnit, covers_the_half_open_interval) {
  EXPECT_EQ(to_unit(0), 0.0F);
  EXPECT_EQ(to_unit(0x80000000), 0.5F);
  EXPECT_LT(to_unit(0xFFFFFFFF), 1.0F);
}

/// χ² of `counts` against equal expectation.
double chi_squared(const std::vector<std::int64_t>& counts, std::int64_t draws) {
  const double expected = static_cast<double>(draws) / static_cast<double>(counts.size());
  double sum = 0;
  for (const std::int64_t count : counts) {
    const double difference = static_cast<double>(count) - expected;
    sum += difference * difference / expected;
  }
  return sum;
}

TEST(Random, below_is_uniform) {
  constexpr std::int64_t kDraws = 60000;
  for (const std::uint32_t bound : {1U, 2U, 7U, 100U}) {
    Random random(bound);
    std::vector<std::int64_t> counts(bound, 0);
    for (std::int64_t i = 0; i < kDraws; ++i) {
      const std::uint32_t value = random.below(bound);
      ASSERT_LT(value, bound);
      ++counts[value];
    }
    // Mean bound − 1, standard deviation √(2 (bound − 1)): five of them.
    const double freedom = bound - 1;
    EXPECT_LE(chi_squared(counts, kDraws), freedom + 5 * std::sqrt(2 * freedom)) << "bound " << bound;
  }
}

/// A bound of ¾ · 2³² shows a missing rejection: without it every third value would come twice as often.
TEST(Random, below_rejects_the_surplus) {
  constexpr std::uint32_t kBound = 0xC0000000;
  constexpr std::int64_t kDraws = 30000;
  Random random(5);
  std::vector<std::int64_t> residues(3, 0);
  for (std::int64_t i = 0; i < kDraws; ++i) ++residues[random.below(kBound) % 3];
  EXPECT_LE(chi_squared(residues, kDraws), 2 + 5 * 2.0);
}

TEST(Random, normal_has_mean_zero_and_deviation_one) {
  constexpr int kDraws = 40000;
  Random random(11);
  double sum = 0, squares = 0, fourth = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double value = random.normal();
    sum += value;
    squares += value * value;
    fourth += value * value * value * value;
  }
  EXPECT_NEAR(sum / kDraws, 0, 0.025);      // five standard errors
  EXPECT_NEAR(squares / kDraws, 1, 0.036);  // of √2 ÷ 200
  EXPECT_NEAR(fourth / kDraws, 3, 0.25);    // of √96 ÷ 200
}

}  // namespace
}  // namespace snug
