// Training runs on the emulated device, planned as for a GPU: whole programs with every fusion, through the loader, the
// staging of inputs, checkpoints and evaluation. Held against the same runs on the processor.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "config/precision.h"
#include "emulated/emulated_device.h"
#include "emulated/runs.h"
#include "snug/diagnostic.h"

namespace snug::test {
namespace {

/// The largest distance of two loss curves, as a share of the first loss.
double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a[i] - b[i]));
  return most / a.front();
}

void expect_learns(const RunResult& run) {
  ASSERT_EQ(run.losses.size(), 12U);  // 44 samples in batches of 8: five whole ones and one of 4, twice
  ASSERT_EQ(run.epochs.size(), 2U);
  for (const double loss : run.losses) EXPECT_TRUE(std::isfinite(loss));
  EXPECT_NE(run.losses.front(), run.losses.back());
}

/// fp32 sums are taken in another order, and bf16 rounds them in more places: what a network makes of that in twelve
/// steps, as shares of the first loss.
struct Agreement {
  const char* precision;
  double of_losses;
};
constexpr Agreement kAgreements[] = {{"fp32", 1e-5}, {"bf16", 2e-2}};

class Emulated : public testing::TestWithParam<NetText> {
 protected:
  Runs runs_;
};

TEST_P(Emulated, learns_as_the_processor_does) {
  for (const Agreement& agreement : kAgreements) {
    SCOPED_TRACE(agreement.precision);
    const RunOptions options{.precision = agreement.precision};
    if (agreement.precision == std::string_view("bf16") && cannot_compute(Precision::bf16, this_processor())) continue;
    const RunResult cpu = runs_.on_cpu(GetParam(), options);
    const RunResult device = runs_.emulated(GetParam(), {.precision = agreement.precision, .isolate = true});
    expect_learns(device);
    ASSERT_EQ(cpu.losses.size(), device.losses.size());
    EXPECT_LE(distance(cpu.losses, device.losses), agreement.of_losses);
    EXPECT_NEAR(*cpu.epochs.back().val_loss, *device.epochs.back().val_loss, agreement.of_losses * cpu.losses.front());
    RecordProperty(std::string("distance_") + agreement.precision, std::to_string(distance(cpu.losses, device.losses)));
  }
}

TEST_P(Emulated, takes_what_was_planned_once) {
  const auto device = std::make_shared<EmulatedDevice>();
  const RunResult run = runs_.emulated(GetParam(), {.device = device});
  const PlanArenas& planned = run.plan.allocated;
  EXPECT_EQ(device->allocation_count(), 3) << "the arenas";
  EXPECT_EQ(device->most_allocated(), planned.total());
  EXPECT_EQ(run.done.arena_bytes, device->most_allocated());
}

TEST_P(Emulated, graphs_and_launches_and_runs_make_equal_bits) {
  const auto recording = std::make_shared<EmulatedDevice>();
  const auto plain = std::make_shared<EmulatedDevice>(EmulatedOptions{.records = false});
  const RunResult graphs = runs_.emulated(GetParam(), {.precision = "bf16", .device = recording});
  const RunResult launches = runs_.emulated(GetParam(), {.precision = "bf16", .device = plain});
  EXPECT_GT(recording->graph_launches(), 6) << "whole and last batches, training and evaluation";
  EXPECT_EQ(plain->graph_launches(), 0);
  EXPECT_EQ(graphs.losses, launches.losses);
  EXPECT_TRUE(graphs.weights == launches.weights);
}

/// A batch is on its way to the device while the one before is computed, whenever its copy is really made.
TEST_P(Emulated, batches_that_are_copied_ahead_make_equal_bits) {
  const auto late = std::make_shared<EmulatedDevice>();
  const auto early = std::make_shared<EmulatedDevice>(EmulatedOptions{.late_copies = false});
  const RunResult one = runs_.emulated(GetParam(), {.device = late});
  const RunResult other = runs_.emulated(GetParam(), {.device = early});
  EXPECT_GT(late->bytes_copied_ahead(), 0);
  EXPECT_EQ(one.losses, other.losses);
  EXPECT_TRUE(one.weights == other.weights);
}

