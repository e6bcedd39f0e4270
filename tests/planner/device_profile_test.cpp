#include "planner/device_profile.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>

#include "base/file.h"
#include "config/precision.h"
#include "snug/diagnostic.h"

namespace snug {
namespace {

constexpr std::string_view kProfile = R"(device = "NVIDIA Test"
compute_capability = "8.9"
[memory]
total = { value = 8_000_000_000, source = "estimated" }
usable = { value = 7_900_000_000, source = "estimated" }
context = { value = 100_000_000, source = "measured" }
library = { value = 60_000_000, source = "estimated" }
[chip]
multiprocessors = { value = 24, source = "data sheet" }
clock_khz = { value = 2_460_000, source = "data sheet" }
memory_clock_khz = { value = 8_501_000, source = "data sheet" }
l2_bytes = { value = 25_165_824, source = "data sheet" }
[rates]
bandwidth = { value = 272e9, source = "data sheet" }
copy = { value = 200e9, source = "measured" }
fp32 = { value = 10e12, source = "data sheet" }
bf16 = { value = 20e12, source = "measured" }
)";

std::string replaced(std::string_view from, std::string_view to) {
  std::string text(kProfile);
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

Diagnostic only_finding(const std::string& text) {
  try {
    (void)parse_profile(text, "my.toml");
  } catch (const Error& error) {
    EXPECT_EQ(error.findings().size(), 1U);
    return error.findings().front();
  }
  ADD_FAILURE() << "nothing is wrong with\n" << text;
  return {};
}

TEST(DeviceProfile, HoldsNumbersWithTheirSources) {
  const DeviceProfile profile = parse_profile(kProfile, "dir/my.toml");
  EXPECT_EQ(profile.name, "my");
  EXPECT_EQ(profile.capability, 89);
  EXPECT_EQ(profile.context_bytes.value, 100'000'000);
  EXPECT_EQ(profile.context_bytes.source, Source::measured);
  EXPECT_FALSE(profile.tf32);
  const DeviceMemory memory = memory_of(profile, Precision::bf16);
  EXPECT_EQ(memory.total_bytes, 8'000'000'000);
  EXPECT_EQ(memory.free_bytes, 7'900'000'000);
  EXPECT_EQ(memory.estimated, (std::vector<std::string>{"total", "usable", "library"}));
  EXPECT_FALSE(memory.driver_in_use);
}

TEST(DeviceProfile, RatesAreWhatStepsReach) {
  const DeviceProfile profile = parse_profile(kProfile, "my.toml");
  EXPECT_DOUBLE_EQ(rates_of(profile, Precision::bf16).flops_per_second, 0.7 * 20e12) << "measured";
  EXPECT_DOUBLE_EQ(rates_of(profile, Precision::fp32).flops_per_second, 0.7 * 0.8 * 10e12) << "of a data sheet";
  EXPECT_DOUBLE_EQ(rates_of(profile, Precision::tf32).flops_per_second, 0) << "not known";
  EXPECT_DOUBLE_EQ(rates_of(profile, Precision::fp32).bytes_per_second, 0.85 * 200e9);
}

TEST(DeviceProfile, FaultsAreFindings) {
  struct Row {
    std::string text, code, word;
  };
  const std::vector<Row> rows{
      {replaced("\"8.9\"", "\"7.0\""), "C923", "7.5, 8.0"},
      {replaced("total = { value = 8_000_000_000, source = \"estimated\" }\n", ""), "C924", "memory.total"},
      {replaced("source = \"measured\" }\nlibrary", "source = \"guessed\" }\nlibrary"), "C923", "memory.context"},
      {replaced("{ value = 24, source = \"data sheet\" }", "24"), "C923", "chip.multiprocessors"},
      {replaced("value = 24,", "value = 24.5,"), "C923", "chip.multiprocessors"},
      {replaced("value = 24,", "value = 0,"), "C923", "chip.multiprocessors"},
      {replaced("[rates]\n", "[rates]\nfp64 = { value = 1e12, source = \"measured\" }\n"), "C922", "rates.fp64"},
      {replaced("usable = { value = 7_900_000_000", "usable = { value = 8_900_000_000"), "C925", "usable"},
      {replaced("value = 100_000_000", "value = 9_000_000_000"), "C925", "context"},
      {replaced("\"8.9\"", "\"7.5\""), "C925", "bf16"}};
  for (const Row& row : rows) {
    const Diagnostic finding = only_finding(row.text);
    EXPECT_EQ(finding.code, row.code) << finding.what;
    EXPECT_NE(finding.what.find(row.word), std::string::npos) << finding.what;
    EXPECT_LE(finding.what.size(), 160U);
    EXPECT_FALSE(finding.fix.empty());
    EXPECT_TRUE(finding.where.starts_with("my.toml:")) << finding.where;
  }
}

TEST(DeviceProfile, NamesAreTakenAsTheyAreWritten) {
  for (const char* name : {"h200", "H200", "NVIDIA H200", "nvidia-h200"}) EXPECT_EQ(load_profile(name).name, "h200");
  for (const char* name : {"rtx4090", "RTX 4090", "rtx-4090", "NVIDIA GeForce RTX 4090"})
    EXPECT_EQ(load_profile(name).name, "rtx4090");
  EXPECT_EQ(load_profile("rtx 4060 ti 16GB").name, "rtx4060ti-16gb");
  EXPECT_EQ(load_profile("Tesla T4").name, "t4");
  EXPECT_EQ(load_profile("configs/devices/l4.toml").name, "l4");
}

TEST(DeviceProfile, UnknownNamesHaveTheNearest) {
  struct Row {
    std::string name, code, fix;
  };
  for (const Row& row : {Row{"rtx4091", "C910", "rtx4090"}, Row{"a100", "C910", "a100-40gb or a100-80gb"},
                         Row{"NVIDIA GeForce RTX 4060 Ti", "C910", "rtx4060ti-16gb or rtx4060ti-8gb"},
                         Row{"zzzzzzzzzz", "C910", "snug devices"}, Row{"nowhere/x.toml", "C921", "snug devices"}}) {
    try {
      (void)load_profile(row.name);
      ADD_FAILURE() << row.name;
    } catch (const Error& error) {
      EXPECT_EQ(error.findings().front().code, row.code);
      EXPECT_NE(error.findings().front().fix.find(row.fix), std::string::npos) << error.findings().front().fix;
    }
  }
}

// ---- the installed ones -------------------------------------------------------------------------------------------

TEST(InstalledProfiles, AreAllReadable) {
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator("configs/devices")) {
    EXPECT_NO_THROW((void)parse_profile(read_text(entry.path()), entry.path().string())) << entry.path();
    ++files;
  }
  EXPECT_GE(files, 24U);
  EXPECT_EQ(installed_profiles().size(), files);
}

TEST(InstalledProfiles, CoverWhatIsPromised) {
  std::set<std::string> names;
  for (const DeviceProfile& profile : installed_profiles()) names.insert(profile.name);
  for (const char* name :
       {"t4", "l4", "a10", "a100-40gb", "a100-80gb", "h100-80gb", "h200", "b200", "rtx2060", "rtx2080ti",
        "rtx3060-12gb", "rtx3090", "rtx4060ti-16gb", "rtx4090", "rtx5090", "rtxa6000", "rtx6000ada"})
    EXPECT_TRUE(names.contains(name)) << name;
}

TEST(InstalledProfiles, ArePlausible) {
  for (const DeviceProfile& profile : installed_profiles()) {
    SCOPED_TRACE(profile.name);
    EXPECT_TRUE(profile.device.starts_with("NVIDIA ") || profile.device.starts_with("Tesla "));
    EXPECT_GT(profile.total_bytes.value, std::int64_t{5} << 30);
    EXPECT_LE(profile.usable_bytes.value, profile.total_bytes.value);
    EXPECT_GT(profile.context_bytes.value, 64 << 20);
    EXPECT_LT(profile.context_bytes.value, 1 << 30);
    EXPECT_GE(profile.multiprocessors.value, 24);
    EXPECT_GT(profile.clock_khz.value, 1'000'000);
    EXPECT_LT(profile.clock_khz.value, 3'000'000);
    EXPECT_GE(profile.l2_bytes.value, 3 << 20);
    EXPECT_LE(profile.copy.value, profile.bandwidth.value);
    EXPECT_GT(profile.copy.value, 0.8 * profile.bandwidth.value);
    ASSERT_TRUE(profile.fp32);
    ASSERT_TRUE(profile.fp16);
    EXPECT_GT(profile.fp16->value, profile.fp32->value);
    EXPECT_EQ(profile.bf16.has_value(), has_bf16(profile.capability));
    EXPECT_EQ(profile.tf32.has_value(), has_bf16(profile.capability));
    for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16, Precision::fp16}) {
      const Processor processor{.gpu = Gpu{profile.device, profile.capability}};
      const bool can = !cannot_compute(precision, processor);
      EXPECT_EQ(rates_of(profile, precision).flops_per_second > 0, can) << to_string(precision);
    }
  }
}

/// What a clock and the units of a chip give is what its data sheet says: a digit that slipped would show.
TEST(InstalledProfiles, RatesFollowFromTheChip) {
  for (const DeviceProfile& profile : installed_profiles()) {
    SCOPED_TRACE(profile.name);
    const int lanes = profile.capability == 75 || profile.capability == 80 ? 64 : 128;
    const double clock = 1000.0 * static_cast<double>(profile.clock_khz.value);
    const double fp32 = 2.0 * lanes * static_cast<double>(profile.multiprocessors.value) * clock;
    EXPECT_NEAR(profile.fp32->value / fp32, 1, 0.16);
  }
}

}  // namespace
}  // namespace snug
