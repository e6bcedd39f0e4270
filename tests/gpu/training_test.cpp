// Whole trainings on the GPU, held against the processor's, against themselves without graphs, and against their plan.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "config/precision.h"
#include "emulated/runs.h"
#include "gpu/gpu.h"

namespace snug::gpu_test {
namespace {

using test::NetText;
using test::RunResult;
using test::Runs;

class GpuTraining : public Gpu, public testing::WithParamInterface<NetText> {
 protected:
  static double distance(const std::vector<double>& a, const std::vector<double>& b) {
    double most = 0;
    for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a[i] - b[i]));
    return most / a.front();
  }
  Runs runs_;
};

/// The losses of twelve steps, as shares of the first. tf32 multiplies with 10 bits of mantissa, as fp16 does.
struct Agreement {
  Precision precision;
  double of_losses;
};
constexpr Agreement kAgreements[] = {
    {Precision::fp32, 1e-4}, {Precision::tf32, 1e-2}, {Precision::bf16, 3e-2}, {Precision::fp16, 1e-2}};

TEST_P(GpuTraining, learns_as_the_processor_does) {
  const Computer gpu = computer();
  const RunResult cpu = runs_.on_cpu(GetParam(), {.precision = "fp32"});
  for (const Agreement& agreement : kAgreements) {
    if (cannot_compute(agreement.precision, gpu.processor)) continue;
    SCOPED_TRACE(to_string(agreement.precision));
    const RunResult device = runs_.with(GetParam(), gpu, {.precision = std::string(to_string(agreement.precision))});
    ASSERT_EQ(cpu.losses.size(), device.losses.size());
    EXPECT_LE(distance(cpu.losses, device.losses), agreement.of_losses);
    RecordProperty("distance_" + std::string(to_string(agreement.precision)),
                   std::to_string(distance(cpu.losses, device.losses)));
  }
}

TEST_P(GpuTraining, graphs_and_launches_and_runs_make_equal_bits) {
  for (const char* precision : {"fp32", "fp16"}) {
    const RunResult graphs = runs_.with(GetParam(), computer(), {.precision = precision});
    const RunResult again = runs_.with(GetParam(), computer(), {.precision = precision});
    const RunResult launches = runs_.with(GetParam(), computer(true), {.precision = precision});
    EXPECT_EQ(graphs.losses, again.losses) << precision;
    EXPECT_EQ(graphs.losses, launches.losses) << precision;
    EXPECT_TRUE(graphs.weights == again.weights) << precision;
    EXPECT_TRUE(graphs.weights == launches.weights) << precision;
  }
}

TEST_P(GpuTraining, offloading_changes_no_bit) {
  const RunResult without = runs_.with(GetParam(), computer());
  const RunResult with = runs_.with(GetParam(), computer(), {.set = {{"memory.strategy", "[\"offload\"]"}}});
  EXPECT_EQ(without.losses, with.losses);
}

/// Contexts and libraries are what plans reserve for them; arenas are to the byte.
TEST_P(GpuTraining, takes_what_was_planned) {
  const RunResult run = runs_.with(GetParam(), computer());
  const PlanArenas& planned = run.plan.allocated;
  EXPECT_EQ(run.done.arena_bytes, planned.persistent + planned.transient + planned.input);
  EXPECT_EQ(run.done.step_allocations, 0);
  RecordProperty("planned_bytes", std::to_string(run.done.planned_peak_bytes));
  RecordProperty("measured_bytes", std::to_string(run.done.measured_peak_bytes));
  EXPECT_LE(run.done.measured_peak_bytes, run.done.planned_peak_bytes);
}

TEST_P(GpuTraining, resumes_exactly) {
  const RunResult whole = runs_.with(GetParam(), computer());
  (void)runs_.with(GetParam(), computer(), {.max_steps = 4});
  const RunResult rest = runs_.with(GetParam(), computer(), {.resume = true});
  EXPECT_TRUE(whole.weights == rest.weights);
}

INSTANTIATE_TEST_SUITE_P(Nets, GpuTraining, testing::ValuesIn(test::nets()),
                         [](const auto& net) { return std::string(net.param.name); });

}  // namespace
}  // namespace snug::gpu_test