TEST_P(Emulated, resumes_exactly) {
  const RunResult whole = runs_.emulated(GetParam());
  (void)runs_.emulated(GetParam(), {.max_steps = 4});
  const RunResult rest = runs_.emulated(GetParam(), {.resume = true});
  EXPECT_TRUE(whole.weights == rest.weights);
}

const std::string kPlacedAugment =
    R"([ { hflip = 0.5 }, { random_crop = 16, pad = 3, pad_mode = "reflect" }, { vflip = 0.3 } ])";

/// Planned, read once, and gathered there for every batch.
TEST_P(Emulated, images_that_stay_on_the_device_change_no_bit) {
  for (const char* precision : {"fp32", "bf16"}) {
    RunOptions options{.precision = precision, .set = {{"data.augment", kPlacedAugment}, {"data.cache", "ram"}}};
    const RunResult streamed = runs_.emulated(GetParam(), options);
    options.set.back().second = "device";
    options.device = std::make_shared<EmulatedDevice>();
    const RunResult kept = runs_.emulated(GetParam(), options);
    expect_learns(kept);
    EXPECT_EQ(streamed.losses, kept.losses);
    EXPECT_EQ(streamed.epochs.back().val_loss, kept.epochs.back().val_loss);
    EXPECT_EQ(options.device->allocation_count(), 4) << "the arenas";
    EXPECT_EQ(options.device->most_allocated(), kept.plan.allocated.total());
    EXPECT_EQ(kept.done.arena_bytes, kept.plan.allocated.total());
    EXPECT_GE(kept.plan.data_bytes, 44 * 16 * 16);
    EXPECT_GE(kept.plan.allocated.data, kept.plan.data_bytes);
    EXPECT_EQ(streamed.plan.data_bytes, 0);
    EXPECT_EQ(kept.plan.breakdown.total(), kept.plan.total_bytes);
  }
}

TEST_P(Emulated, goes_on_exactly_with_images_that_stay) {
  RunOptions options{.set = {{"data.augment", kPlacedAugment}, {"data.cache", "device"}}};
  options.isolate = true;  // and every step sees them alone
  const RunResult whole = runs_.emulated(GetParam(), options);
  options.max_steps = 4;
  (void)runs_.emulated(GetParam(), options);
  options.max_steps = 0;
  options.resume = true;
  const RunResult rest = runs_.emulated(GetParam(), options);
  EXPECT_TRUE(whole.weights == rest.weights);
}

/// In bf16, where the kernels can, norms go into 1×1 convolutions: what the runs above hold against the processor's.
TEST(EmulatedSteps, are_fused_products_in_bf16) {
  const auto bottleneck = std::ranges::find(nets(), "bottleneck", &NetText::name);
  const auto steps_in = [&](const std::string& precision) {
    std::set<std::string> steps;
    const RunResult run = Runs().emulated(*bottleneck, {.precision = precision, .max_steps = 1});
    for (const PlanLayer& layer : run.plan.layers)
      for (const PlanEngine& engine : layer.engines) steps.insert(engine.step);
    return steps;
  };
  const std::set<std::string> fused{"conv1x1_backward_data", "conv1x1_backward_weights", "conv1x1_forward"};
  EXPECT_TRUE(std::ranges::includes(steps_in("bf16"), fused));
  for (const std::string& step : steps_in("fp32")) EXPECT_FALSE(fused.contains(step)) << step;
}

TEST(EmulatedSteps, are_never_waited_for) {
  const Runs runs;
  const auto waits_of = [&](std::int64_t steps) {
    const auto device = std::make_shared<EmulatedDevice>();
    (void)runs.emulated(nets()[0], {.device = device, .max_steps = steps});
    return device->waits();
  };
  EXPECT_EQ(waits_of(2), waits_of(5)) << "what is waited for is the start and the saved state";
}

/// Activations wait in host memory where the budget asks for it.
TEST(EmulatedSteps, that_offload_change_no_bit) {
  const Runs runs;
  for (const std::size_t net : {1U, 3U}) {
    const RunResult without = runs.emulated(nets()[net]);
    const std::string budget = std::to_string(without.plan.total_bytes - 4096);
    const RunResult with = runs.emulated(
        nets()[net], {.set = {{"memory.strategy", R"(["inplace", "offload"])"}, {"memory.budget", budget}}});
    EXPECT_THAT(with.plan.strategy, testing::Contains("offload"));
    EXPECT_GT(with.plan.offload_bytes, 0);
    EXPECT_LT(with.plan.total_bytes, without.plan.total_bytes);
    EXPECT_EQ(without.losses, with.losses);
    EXPECT_EQ(without.epochs.back().val_loss, with.epochs.back().val_loss);
  }
}

