#include "planner/device_profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <system_error>

#include "backend/device.h"
#include "base/file.h"
#include "base/text.h"
#include "config/findings.h"
#include "config/search.h"
#include "snug/diagnostic.h"

namespace snug {

namespace {

namespace fs = std::filesystem;

// Of a device's rates, what the steps of a network reach: 70 % of what a large product of matrices does, 85 % of what a
// copy does. So much fits the convolutions and the sweeps of residual networks on an H100.
constexpr double kProductShare = 0.7;
constexpr double kCopyShare = 0.85;
// A product of matrices against the data sheet: 802 of 989 TFLOP/s on an H100, 790 on an H200.
constexpr double kDataSheetShare = 0.8;
// An estimate of what our kernels for tensor cores (kernels/conv1x1.cu) reach of the same: their instruction, mma.sync,
// is all that tensor cores have up to Ada and on small Blackwell, but about 60 % of what Hopper's own does, and less of
// what large Blackwell's does.
double fused_share(int capability) {
  const int generation = capability / 10;
  if (generation == 9) return 0.55;
  return generation == 10 || generation == 11 ? 0.25 : 0.8;
}
// Of a bus, what copies from and to pinned memory reach.
constexpr double kHostShare = 0.8;
// An estimate: between the starts of two small kernels in one CUDA graph.
constexpr double kLeastSeconds = 3e-6;

/// Letters and digits alone, in lower case, without the maker's names: "NVIDIA GeForce RTX 4090" is "rtx4090".
std::string plain(std::string_view name) {
  std::string text;
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) text += static_cast<char>(std::tolower(c));
  }
  for (const std::string_view word : {"nvidia", "geforce", "tesla"}) {
    if (text.starts_with(word) && text.size() > word.size()) text.erase(0, word.size());
  }
  return text;
}

/// Files of profiles by name; those of the first folder go before others of the same name.
std::map<std::string, fs::path> profile_files() {
  std::map<std::string, fs::path> files;
  for (const fs::path& folder : config::installed_folders()) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder / "devices", error)) {
      if (entry.path().extension() == ".toml") files.try_emplace(entry.path().stem().string(), entry.path());
    }
  }
  return files;
}

DeviceProfile read_profile(const fs::path& path) {
  try {
    return parse_profile(read_text(path), path.string());
  } catch (const std::system_error&) {
    throw Error({.code = "C921",
                 .where = path.string(),
                 .what = "there is no device profile " + path.string(),
                 .fix = "snug devices lists those that are installed"});
  }
}

std::optional<fs::path> find_profile(const std::map<std::string, fs::path>& files, std::string_view name) {
  const std::string wanted = plain(name);
  for (const auto& [stem, path] : files) {
    if (plain(stem) == wanted) return path;
  }
  // "h100" and "h100-80" for "h100-80gb": the size of the memory may be left out, or its unit, where one profile is so.
  std::vector<fs::path> sized;
  for (const auto& [stem, path] : files) {
    const std::string known = plain(stem);
    if (wanted.size() > 1 && known.starts_with(wanted) && known.ends_with("gb") &&
        known.find_first_not_of("0123456789", wanted.size()) >= known.size() - 2) {
      sized.push_back(path);
    }
  }
  if (sized.size() == 1) return sized.front();
  std::vector<fs::path> same;  // by what the driver calls it: two cards may share that
  for (const DeviceProfile& profile : installed_profiles()) {
    if (plain(profile.device) == wanted) same.emplace_back(profile.file);
  }
  return same.size() == 1 ? std::optional(same.front()) : std::nullopt;
}

/// The names that a misspelt one may have meant.
std::string suggestion(const std::map<std::string, fs::path>& files, std::string_view name) {
  const std::string wanted = plain(name);
  std::string longer;  // "a100" could be several
  std::vector<std::string> names{"cpu", "cuda"};
  for (const auto& [stem, path] : files) {
    names.push_back(stem);
    if (wanted.size() > 1 && plain(stem).starts_with(wanted)) longer += (longer.empty() ? "" : " or ") + stem;
  }
  if (!longer.empty()) return fmt::format("--device {}", longer);
  const auto near = nearest(wanted, names);
  return near ? fmt::format("did you mean --device {}?", *near) : "snug devices lists them all";
}

const std::optional<Sourced<double>>& product_rate(const DeviceProfile& profile, Precision precision) {
  switch (precision) {
    case Precision::fp32: break;
    case Precision::tf32: return profile.tf32;
    case Precision::bf16: return profile.bf16;
    case Precision::fp16: return profile.fp16;
  }
  return profile.fp32;
}

}  // namespace

std::string_view to_string(Source source) {
  switch (source) {
    case Source::measured: return "measured";
    case Source::data_sheet: return "data sheet";
    case Source::estimated: return "estimated";
  }
  return "?";
}

std::string capability_text(int capability) { return fmt::format("{}.{}", capability / 10, capability % 10); }

DeviceProfile load_profile(std::string_view name) {
  if (name.ends_with(".toml") || name.find('/') != std::string_view::npos) return read_profile(fs::path(name));
  const std::map<std::string, fs::path> files = profile_files();
  if (const auto path = find_profile(files, name)) return read_profile(*path);
  throw Error({.code = "C910",
               .where = fmt::format("--device {}", name),
               .what = fmt::format("there is no device and no profile '{}'", config::shortened(name, 60)),
               .fix = suggestion(files, name)});
}

std::vector<DeviceProfile> installed_profiles() {
  std::vector<DeviceProfile> profiles;
  for (const auto& [name, path] : profile_files()) {
    try {
      profiles.push_back(read_profile(path));
    } catch (const Error&) {
      continue;
    }
  }
  return profiles;
}

DeviceSheet sheet_of(const DeviceProfile& profile) {
  return {.name = profile.device,
          .capability = profile.capability,
          .multiprocessors = profile.multiprocessors.value,
          .clock_khz = profile.clock_khz.value,
          .memory_clock_khz = profile.memory_clock_khz.value,
          .l2_bytes = profile.l2_bytes.value,
          .total_bytes = profile.total_bytes.value};
}

DeviceRates rates_of(const DeviceProfile& profile, Precision precision) {
  DeviceRates rates{
      .flops_per_second = 0, .bytes_per_second = kCopyShare * profile.copy.value, .least_seconds = kLeastSeconds};
  if (const auto& rate = product_rate(profile, precision)) {
    const double reached = rate->source == Source::data_sheet ? kDataSheetShare : 1;
    rates.flops_per_second = kProductShare * reached * rate->value;
    rates.fused_flops_per_second = fused_share(profile.capability) * rates.flops_per_second;
  }
  if (profile.host) rates.host_bytes_per_second = kHostShare * profile.host->value;
  return rates;
}

DeviceMemory memory_of(const DeviceProfile& profile, Precision precision) {
  DeviceMemory memory{.name = profile.device,
                      .total_bytes = profile.total_bytes.value,
                      .free_bytes = profile.usable_bytes.value,
                      .driver_bytes = profile.context_bytes.value,
                      .library_bytes = profile.library_bytes.value,
                      .granularity_bytes = kDeviceGranularityBytes};
  memory.rates = rates_of(profile, precision);
  const auto note = [&](std::string_view part, Source source) {
    if (source == Source::estimated) memory.estimated.emplace_back(part);
  };
  note("total", profile.total_bytes.source);
  note("usable", profile.usable_bytes.source);
  note("driver", profile.context_bytes.source);
  note("library", profile.library_bytes.source);
  return memory;
}

}  // namespace snug
