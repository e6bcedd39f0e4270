// What `bench` and `tune` measure with, on the emulated device.
#include <gtest/gtest.h>

#include "cli/bench_network.h"
#include "cli/calibrate.h"
#include "cli/checked.h"
#include "cli/gpus.h"
#include "cli/tune_meter.h"
#include "emulated/emulated_device.h"
#include "emulated/runs.h"

namespace snug::test {
namespace {

constexpr std::string_view kConfig = R"(
name = "small"
[model]
input = [8, 8, 3]
layers = [ { conv = 4, kernel = 3, norm = "batch", activation = "relu" }, { global_avgpool = true }, { dense = 10 } ]
[train]
batch = 4
)";

class EmulatedBench : public testing::Test {
 protected:
  Config config_ = parse_config(std::string(kConfig), "test", {.model_only = true});
  std::vector<Diagnostic> findings_;
  RunSetup setup_ = setup_without_data(config_, build_graph(config_.model, findings_), findings_);
  std::shared_ptr<EmulatedDevice> device_ = std::make_shared<EmulatedDevice>();
  Computer computer_ = emulated_computer(device_);
};

TEST_F(EmulatedBench, TimesStepsAsATrainingHasThem) {
  ASSERT_TRUE(findings_.empty());
  BenchNetwork network(config_, setup_, {.computer = computer_});
  const BenchReport report = measure_steps(network, 7);
  EXPECT_EQ(report.device, "emulated GPU");
  EXPECT_EQ(report.step.milliseconds.size(), 7U);
  EXPECT_GT(device_->graph_launches(), 0) << "a step is one launch";
  EXPECT_GT(report.layers_ms, 0);
  EXPECT_EQ(report.measured_bytes, device_->most_allocated());
  EXPECT_EQ(report.planned_bytes, network.plan().total_bytes) << "the device's memory alone";
  EXPECT_GE(report.planned_bytes, report.measured_bytes);
  EXPECT_TRUE(device_->allocations().empty()) << "limits are measured when the network has gone";
}

TEST_F(EmulatedBench, FillsAWholeDeviceAndStillMeasuresIt) {
  const std::int64_t needed = BenchNetwork(config_, setup_, {.computer = computer_}).plan().total_bytes;
  const auto full = std::make_shared<EmulatedDevice>(EmulatedOptions{.total_bytes = needed});
  config_.memory.budget.bytes = needed;
  BenchNetwork network(config_, setup_, {.computer = emulated_computer(full)});
  EXPECT_EQ(measure_layer(network, "0", 2).step.milliseconds.size(), 2U);
}

TEST_F(EmulatedBench, TellsWhatTheDeviceCanDo) {
  DeviceBench bench;
  measure_device(*computer_.make_backend(config_), bench, computer_.processor, device_);
  ASSERT_EQ(bench.copies.size(), 2U);
  ASSERT_EQ(bench.products.size(), 2U) << "fp32 and bf16, whatever this processor can";
  EXPECT_GT(bench.copies[0].bytes_per_second, 0);
  EXPECT_GT(bench.least_seconds, 0);
}

TEST_F(EmulatedBench, MeasuresBatchesForTune) {
  const std::vector<TuneSetting> settings{{.config = config_, .setup = setup_}};
  const std::vector<DeviceMemory> memory{computer_.planning(config_).memory};
  NetworkMeter meter(settings, memory,
                     {.computer = computer_, .sample_seconds = 0.01, .budget_bytes = memory[0].total_bytes});
  for (const std::int64_t batch : {1, 2, 4}) {
    const auto sample = meter.measure(0, batch);
    ASSERT_TRUE(sample);
    EXPECT_GT(sample->images_per_second, 0);
    EXPECT_GE(meter.bytes(0, batch).planned, meter.network(0, batch).arena_bytes());
  }
}

TEST(VisibleDevices, AreThoseThatTheRuntimeWouldShow) {
  const std::vector<std::string> uuids{"GPU-1a2b", "GPU-1a3c", "GPU-77ff"};
  using Seen = std::vector<std::size_t>;
  EXPECT_EQ(visible_devices("0,2", uuids), (Seen{0, 2}));
  EXPECT_EQ(visible_devices("2, 0", uuids), (Seen{2, 0}));
  EXPECT_EQ(visible_devices("", uuids), Seen{});
  EXPECT_EQ(visible_devices("-1", uuids), Seen{});
  EXPECT_EQ(visible_devices("1,7,0", uuids), Seen{1}) << "up to the first that is none";
  EXPECT_EQ(visible_devices("GPU-77", uuids), Seen{2});
  EXPECT_EQ(visible_devices("GPU-1a", uuids), Seen{}) << "two begin so";
  EXPECT_EQ(visible_devices("GPU-1a3c,0", uuids), (Seen{1, 0}));
  EXPECT_EQ(visible_devices("0,0", uuids), Seen{});
  EXPECT_EQ(visible_devices("none", uuids), Seen{});
}

}  // namespace
}  // namespace snug::test