/// The first layers are done in slices of the batch, each of which gathers its own.
TEST(EmulatedSteps, that_are_split_gather_slices) {
  const Runs runs;
  const RunOptions whole{.set = {{"data.cache", "device"}}};
  const RunResult one = runs.emulated(nets()[0], whole);
  const RunResult sliced =
      runs.emulated(nets()[0], {.set = {{"data.cache", "device"},
                                        {"memory.strategy", R"(["inplace", "split"])"},
                                        {"memory.budget", std::to_string(one.plan.total_bytes - 8'192)}}});
  EXPECT_THAT(sliced.plan.strategy, testing::Contains("split"));
  EXPECT_LE(distance(one.losses, sliced.losses), 1e-5);
}

Diagnostic refusal(const Runs& runs, const RunOptions& options, bool emulated = true) {
  try {
    (void)(emulated ? runs.emulated(nets()[1], options) : runs.on_cpu(nets()[1], options));
  } catch (const Error& error) {
    EXPECT_EQ(error.findings().size(), 1U);
    return error.findings().front();
  }
  return {};
}

TEST(EmulatedImages, that_do_not_fit_are_refused_with_what_does) {
  const Runs runs;
  std::vector<std::pair<std::string, std::string>> set{{"memory.strategy", "[]"}, {"data.cache", "ram"}};
  const std::int64_t streamed = runs.emulated(nets()[1], {.set = set}).plan.total_bytes;
  set.emplace_back("memory.budget", std::to_string(streamed));
  set[1].second = "device";
  const Diagnostic found = refusal(runs, {.set = set});
  EXPECT_EQ(found.code, "M618");
  EXPECT_THAT(found.what, testing::HasSubstr("keeps 33.0 KiB of images"));
  EXPECT_LE(found.what.size(), 160U);
  EXPECT_THAT(found.fix, testing::HasSubstr("data.cache"));
  set[1].second = "ram";
  EXPECT_TRUE(runs.emulated(nets()[1], {.set = set}).plan.fits) << "the fix fits";
}

TEST(EmulatedImages, that_cannot_stay_are_refused_by_name) {
  const Runs runs;
  const std::string augment = R"([ { rotate = 5 }, { hflip = 0.5 }, { erase = 0.1 } ])";
  const Diagnostic turned = refusal(runs, {.set = {{"data.augment", augment}, {"data.cache", "device"}}});
  EXPECT_EQ(turned.code, "C202");
  EXPECT_THAT(turned.what, testing::EndsWith("does not do rotate, erase"));
  const Diagnostic cpu = refusal(runs, {.set = {{"data.cache", "device"}}}, false);
  EXPECT_EQ(cpu.code, "C201");
  for (const Diagnostic& found : {turned, cpu}) EXPECT_EQ(found.fix, "cache = \"ram\"");
}

/// The step is found though another was on its way, and the tensor in it by running its batch again.
TEST(EmulatedSteps, that_diverge_are_named_as_on_the_processor) {
  const Runs runs;
  const RunOptions options{.set = {{"train.optimizer.lr", "1e30"}, {"train.clip_norm", "0"}}};
  const auto finding = [&](bool emulated) {
    try {
      (void)(emulated ? runs.emulated(nets()[0], options) : runs.on_cpu(nets()[0], options));
    } catch (const Error& error) {
      return error.findings().front();
    }
    return Diagnostic{};
  };
  const Diagnostic cpu = finding(false), device = finding(true);
  ASSERT_EQ(cpu.code, "N601");
  EXPECT_EQ(device.code, "N601");
  EXPECT_EQ(cpu.what.substr(0, cpu.what.find(':')), device.what.substr(0, device.what.find(':')));
  EXPECT_EQ(cpu.where, device.where);
}

INSTANTIATE_TEST_SUITE_P(Nets, Emulated, testing::ValuesIn(nets()),
                         [](const auto& net) { return std::string(net.param.name); });

}  // namespace
}  // namespace snug::test
