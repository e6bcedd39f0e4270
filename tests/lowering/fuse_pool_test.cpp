// Which norms take the pool behind them, and what that saves. That values stay is tested in tests/ops on whole networks
// and in tests/kernels bit for bit.
#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "lowering/lowering.h"
#include "lowering/nets.h"
#include "ops/op.h"
#include "program/lifetimes.h"

namespace snug {
namespace {

using test::layer;
using test::net_of;

LayerConfig conv(Activation activation = Activation::relu) {
  ConvLayer made{.filters = 16, .kernel = {3, 3}};
  made.padding.kind = Padding::Kind::same;
  made.norm = true;
  made.activation = activation;
  return layer(made);
}

LayerConfig pool() { return layer(PoolLayer{}); }

LoweringOptions fusing() {
  LoweringOptions options{.batch = 16};
  options.products.possible = [](const Program&, const Step& step) { return is_pooled_norm(step.op); };
  return options;
}

std::int64_t count(const Program& program, Op op) { return std::ranges::count(program.steps, op, &Step::op); }

std::int64_t bytes_moved(const Program& program) {
  std::int64_t sum = 0;
  for (const Step& step : program.steps) sum += step_cost(program, step).bytes;
  return sum;
}

constexpr std::int64_t kMap = std::int64_t{16} * 8 * 8 * 16 * 4;  ///< bytes of the first layer's

std::int64_t maps(const Program& program) {
  return std::ranges::count_if(program.storages, [](const Storage& storage) {
    return storage.arena == Arena::transient && storage.size_bytes == kMap;
  });
}

/// The largest sum of transient bytes that live at a step of the phase: no plan takes fewer.
std::int64_t peak(const Program& program, Phase phase) {
  const std::vector<Lifetime> lives = lifetimes(program);
  std::int64_t most = 0;
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    if (program.steps[i].phase != phase) continue;
    const auto at = static_cast<std::int64_t>(i);
    std::int64_t sum = 0;
    for (std::size_t s = 0; s < lives.size(); ++s) {
      if (program.storages[s].arena == Arena::transient && lives[s].overlaps({at, at + 1}))
        sum += program.storages[s].size_bytes;
    }
    most = std::max(most, sum);
  }
  return most;
}

TEST(FusePool, TakesThePoolBothWays) {
  const Graph graph = net_of({conv(), pool(), conv()});
  const Program program = lower(graph, fusing());
  EXPECT_EQ(count(program, Op::batchnorm_maxpool_forward), 1);
  EXPECT_EQ(count(program, Op::batchnorm_maxpool_backward), 1);
  EXPECT_EQ(count(program, Op::batchnorm_statistics), 1);
  EXPECT_EQ(count(program, Op::batchnorm_forward), 1) << "the second layer's";
  EXPECT_EQ(count(program, Op::maxpool_forward) + count(program, Op::maxpool_backward), 0);
  // Without: what the convolution wrote, what the norm made of it, and the gradient that dx lies over.
  const Program apart = lower(graph, {.batch = 16});
  EXPECT_EQ(maps(apart), 3);
  EXPECT_EQ(maps(program), 2);
  // Forward the second layer is what is largest now; backward holds x and dx either way.
  EXPECT_LE(peak(program, Phase::forward) + kMap / 4, peak(apart, Phase::forward));
  EXPECT_LE(peak(program, Phase::backward), peak(apart, Phase::backward));
}

/// Of a map of N elements: forward a write and a read; backward a write, and two reads of it, but the second reads of
/// the pooled gradient and of its places, a quarter of N of 4 bytes and of 1.
TEST(FusePool, SavesWhatIsSaid) {
  const Graph graph = net_of({conv(), pool(), conv()});
  const std::int64_t n = std::int64_t{16} * 8 * 8 * 16;
  const std::int64_t saved = bytes_moved(lower(graph, {.batch = 16})) - bytes_moved(lower(graph, fusing()));
  const std::int64_t pooled = n / 4;
  EXPECT_NEAR(static_cast<double>(saved), static_cast<double>(5 * n * 4 - pooled * 5), 0.03 * static_cast<double>(n));
}

TEST(FusePool, LeavesWhatOthersReadAndWhatIsNoRelu) {
  BranchesLayer branches;
  branches.branches = {{pool()}, {pool()}};
  for (const Graph& graph : {net_of({conv(), layer(branches)}), net_of({conv(Activation::silu), pool()}),
                             net_of({conv(Activation::identity), pool()})}) {
    const Program program = lower(graph, fusing());
    EXPECT_TRUE(std::ranges::none_of(program.steps, [](const Step& step) { return is_pooled_norm(step.op); }));
  }
}

TEST(FusePool, AsksWhetherItIsPossibleAndPays) {
  const Graph graph = net_of({conv(), pool(), conv()});
  const std::string plain = print(lower(graph, {.batch = 16}));
  LoweringOptions slow = fusing();
  slow.products.seconds = [](const Program&, const Step& step) { return is_pooled_norm(step.op) ? 1.0 : 0.1; };
  EXPECT_EQ(print(lower(graph, slow)), plain);
  LoweringOptions impossible = fusing();
  impossible.products.possible = [](const Program&, const Step&) { return false; };
  EXPECT_EQ(print(lower(graph, impossible)), plain);
  LoweringOptions evaluation = fusing();
  evaluation.training = false;
  EXPECT_EQ(count(lower(graph, evaluation), Op::batchnorm_maxpool_forward), 0);
}

/// The pooled map and its places are made again from what the convolution wrote.
TEST(FusePool, CanBeDoneAgain) {
  const Graph graph = net_of({conv(), pool(), conv()});
  LoweringOptions options = fusing();
  for (const Storage& storage : lower(graph, fusing()).storages) options.recomputed.insert(storage.name);
  EXPECT_EQ(count(lower(graph, options), Op::batchnorm_maxpool_forward), 2);
}

}  // namespace
}  // namespace snug
