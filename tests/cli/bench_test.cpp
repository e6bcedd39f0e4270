// `bench` and `tune` as users run them. No figure is held against a clock; what must add up is added up.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/program.h"

namespace snug {
namespace {

using Json = nlohmann::json;

/// A folder with the small config, c.toml, and a cache folder of its own.
class Bench : public ::testing::Test {
 protected:
  ProgramResult run(const std::vector<std::string>& words, const std::string& setup = "true") {
    return run_program(words, "cd " + folder_ / "" + "; export XDG_CACHE_HOME=" + (folder_ / "cache") + "; " + setup);
  }
  ProgramResult run(const std::string& line, const std::string& setup = "true") {
    return run(split_words(line), setup);
  }
  Json run_json(const std::string& line, int code = 0) {
    const ProgramResult result = run(line + " --json");
    EXPECT_EQ(result.code, code) << line << "\n" << result.out << result.error;
    return Json::parse(result.out, nullptr, false);
  }

  TemporaryFolder folder_;
  std::string config_ = folder_.file("c.toml", small_config());
};

/// What sends the program of `run` a Ctrl-C so long after it began.
std::string interrupt_after(int seconds) {
  return fmt::format("(sleep {}; kill -INT $(cat pid)) & sh -c 'echo $PPID' > pid", seconds);
}

void expect_fields(const Json& object, const std::string& names) {
  for (const std::string& name : split_words(names))
    EXPECT_TRUE(object.contains(name)) << name << " in " << object.dump();
}

/// No share of a limit is above 1, whatever the machine does meanwhile.
void expect_shares(const Json& object) {
  for (const char* list : {"layers", "kinds"}) {
    for (const Json& entry : object[list]) {
      EXPECT_LE(entry["limit_share"].get<double>(), 1 + 1e-9) << entry.dump();
      EXPECT_GE(entry["limit_share"].get<double>(), 0) << entry.dump();
    }
  }
}

TEST_F(Bench, ModelSaysWhereTheTimeGoes) {
  const Json object = run_json("bench model c.toml --steps 5 --batch 16");
  expect_fields(object,
                "device model batch precision images_per_second ms_per_step flops_per_second flops_share "
                "bytes_per_second bytes_share planned_bytes measured_bytes layers kinds limits start_up conditions");
  expect_fields(object["conditions"], "processor cores threads system version commit compiler libraries date command");
  EXPECT_EQ(object["conditions"]["command"], "snug bench model c.toml --steps 5 --batch 16 --json");
  EXPECT_EQ(object["batch"], 16);
  EXPECT_EQ(object["steps"], 5);
  EXPECT_EQ(object["times_ms"].size(), 5U);
  EXPECT_LE(object["ms_per_step_p5"].get<double>(), object["ms_per_step"].get<double>());
  EXPECT_LE(object["images_per_second_p5"].get<double>(), object["images_per_second_p95"].get<double>());
  expect_shares(object);
  const auto ms = [](const Json& entry) { return entry["ms"].get<double>(); };
  EXPECT_TRUE(std::ranges::is_sorted(object["layers"], std::ranges::greater{}, ms));
  EXPECT_TRUE(std::ranges::is_sorted(object["kinds"], std::ranges::greater{}, ms));
  double layers = ms(object["update"]), kinds = 0;
  for (const Json& layer : object["layers"]) layers += ms(layer);
  for (const Json& kind : object["kinds"]) kinds += ms(kind);
  EXPECT_NEAR(layers, object["layers_ms"].get<double>(), 1e-6 * layers);
  EXPECT_NEAR(kinds, layers, 1e-6 * layers);
  const std::string text = run("bench model c.toml --steps 2 --batch 16").out;
  EXPECT_NE(text.find("measured step by step"), std::string::npos) << text;
}

TEST_F(Bench, FlopAndBytesAreThoseCountedByHand) {
  (void)folder_.file("three.toml", R"(name = "three"
[model]
input = [16, 16, 3]
layers = [ { conv = 8, kernel = 3, padding = "same" }, { maxpool = 2 }, { global_avgpool = true }, { dense = 10 } ]
[train]
optimizer = { name = "sgd", lr = 0.05 }
)");
  const Json object = run_json("bench model three.toml --steps 2 --batch 16");
  std::map<std::string, Json> layers;
  for (const Json& layer : object["layers"]) layers[layer["name"].get<std::string>()] = layer;
  constexpr std::int64_t kPixels = 16L * 16 * 16, kPooled = kPixels / 4;  // of the batch
  // Forward and the weights' gradient; the images need none.
  EXPECT_EQ(layers["0"]["flops"], 2 * (2 * kPixels * 8 * 27));
  // Each reads or writes images, maps of 8 channels, 8 · 27 weights and 8 biases.
  EXPECT_EQ(layers["0"]["bytes"], 2L * 4 * (kPixels * 3 + kPixels * 8 + 8L * 27 + 8));
  // One for each element of its first operand, forward and backward; indices have a byte.
  EXPECT_EQ(layers["1"]["flops"], 8 * (kPixels + kPooled));
  EXPECT_EQ(layers["1"]["bytes"], 2 * (4L * 8 * (kPixels + kPooled) + 8 * kPooled));
  // Forward, data and weights: 16 × 8 to 16 × 10.
  EXPECT_EQ(layers["3"]["flops"], 3 * (2 * 16 * 8 * 10));
  EXPECT_EQ(layers["3"]["bytes"], 4 * (2 * (16 * 8 + 8 * 10 + 10 + 16 * 10) + (16 * 10 + 8 * 10 + 16 * 8)));
}

TEST_F(Bench, OpIsOneLayerAlone) {
  const ProgramResult result = run({"bench", "op", "conv = 8, kernel = 3, padding = 1", "--input", "8x8x4", "--batch",
                                    "2", "--steps", "3", "--json"});
  ASSERT_EQ(result.code, 0) << result.error << result.out;
  const Json object = Json::parse(result.out);
  EXPECT_EQ(object["bench"], "op");
  ASSERT_EQ(object["layers"].size(), 1U) << object["layers"].dump();
  EXPECT_EQ(object["layers"][0]["flops"], 3 * 2 * 2 * 64 * 8 * 4 * 9) << "forward, data and weights";
  EXPECT_EQ(object["times_ms"].size(), 3U);
  expect_shares(object);
  const std::string residual = "residual = [ { conv = 4, kernel = 3, padding = 1 } ]";
  EXPECT_EQ(run({"bench", "op", "{ dense = 16 }", "--input", "32", "--batch", "4", "--steps", "2"}).code, 0);
  EXPECT_EQ(run({"bench", "op", "maxpool = 2", "--input", "8x8x4", "--steps", "2"}).code, 0);
  EXPECT_EQ(run({"bench", "op", residual, "--input", "8x8x4", "--steps", "2"}).code, 0);
}

TEST_F(Bench, DeviceAndLoader) {
  const Json device = run_json("bench device");
  expect_fields(device, "device copies products conditions least_seconds");
  for (const Json& copy : device["copies"])
    EXPECT_LE(copy["median_bytes_per_second"].get<double>(), copy["bytes_per_second"].get<double>());
  EXPECT_EQ(device["products"][0]["type"], "fp32");
  const Json loader = run_json("bench loader c.toml --batch 50 --seconds 1");
  expect_fields(loader, "images_per_second bytes_per_second ms_per_batch workers conditions times_ms");
  EXPECT_EQ(loader["samples"], 200);
  EXPECT_EQ(loader["image_bytes"], 16 * 16 * 3);
  EXPECT_GE(loader["times_ms"].size(), 2U);
}

TEST_F(Bench, CompareTellsAPlantedSlowdownFromNone) {
  const auto write = [&](const std::string& name, double factor, double noise) {
    std::string times;
    for (int i = 0; i < 40; ++i)
      times += fmt::format("{}{}", i == 0 ? "" : ",", 100 * factor * (1 + noise * ((i * 37 % 11) - 5) / 5.0));
    (void)folder_.file(
        name, R"({"bench":"model","model":"net","batch":4,"precision":"fp32","planned_bytes":7,"times_ms":[)" + times +
                  R"(],"conditions":{"threads":2}})" + "\n");
  };
  write("a.json", 1, 0.02);
  write("same.json", 1.003, 0.02);
  write("slow.json", 1.05, 0.02);
  write("fast.json", 0.9, 0.02);
  EXPECT_EQ(run_json("bench compare a.json same.json")["change"], "none");
  const Json slow = run_json("bench compare a.json slow.json", 7);
  EXPECT_EQ(slow["change"], "slower");
  EXPECT_LE(slow["low"].get<double>(), 1.05);
  EXPECT_GT(slow["high"].get<double>(), 1.04);
  EXPECT_EQ(run_json("bench compare a.json fast.json")["change"], "faster");
  EXPECT_EQ(run("bench compare a.json slow.json --threshold 10%").code, 0);
  EXPECT_EQ(run("bench compare a.json slow.json --threshold 10").code, 2);
  (void)folder_.file("few.json", R"({"bench":"model","model":"net","batch":4,"times_ms":[1,2]})");
  EXPECT_EQ(run("bench compare a.json few.json").code, 2) << "two times have no noise to speak of";
}

TEST_F(Bench, KeepsWhatWasMeasuredWhenItIsInterrupted) {
  for (const std::string line : {"bench model c.toml --batch 16 --steps 10000000", "bench loader c.toml --seconds 1000",
                                 "bench op dense=16 --input 32 --batch 4 --steps 10000000"}) {
    ProgramResult result;
    for (const int seconds : {1, 4, 16}) {  // before the first measurement there is nothing to keep
      result = run(line + " --json", interrupt_after(seconds));
      if (!result.out.empty()) break;
    }
    EXPECT_EQ(result.code, 130) << line << "\n" << result.out << result.error;
    const Json object = Json::parse(result.out, nullptr, false);
    ASSERT_TRUE(object.is_object()) << line << "\n" << result.out;
    EXPECT_EQ(object["interrupted"], true) << line;
    EXPECT_GE(object["times_ms"].size(), 1U) << line;
  }
}

TEST_F(Bench, WhatCannotBeMeasuredIsRefusedWithItsCode) {
  struct Case {
    std::string line, finding;
    int code = 0;
  };
  const std::vector<Case> cases{
      {"tune c.toml --set train.batch=0", "T004", 2},
      {"tune c.toml --max-batch 0", "C904", 2},
      {"tune c.toml --time-limit 0", "C904", 2},
      {"tune c.toml --parts 0", "C904", 2},
      {"bench model c.toml --batch 0", "C904", 2},
      {"bench model c.toml --steps 0", "C904", 2},
      {"bench op dense=16 --input 32 --batch 0", "C904", 2},
      {"bench loader c.toml --batch 0", "C904", 2},
      {"tune c.toml --set memory.budget=1MiB", "M611", 4},
      {"bench model c.toml --batch 1 --set memory.budget=1MiB", "M611", 4},
      {"tune c.toml --device h100-80gb", "G903", 5},
      {"bench model c.toml --device h100-80gb", "G903", 5},
  };
  for (const Case& c : cases) {
    const ProgramResult result = run(c.line + (c.line.starts_with("tune") ? " --out curve" : "") + " --json");
    EXPECT_EQ(result.code, c.code) << c.line << "\n" << result.out << result.error;
    const Json object = Json::parse(result.out, nullptr, false);
    ASSERT_TRUE(object.contains("findings")) << c.line << "\n" << result.out;
    EXPECT_EQ(object["findings"][0]["code"], c.finding) << c.line;
    EXPECT_TRUE(!std::filesystem::exists(folder_ / "curve") || std::filesystem::is_empty(folder_ / "curve")) << c.line;
  }
}

// ---- tune -------------------------------------------------------------------------------------------------------

TEST_F(Bench, TuneFindsABatchAndTrainUsesIt) {
  const std::string automatic = " --set train.batch=\"auto\"";
  const Json tuned = run_json("tune c.toml --time-limit 20 --max-batch 64 --out curve" + automatic);
  expect_fields(tuned, "device best fastest largest curve end stored with_data remarks conditions");
  ASSERT_GE(tuned["curve"].size(), 3U) << tuned.dump();
  const double fastest = tuned["fastest"]["images_per_second"].get<double>();
  EXPECT_GE(tuned["best"]["images_per_second"].get<double>(), 0.97 * fastest - 1e-9);
  for (const Json& point : tuned["curve"]) {
    EXPECT_LE(point["batch"], 64);
    EXPECT_GT(point["planned_bytes"], 0);
    EXPECT_GT(point["measured_bytes"], 0);
    EXPECT_LE(point["images_per_second"].get<double>(), fastest + 1e-9);
  }
  EXPECT_EQ(tuned["largest"]["batch"], 64);
  for (const char* file : {"curve/curve.svg", "curve/curve.png", "curve/tune.json"})
    EXPECT_GT(std::filesystem::file_size(folder_ / file), 1000U) << file;

  const std::int64_t batch = tuned["best"]["batch"];
  const auto plan = [&](const std::string& options, const std::string& setup = "true") {
    return Json::parse(run("plan c.toml --json" + options, setup).out, nullptr, false);
  };
  EXPECT_EQ(plan(automatic)["batch"], batch);
  EXPECT_TRUE(plan(automatic).contains("tuned"));
  const ProgramResult trained = run("train c.toml --epochs 1 --out run --json" + automatic);
  EXPECT_EQ(trained.code, 0) << trained.out << trained.error;
  EXPECT_NE(trained.out.find("T631"), std::string::npos) << "it says so: " << trained.out;
  EXPECT_NE(trained.out.find(fmt::format("\"batch\":{},", batch)), std::string::npos);
  // A number in the config, another number of threads, another model or another folder are none of its business.
  EXPECT_FALSE(plan("").contains("tuned"));
  EXPECT_FALSE(plan(" --threads 7" + automatic).contains("tuned"));
  EXPECT_FALSE(plan(" --set train.ema=0.9" + automatic).contains("tuned"));
  EXPECT_FALSE(plan(automatic, "export XDG_CACHE_HOME=/nowhere").contains("tuned"));
}

TEST_F(Bench, TuneKeepsWhatWasMeasuredWhenItIsInterrupted) {
  (void)folder_.file("wide.toml", R"(name = "wide"
[data]
train = { synthetic = "shapes", count = 2000 }
[model]
input = [32, 32, 3]
layers = [ { conv = 64, kernel = 3 }, { conv = 64, kernel = 3 }, { global_avgpool = true }, { dense = 10 } ]
)");
  ProgramResult result;
  for (const int seconds : {1, 2, 4, 8}) {  // before the first measurement there is nothing to keep
    result = run("tune wide.toml --json --out curve --set train.batch=\"auto\"", interrupt_after(seconds));
    if (!result.out.empty()) break;
  }
  ASSERT_EQ(result.code, 130) << result.out << result.error;
  const Json tuned = Json::parse(result.out);
  EXPECT_EQ(tuned["end"], "interrupted");
  EXPECT_GE(tuned["curve"].size(), 1U);
  EXPECT_EQ(tuned["stored"], "") << "half a curve is none to train by";
  EXPECT_FALSE(std::filesystem::exists(folder_ / "cache/snug/tuned"));
  for (const char* file : {"curve/curve.svg", "curve/curve.png", "curve/tune.json"})
    EXPECT_GT(std::filesystem::file_size(folder_ / file), 1000U) << file;
}

TEST_F(Bench, TuneWithoutItsDataSaysSo) {
  (void)folder_.file("far.toml", R"(name = "far"
[data]
train = { images = "none.npy", labels = "none-labels.npy" }
[model]
input = [8, 8, 3]
layers = [ { conv = 4, kernel = 3 }, { global_avgpool = true }, { dense = 10 } ]
)");
  const ProgramResult result = run("tune far.toml --time-limit 10 --max-batch 16");
  EXPECT_EQ(result.code, 0) << result.out << result.error;
  EXPECT_NE(result.error.find("random images"), std::string::npos) << result.error;
}

}  // namespace
}  // namespace snug
