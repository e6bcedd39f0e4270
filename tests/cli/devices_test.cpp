// GPUs that are not here: listed, planned for, not trained on.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>

#include "cli/program.h"

namespace snug {
namespace {

using Json = nlohmann::json;

/// A folder with the small config, c.toml; answers of cuDNN are kept in it. Sanitizers and cuDNN do not go together.
class Devices : public ::testing::Test {
 protected:
  ProgramResult run(const std::string& line, const std::string& setup = "true") {
    const std::string without = std::string_view(SNUG_SANITIZERS).empty() ? "" : "export SNUG_CUDNN=none; ";
    return run_program(split_words(line), "cd " + folder_ / "" + "; export XDG_CACHE_HOME=" + (folder_ / "cache") +
                                              "; " + without + setup);
  }
  Json plan(const std::string& options, int code = 0, const std::string& setup = "true") {
    const ProgramResult result = run("plan c.toml --json " + options, setup);
    EXPECT_EQ(result.code, code) << options << "\n" << result.out << result.error;
    return Json::parse(result.out, nullptr, false);
  }
  std::string first_code(const std::string& line, int code) {
    const ProgramResult result = run(line + " --json");
    EXPECT_EQ(result.code, code) << line << "\n" << result.out << result.error;
    const Json object = Json::parse(result.out, nullptr, false);
    return object.contains("findings") ? object["findings"][0]["code"].get<std::string>() : "";
  }

