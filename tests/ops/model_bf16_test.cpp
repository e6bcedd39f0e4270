// Whole training runs with activations in bf16: shared memory changes no bit, and they learn as those in fp32 do.
#include <cmath>

#include <gtest/gtest.h>

#include "config/precision.h"
#include "ops/model_harness.h"

namespace snug::ops_test {
namespace {

class ModelBf16 : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = cannot_compute(Precision::bf16, this_processor())) GTEST_SKIP() << *why;
  }
};

TEST_F(ModelBf16, reuse_changes_no_bit) {
  const auto cpu = make_cpu_backend({.threads = 1});
  for (const NetCase& net : all_nets()) expect_same_bits(net, *cpu, DType::bf16);
}

TEST_F(ModelBf16, writing_in_place_changes_no_bit) {
  const auto cpu = make_cpu_backend({.threads = 1});
  for (const NetCase& net : all_nets()) expect_same_bits(net, *cpu, DType::bf16, false);
}

/// Copies are the masters, rounded; with averages, what evaluation reads are the averages.
TEST_F(ModelBf16, copies_follow_their_masters) {
  const auto cpu = make_cpu_backend({.threads = 1});
  for (const NetCase& net : optimizer_nets()) {
    SCOPED_TRACE(net.name);
    Training training(net, *cpu, {.dtype = DType::bf16});
    run(training, net.train.optimizer.lr);
    const auto values = training.lasting_values();
    int copies = 0;
    for (const auto& [name, copy] : values) {
      if (!name.starts_with("copy:")) continue;
      const std::string master = (net.train.ema > 0 ? "average:" : "") + name.substr(5);
      const Values& exact = values.at(master);
      ASSERT_EQ(copy.size(), exact.size());
      for (std::size_t i = 0; i < copy.size(); ++i) ASSERT_NEAR(copy[i], exact[i], 0x1p-8 * std::abs(exact[i])) << name;
      ++copies;
    }
    EXPECT_GT(copies, 1);
  }
}

/// Relative to the first loss, over 20 steps on one batch of 32. A rounding to bf16 is 2^-9 on average; batch norms and
/// the way that steps add up multiply it.
constexpr double kCurveTolerance = 0.005;

TEST_F(ModelBf16, the_loss_falls_as_in_fp32) {
  const auto cpu = make_cpu_backend({.threads = 1});
  NetCase net{.name = "residual",
              .layers = R"(
    { conv = 8, kernel = 3, padding = 1, norm = "batch", activation = "relu" },
    { residual = [ { conv = 8, kernel = 3, padding = 1, norm = "batch", activation = "relu" },
                   { conv = 8, kernel = 3, padding = 1, norm = "batch" } ], activation = "relu" },
    { maxpool = 2 }, { conv = 16, kernel = 3, padding = 1, activation = "relu" },
    { global_avgpool = true }, { dense = 5 })",
              .input = {12, 12, 3},
              .batch = 32};
  net.train.optimizer.momentum = 0.9;
  Training low(net, *cpu, {.dtype = DType::bf16}), single(net, *cpu, {.dtype = DType::f32});
  double first = 0, last = 0;
  for (int step = 0; step < 20; ++step) {
    low.step(0.05, step);
    single.step(0.05, step);
    last = single.loss();
    if (step == 0) first = last;
    EXPECT_NEAR(low.loss(), last, kCurveTolerance * first) << "step " << step;
  }
  EXPECT_LT(last, 0.6 * first) << "a loss that does not fall compares nothing";
}

}  // namespace
}  // namespace snug::ops_test
