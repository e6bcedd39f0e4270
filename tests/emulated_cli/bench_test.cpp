// What `bench` and `tune` measure with, on the emulated device.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/bench_network.h"
#include "cli/calibrate.h"
#include "cli/checked.h"
#include "cli/command.h"
#include "cli/gpus.h"
#include "cli/tune.h"
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
  const PlanArenas& planned = network.plan().allocated;
  EXPECT_EQ(report.measured_bytes, planned.persistent + planned.transient + planned.input);
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

// ---- a device that vanishes --------------------------------------------------------------------------------------

std::string code_of(const std::function<void()>& what) {
  try {
    what();
  } catch (const Error& error) {
    return error.findings().front().code;
  }
  return "";
}

TEST_F(EmulatedBench, ADeviceThatVanishesIsTold) {
  BenchNetwork network(config_, setup_, {.computer = computer_});
  device_->gone_after_waits = device_->waits() + 20;
  EXPECT_EQ(code_of([&] { (void)measure_steps(network, 1000); }).substr(0, 1), "G");
}

/// `tune` on the emulated device, with a cache folder of its own.
class EmulatedTune : public EmulatedBench {
 public:
  ~EmulatedTune() override {
    ::unsetenv("XDG_CACHE_HOME");
    std::filesystem::remove_all(folder_);
  }

 protected:
  EmulatedTune() {
    std::string name = (std::filesystem::temp_directory_path() / "snug-tune-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    ::setenv("XDG_CACHE_HOME", (folder_ / "cache").c_str(), 1);
    std::ofstream(folder_ / "c.toml") << kConfig;
  }
  /// The exit code; what was printed is in `printed_`.
  int tune(std::vector<std::string> more = {}) {
    std::vector<std::string> words{(folder_ / "c.toml").string(), "--json", "--max-batch", "16", "--time-limit", "20"};
    words.insert(words.end(), more.begin(), more.end());
    const Command command = tune_command();
    const Arguments arguments = parse_arguments(command.name, all_options(command), words);
    testing::internal::CaptureStdout();
    int code = -1;
    std::exception_ptr thrown;
    try {
      code = tune_on(arguments, computer_);
    } catch (...) {
      thrown = std::current_exception();
    }
    printed_ = testing::internal::GetCapturedStdout();
    if (thrown) std::rethrow_exception(thrown);
    return code;
  }
  [[nodiscard]] bool has_stored() const { return std::filesystem::exists(folder_ / "cache" / "snug" / "tuned"); }

  std::filesystem::path folder_;
  std::string printed_;
};

TEST_F(EmulatedTune, FindsABatchAndKeepsIt) {
  ASSERT_EQ(tune(), 0) << printed_;
  const auto tuned = nlohmann::json::parse(printed_);
  EXPECT_EQ(tuned["device"], "emulated GPU");
  EXPECT_GE(tuned["curve"].size(), 2U);
  EXPECT_FALSE(tuned.contains("findings"));
  EXPECT_TRUE(has_stored());
}

TEST_F(EmulatedTune, KeepsWhatWasMeasuredWhenTheDeviceVanishes) {
  device_->gone_after_waits = 60;
  ASSERT_EQ(tune({"--out", (folder_ / "out").string()}), 5) << printed_;
  const auto tuned = nlohmann::json::parse(printed_);
  EXPECT_EQ(tuned["end"], "failed");
  EXPECT_GE(tuned["curve"].size(), 1U);
  ASSERT_EQ(tuned["findings"].size(), 1U);
  EXPECT_EQ(tuned["findings"][0]["code"].get<std::string>().substr(0, 1), "G");
  EXPECT_NE(tuned["findings"][0]["what"].get<std::string>().find("fallen off the bus"), std::string::npos);
  EXPECT_EQ(tuned["stored"], "") << "half a curve is none to train by";
  EXPECT_FALSE(has_stored());
  std::ifstream kept(folder_ / "out" / "tune.json");
  EXPECT_EQ(nlohmann::json::parse(kept)["end"], "failed");
}

TEST_F(EmulatedTune, PrintsNothingWhenTheDeviceVanishesFirst) {
  device_->gone_after_waits = device_->waits() + 1;
  EXPECT_EQ(code_of([&] { (void)tune(); }).substr(0, 1), "G");
  EXPECT_EQ(printed_, "");
  EXPECT_FALSE(has_stored());
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
