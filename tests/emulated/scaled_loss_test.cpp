// fp16: losses are scaled, steps that overflow change nothing, and the scale follows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "emulated/emulated_device.h"
#include "emulated/runs.h"

namespace snug::test {
namespace {

/// So large that the first gradients of these networks are infinite in fp16.
RunOptions overflowing() { return {.precision = "fp16", .set = {{"train.loss_scale", "1048576"}}}; }

class ScaledLoss : public testing::TestWithParam<NetText> {
 protected:
  Runs runs_;
};

TEST_P(ScaledLoss, learns_as_the_processor_does_in_fp32) {
  const RunResult cpu = runs_.on_cpu(GetParam());
  const RunResult device = runs_.emulated(GetParam(), {.precision = "fp16", .isolate = true});
  ASSERT_EQ(cpu.losses.size(), device.losses.size());
  // Bottlenecks are the deepest: roundings that flip a relu grow over their steps, as far as bf16's.
  const double share = GetParam().name == "bottleneck" ? 2e-2 : 1e-2;
  for (std::size_t i = 0; i < cpu.losses.size(); ++i)
    EXPECT_NEAR(cpu.losses[i], device.losses[i], share * cpu.losses.front()) << "step " << i;
  EXPECT_EQ(device.epochs.front().loss_scale, 65536);
}

TEST_P(ScaledLoss, that_overflows_skips_steps_until_it_does_not) {
  const RunResult run = runs_.emulated(GetParam(), overflowing());
  const std::int64_t skipped = run.epochs.front().skipped_steps;
  ASSERT_GT(skipped, 0);
  ASSERT_LT(skipped, 6) << "and some steps of the epoch count";
  EXPECT_EQ(run.epochs.front().loss_scale, std::ldexp(1.0, 20 - static_cast<int>(skipped)));
  EXPECT_EQ(std::ranges::count(run.findings, "T632", &Diagnostic::code), 1);
  for (const double loss : run.losses) EXPECT_TRUE(std::isfinite(loss));
  const RunResult clean = runs_.emulated(GetParam(), {.precision = "fp16"});
  EXPECT_EQ(clean.epochs.front().skipped_steps, 0);
  EXPECT_EQ(std::ranges::count(clean.findings, "T632", &Diagnostic::code), 0);
  EXPECT_EQ(run.losses.front(), clean.losses.front()) << "the scale does not touch the loss";
  EXPECT_NE(run.losses, clean.losses);
}

TEST_P(ScaledLoss, resumes_exactly_with_the_scale_that_it_had) {
  const RunResult whole = runs_.emulated(GetParam(), overflowing());
  for (const std::int64_t steps : {1, 4, 8}) {
    RunOptions part = overflowing();
    part.max_steps = steps;
    (void)runs_.emulated(GetParam(), part);
    part.max_steps = 0;
    part.resume = true;
    const RunResult rest = runs_.emulated(GetParam(), part);
    EXPECT_TRUE(whole.weights == rest.weights) << "after " << steps;
    EXPECT_EQ(whole.epochs.back().skipped_steps, rest.epochs.back().skipped_steps);
    EXPECT_EQ(whole.epochs.back().loss_scale, rest.epochs.back().loss_scale);
  }
}

TEST_P(ScaledLoss, makes_equal_bits_with_graphs_and_without) {
  RunOptions graphs = overflowing(), launches = overflowing();
  launches.device = std::make_shared<EmulatedDevice>(EmulatedOptions{.records = false});
  EXPECT_TRUE(runs_.emulated(GetParam(), graphs).weights == runs_.emulated(GetParam(), launches).weights);
}

INSTANTIATE_TEST_SUITE_P(Nets, ScaledLoss, testing::ValuesIn(nets()),
                         [](const auto& net) { return std::string(net.param.name); });

/// A gradient that no scale helps is not skipped for ever.
TEST(ScaledLosses, that_cannot_be_scaled_down_end_the_run) {
  const Runs runs;
  const RunOptions options{
      .precision = "fp16",
      .set = {{"train.loss_scale", "1"}, {"train.optimizer.lr", "1e30"}, {"train.clip_norm", "0"}}};
  try {
    (void)runs.emulated(nets()[0], options);
    FAIL() << "it diverges";
  } catch (const Error& error) {
    EXPECT_EQ(error.findings().front().code, "N601");
    EXPECT_THAT(error.findings().front().fix, testing::HasSubstr("bf16"));
  }
}

}  // namespace
}  // namespace snug::test
