#include "planner/cpu_rates.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

#include "base/cache_folder.h"
#include "base/file.h"
#include "base/text.h"
#include "snug/version.h"

namespace snug {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kHeader = "snug rates 3";  // counted up when what a line means changes

struct Field {
  std::string_view name;
  double DeviceRates::*member;
};
constexpr std::array<Field, 9> kFields{{{"flops", &DeviceRates::flops_per_second},
                                        {"bytes", &DeviceRates::bytes_per_second},
                                        {"least", &DeviceRates::least_seconds},
                                        {"depthwise", &DeviceRates::depthwise_flops_per_second},
                                        {"norm", &DeviceRates::norm_bytes_per_second},
                                        {"product", &DeviceRates::product_seconds},
                                        {"cold", &DeviceRates::cold_bytes_per_second},
                                        {"stay", &DeviceRates::stay_bytes_per_second},
                                        {"cache", &DeviceRates::cache_bytes}}};
/// Those of which less is better.
constexpr std::array kSeconds{&DeviceRates::least_seconds, &DeviceRates::product_seconds};

std::string file_name(const std::string& text) {
  std::string name;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.';
    if (plain || !name.ends_with('-')) name += plain ? c : '-';
  }
  return name;
}

std::string lines_of(std::string_view precision, const DeviceRates& rates) {
  std::string text;
  for (const Field& field : kFields) text += fmt::format("{}.{} {:.2e}\n", precision, field.name, rates.*field.member);
  return text;
}

std::optional<DeviceRates> rates_from(const std::map<std::string, double>& values, const std::string& precision) {
  DeviceRates rates;
  for (const Field& field : kFields) {
    const auto value = values.find(fmt::format("{}.{}", precision, field.name));
    if (value == values.end() || value->second < 0) return std::nullopt;
    rates.*field.member = value->second;
  }
  return rates;
}

DeviceRates best_of(const DeviceRates& one, const DeviceRates& other) {
  DeviceRates best;
  for (const Field& field : kFields) {
    const double a = one.*field.member, b = other.*field.member;
    best.*field.member = std::ranges::find(kSeconds, field.member) == kSeconds.end() ? std::max(a, b) : std::min(a, b);
  }
  return best;
}

}  // namespace

CpuRates best_of(const CpuRates& one, const CpuRates& other) {
  return {.fp32 = best_of(one.fp32, other.fp32),
          .bf16 = best_of(one.bf16, other.bf16),
          .waited_share = std::min(one.waited_share, other.waited_share),
          .times = one.times + other.times};
}

bool is_disturbed(const CpuRates& rates) {
  constexpr double kMuch = 0.05;
  constexpr int kMostTimes = 8;  // a machine that is always busy is as fast as it is
  return rates.waited_share > kMuch && rates.times < kMostTimes;
}

std::string processor_fact(std::string_view key) {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (!line.starts_with(key)) continue;
    const std::size_t begin = line.find_first_not_of(" \t", std::min(line.find(':'), line.size() - 1) + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return {};
}

std::string processor_name() {
  std::string name;
  for (const std::string_view key : {"cpu family", "model\t", "model name", "stepping"}) {
    const std::string fact = processor_fact(key);
    if (!fact.empty()) name += " " + fact;
  }
  return name.empty() ? "processor" : name;
}

fs::path cpu_rates_file(int threads) {
  if (const char* file = std::getenv("SNUG_CPU_RATES"); file != nullptr && *file != 0) return file;
  const fs::path folder = cache_folder();
  if (folder.empty()) return {};
  const int used = threads > 0 ? threads : static_cast<int>(std::thread::hardware_concurrency());
  return folder / file_name(fmt::format("rates {} {} threads {}.txt", processor_name(), used, kVersion));
}

std::optional<CpuRates> load_cpu_rates(const fs::path& file) {
  std::ifstream stream(file);
  std::string line;
  if (!std::getline(stream, line) || line != kHeader) return std::nullopt;
  std::map<std::string, double> values;
  while (std::getline(stream, line)) {
    const std::size_t space = line.find(' ');
    if (space == std::string::npos) return std::nullopt;
    const auto value = parse_number(std::string_view(line).substr(space + 1));
    if (!value) return std::nullopt;
    values[line.substr(0, space)] = *value;
  }
  const auto fp32 = rates_from(values, "fp32");
  const auto bf16 = rates_from(values, "bf16");
  if (!fp32 || !bf16 || fp32->flops_per_second <= 0 || fp32->bytes_per_second <= 0) return std::nullopt;
  CpuRates rates{.fp32 = *fp32, .bf16 = *bf16};
  if (const auto waited = values.find("waited"); waited != values.end()) rates.waited_share = waited->second;
  if (const auto times = values.find("times"); times != values.end()) rates.times = static_cast<int>(times->second);
  return rates;
}

bool save_cpu_rates(const fs::path& file, const CpuRates& rates) {
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  try {
    write_text(file, fmt::format("{}\n{}{}waited {:.3f}\ntimes {}\n", kHeader, lines_of("fp32", rates.fp32),
                                 lines_of("bf16", rates.bf16), rates.waited_share, rates.times));
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

DeviceMemory cpu_device(int threads, Precision precision) {
  DeviceMemory memory = cpu_memory();
  if (const auto rates = load_cpu_rates(cpu_rates_file(threads))) {
    memory.rates = precision == Precision::bf16 ? rates->bf16 : rates->fp32;
  }
  return memory;
}

}  // namespace snug
