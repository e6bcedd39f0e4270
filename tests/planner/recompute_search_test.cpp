#include "planner/recompute_search.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "lowering/lowering.h"
#include "planner/assemble.h"
#include "planner/cost_model.h"
#include "planner/nets.h"

namespace snug {
namespace {

constexpr DeviceRates kRates{.flops_per_second = 1e12, .bytes_per_second = 1e11};

LoweringOptions options_for(bool in_place) {
  LoweringOptions options{.batch = 8};
  options.train.optimizer.momentum = 0.9;
  options.in_place = in_place;
  return options;
}

struct Net {
  const char* name;
  Graph (*graph)();
};
const Net kNets[] = {{"plain", [] { return test::small_net(false); }},
                     {"with norms", [] { return test::small_net(true); }},
                     {"odd", [] { return test::odd_net(); }}};

/// What placement has to hold: whole units of the alignment.
std::int64_t live_bytes(const Program& program) {
  std::vector<Buffer> buffers = transient_buffers(program);
  for (Buffer& buffer : buffers) {
    buffer.size_bytes = (buffer.size_bytes + kArenaAlignmentBytes - 1) / kArenaAlignmentBytes * kArenaAlignmentBytes;
  }
  return live_peak(buffers).bytes;
}

DropEvaluator evaluator_of(const Program& open) {
  return {open, std::vector<std::int64_t>(open.steps.size(), 0), kRates, true};
}

TEST(DropEvaluator, AgreesWithTheProgramItStandsFor) {
  for (const Net& net : kNets) {
    SCOPED_TRACE(net.name);
    const Graph graph = net.graph();
    const Program open = lower(graph, options_for(false));
    DropEvaluator evaluator = evaluator_of(open);
    const double plain_seconds = program_seconds(open, kRates);
    Random random(3);
    for (int round = 0; round < 50; ++round) {
      std::vector<char> dropped = evaluator.model().nothing();
      for (const std::int32_t candidate : evaluator.model().candidates()) {
        dropped[static_cast<std::size_t>(candidate)] = static_cast<char>(random.below(2));
      }
      const DropCost cost = evaluator.cost(dropped);
      LoweringOptions options = options_for(true);
      options.recomputed = evaluator.names(dropped);
      const Program program = lower(graph, options);
      // What is done again may be merged or write a mask that is not read: a few buffers' worth.
      const auto truth = static_cast<double>(live_bytes(program));
      EXPECT_NEAR(static_cast<double>(cost.peak_bytes), truth, 0.05 * truth);
      EXPECT_NEAR(cost.extra_seconds, program_seconds(program, kRates) - plain_seconds, 1e-9);
      EXPECT_EQ(evaluator.choice(options.recomputed), dropped);
    }
  }
}

/// A processor whose cache holds a few maps of the small network, and whose memory is slow.
constexpr DeviceRates kCached{.flops_per_second = 1e12,
                              .bytes_per_second = 1e11,
                              .cold_bytes_per_second = 1e10,
                              .stay_bytes_per_second = 1e11,
                              .cache_bytes = 3e5};

TEST(DropEvaluator, WhatIsQuickerMadeAgainTakesLessTime) {
  LoweringOptions options{.batch = 32};
  options.in_place = false;
  const Graph graph = test::small_net(true);
  const Program open = lower(graph, options);
  DropEvaluator evaluator(open, std::vector<std::int64_t>(open.steps.size(), 0), kCached, true);
  const std::vector<char> quicker = evaluator.quicker_again();
  options.recomputed = evaluator.names(quicker);
  ASSERT_FALSE(options.recomputed.empty());
  const double plain = program_seconds(open, kCached), again = program_seconds(lower(graph, options), kCached);
  EXPECT_LT(again, plain);
  EXPECT_NEAR(evaluator.cost(quicker).extra_seconds, again - plain, 0.1 * (plain - again));
  DropEvaluator without = evaluator_of(open);
  EXPECT_EQ(without.quicker_again(), without.model().nothing()) << "no cache is known";
}

TEST(RecomputeLadder, EveryRungNeedsLess) {
  for (const Net& net : kNets) {
    SCOPED_TRACE(net.name);
    const Program open = lower(net.graph(), options_for(false));
    DropEvaluator evaluator = evaluator_of(open);
    const auto rungs = recompute_ladder(evaluator);
    ASSERT_GE(rungs.size(), 3U);
    const DropCost all = evaluator.cost(rungs.front());
    EXPECT_EQ(all.extra_seconds, 0);
    const DropCost least = evaluator.cost(rungs.back());
    EXPECT_LT(least.peak_bytes, all.peak_bytes * 9 / 10);
    EXPECT_GT(least.extra_seconds, 0);
    for (std::size_t i = 1; i < rungs.size(); ++i) {
      EXPECT_LT(evaluator.cost(rungs[i]).peak_bytes, all.peak_bytes);
    }
  }
}

TEST(RecomputeLadder, IsTheBestOfATinyNetwork) {
  const Program open = lower(test::small_net(true), options_for(false));
  DropEvaluator evaluator = evaluator_of(open);
  const std::vector<std::int32_t>& candidates = evaluator.model().candidates();
  ASSERT_LE(candidates.size(), 14U);
  std::vector<DropCost> every;
  for (std::uint32_t bits = 0; bits < 1U << candidates.size(); ++bits) {
    std::vector<char> dropped = evaluator.model().nothing();
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      dropped[static_cast<std::size_t>(candidates[i])] = static_cast<char>(bits >> i & 1U);
    }
    every.push_back(evaluator.cost(dropped));
  }
  std::vector<DropCost> rungs;
  for (const auto& rung : recompute_ladder(evaluator)) rungs.push_back(evaluator.cost(rung));
  const auto cheapest = [](const std::vector<DropCost>& costs, std::int64_t limit) {
    double best = std::numeric_limits<double>::infinity();
    for (const DropCost& cost : costs) {
      if (cost.peak_bytes <= limit) best = std::min(best, cost.extra_seconds);
    }
    return best;
  };
  const double whole = program_seconds(open, kRates);
  for (const DropCost& rung : rungs) {
    // Within 2 % of a step of the best there is for the same bytes.
    EXPECT_LE(cheapest(rungs, rung.peak_bytes), cheapest(every, rung.peak_bytes) + 0.02 * whole);
  }
}

}  // namespace
}  // namespace snug