  TemporaryFolder folder_;
  std::string config_ = folder_.file("c.toml", small_config());
};

void expect_sound(const Json& plan) {
  std::int64_t sum = 0;
  for (const auto& [name, bytes] : plan["breakdown"].items()) sum += bytes.get<std::int64_t>();
  EXPECT_EQ(sum, plan["total_bytes"]);
  EXPECT_GT(plan["breakdown"]["driver"], 0);
  EXPECT_GT(plan["breakdown"]["library"], 0);
  EXPECT_LE(plan["budget_bytes"], plan["device_bytes"]);
}

TEST_F(Devices, AreListedWithTheirProfiles) {
  const Json devices = Json::parse(run("devices --json").out);
  const auto h200 = std::ranges::find_if(devices["profiles"], [](const Json& p) { return p["name"] == "h200"; });
  ASSERT_NE(h200, devices["profiles"].end());
  EXPECT_EQ((*h200)["device"], "NVIDIA H200");
  EXPECT_EQ((*h200)["compute_capability"], "9.0");
  EXPECT_EQ(plan("--device h200")["device_bytes"], (*h200)["total_bytes"]);
  EXPECT_GE(devices["profiles"].size(), 24U);
}

TEST_F(Devices, PlansForAProfileAddUp) {
  for (const char* device : {"h200", "RTX4090", "rtx-2060", "t4"}) {
    const Json object = plan(std::string("--batch 64 --device ") + device);
    expect_sound(object);
    EXPECT_TRUE(object["fits"]);
    EXPECT_EQ(object["batch"], 64);
    EXPECT_FALSE(object["estimated"].empty());
    bool named = false;
    for (const Json& layer : object["layers"]) named = named || !layer["engine"].empty();
    EXPECT_TRUE(named) << "engines are part of the plan";
  }
}

/// Images that are to stay on the device are a part of the plan, also of a GPU that is not here.
TEST_F(Devices, ImagesThatStayAreCounted) {
  const Json streamed = plan("--device h100-80gb --batch 64");
  const Json kept = plan("--device h100-80gb --batch 64 --set data.cache=device");
  expect_sound(kept);
  const auto bytes = [](const Json& object, const char* name) {
    return object.at(Json::json_pointer(name)).get<std::int64_t>();
  };
  const std::int64_t images = bytes(kept, "/data_bytes");
  EXPECT_EQ(images, 200 * 16 * 16 * 3);
  EXPECT_GE(bytes(kept, "/allocated/data"), images);
  EXPECT_EQ(bytes(streamed, "/allocated/data"), 0);
  EXPECT_GT(bytes(kept, "/breakdown/input"), images);
  std::int64_t arenas = 0;
  for (const auto& [name, arena] : kept["allocated"].items()) arenas += arena.get<std::int64_t>();
  EXPECT_EQ(bytes(kept, "/total_bytes"), bytes(kept, "/breakdown/driver") + bytes(kept, "/breakdown/library") + arenas);
  const std::string text = run("plan c.toml --device h100-80gb --batch 64 --set data.cache=device").out;
  EXPECT_NE(text.find("images"), std::string::npos) << text;
  // Refused where they do not fit, with what does.
  const std::int64_t all = bytes(kept, "/total_bytes") - 1;
  const Json refused = plan(
      "--device h100-80gb --batch 64 --set data.cache=device --set memory.strategy=[] --budget " + std::to_string(all),
      4);
  bool offered = false;
  for (const Json& remedy : refused["remedies"]) offered = offered || remedy["change"] == "data.cache = \"ram\"";
  EXPECT_TRUE(offered) << refused["remedies"];
  EXPECT_EQ(first_code("check c.toml --set data.cache=device", 2), "C201") << "this machine has none";
}

TEST_F(Devices, PlansOfOneThingAreEqual) {
  Json cold = plan("--device rtx4090 --batch 32");
  Json warm = plan("--device rtx4090 --batch 32");
  cold.erase("seconds");
  warm.erase("seconds");
  EXPECT_EQ(cold, warm);
}

TEST_F(Devices, BudgetsHoldOnProfiles) {
  const Json whole = plan("--device t4 --batch max");
  const Json half = plan("--device t4 --batch max --budget 50%");
  EXPECT_LE(half["max_batch"], whole["max_batch"]);
  EXPECT_LE(half["total_bytes"], half["budget_bytes"]);
  const Json arena = plan("--device t4 --batch max --arena-budget 64MiB");
  EXPECT_LE(arena["allocated"]["persistent"].get<std::int64_t>() + arena["allocated"]["transient"].get<std::int64_t>() +
                arena["allocated"]["input"].get<std::int64_t>(),
            64 << 20);
  EXPECT_FALSE(plan("--device t4 --batch 64 --budget 150MiB", 4)["fits"]) << "context and library are counted";
  EXPECT_LT(plan("--device t4 --budget 10TiB")["budget_bytes"], 16'000'000'000) << "no card gives more than it has";
}

TEST_F(Devices, WithoutCudnnScratchIsBoundedAndTheTextSaysSo) {
  const Json object = plan("--device h200 --batch 64", 0, "export SNUG_CUDNN=none");
  EXPECT_EQ(object["engines"], "bound");
  expect_sound(object);
  const std::string text = run("plan c.toml --device h200", "export SNUG_CUDNN=none").out;
  EXPECT_NE(text.find("no cuDNN here to ask"), std::string::npos) << text;
  EXPECT_NE(text.find("estimated for this device: total, usable, driver, library"), std::string::npos) << text;
}

TEST_F(Devices, PrecisionsAreThoseOfTheDevice) {
  struct Row {
    std::string device, precision;
    int code;
  };
  for (const Row& row : {Row{"t4", "fp16", 0}, Row{"t4", "fp32", 0}, Row{"t4", "bf16", 2}, Row{"t4", "tf32", 2},
                         Row{"rtx3090", "bf16", 0}, Row{"h200", "tf32", 0}, Row{"h200", "fp16", 0}}) {
    const std::string line = "--device " + row.device + " --set train.precision=" + row.precision;
    const ProgramResult result = run("plan c.toml --json " + line);
    EXPECT_EQ(result.code, row.code) << line << result.out;
    if (row.code == 2) {
      EXPECT_EQ(first_code("check c.toml " + line, 2)[0], 'T') << line;
    }
  }
}

TEST_F(Devices, ProfilesOfOnesOwn) {
  const std::string text = R"(device = "My card"
compute_capability = "8.6"
[memory]
total = { value = 1_000_000_000, source = "measured" }
usable = { value = 900_000_000, source = "measured" }
context = { value = 200_000_000, source = "measured" }
library = { value = 50_000_000, source = "measured" }
[chip]
multiprocessors = { value = 20, source = "measured" }
clock_khz = { value = 1_500_000, source = "measured" }
memory_clock_khz = { value = 7_000_000, source = "measured" }
l2_bytes = { value = 4_194_304, source = "measured" }
[rates]
bandwidth = { value = 200e9, source = "measured" }
copy = { value = 180e9, source = "measured" }
fp32 = { value = 7e12, source = "measured" }
)";
  (void)folder_.file("mine.toml", text);
  const Json object = plan("--device mine.toml --batch 8");
  EXPECT_EQ(object["device"], "My card");
  EXPECT_EQ(object["breakdown"]["driver"], 200'000'000);
  EXPECT_EQ(object["estimated"], Json::array());
  (void)folder_.file("bad.toml", text.substr(text.find('\n')));
  EXPECT_EQ(first_code("plan c.toml --device bad.toml", 2), "C924");
}

TEST_F(Devices, WhatIsNotHereHasItsCode) {
  EXPECT_EQ(first_code("train c.toml --device h200", 5), "G903");
  EXPECT_EQ(first_code("plan c.toml --device cuda:0", 5), "G901");
  EXPECT_EQ(first_code("plan c.toml --device cuda:x", 2), "C910");
  EXPECT_EQ(first_code("plan c.toml --device rtx4091", 2), "C910");
  EXPECT_EQ(first_code("plan c.toml --device none.toml", 2), "C921");
  EXPECT_EQ(first_code("train c.toml --device h20", 2), "C910");
  const ProgramResult text = run("train c.toml --device h200");
  EXPECT_NE(text.error.find("not in this machine"), std::string::npos) << text.error;
}

TEST_F(Devices, BatchesBeyondWhatCudnnCountsAreFindings) {
  EXPECT_EQ(first_code("plan c.toml --device h200 --batch 70000", 4), "M613");
}

}  // namespace
}  // namespace snug
