#include "tune/tuned.h"

#include <unistd.h>

#include <fmt/format.h>
#include <oneapi/dnnl/dnnl.h>

#include <array>
#include <exception>
#include <fstream>
#include <string_view>
#include <system_error>
#include <thread>

#include "base/cache_folder.h"
#include "base/checksum.h"
#include "base/file.h"
#include "base/text.h"
#include "planner/cpu_rates.h"
#include "snug/version.h"

namespace snug {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kHeader = "snug tuned 1";  // counted up when what a line means changes

std::string key_lines(const TunedKey& key) {
  return fmt::format("machine {}\ndevice {}\nthreads {}\nmodel {}\nprecision {}\nparts {}\nlibraries {}\n", key.machine,
                     key.device, key.threads, key.model, key.precision, key.parts, key.libraries);
}

/// The rest of the line that begins with `name` and a space.
std::optional<std::string> value_of(std::string_view text, std::string_view name) {
  const std::string begin = fmt::format("\n{} ", name);
  const std::size_t at = text.find(begin);
  if (at == std::string_view::npos) return std::nullopt;
  const std::size_t from = at + begin.size();
  const std::size_t end = text.find('\n', from);
  if (end == std::string_view::npos) return std::nullopt;  // cut
  return std::string(text.substr(from, end - from));
}

std::string libraries() {
  const dnnl_version_t* dnnl = dnnl_version();
  return fmt::format("snug {}, oneDNN {}.{}.{}", kVersion, dnnl->major, dnnl->minor, dnnl->patch);
}

}  // namespace

std::string machine_name() {
  std::ifstream file("/etc/machine-id");
  std::string id;
  if (std::getline(file, id) && !id.empty()) return id;
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) == 0 && host[0] != 0) return host.data();
  return "unknown";
}

std::string model_digest(const Config& config) {
  Config work;
  work.model = config.model;
  work.model.file.clear();
  const TrainConfig& from = config.train;
  TrainConfig& train = work.train;
  train.loss = from.loss;
  train.optimizer.kind = from.optimizer.kind;
  train.optimizer.momentum = from.optimizer.momentum > 0 ? 1 : 0;  // without it there is a sweep less
  train.clip_norm = from.clip_norm > 0 ? 1 : 0;
  train.ema = from.ema > 0 ? 0.5 : 0;
  train.freeze = from.freeze;
  train.freeze_stats = from.freeze_stats;
  return fmt::format("{:016x}", checksum(to_toml(work)));
}

TunedKey tuned_key(const Config& config, int threads, const std::string& gpu, const std::string& engines) {
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  return {.machine = machine_name(),
          .device = gpu.empty() ? processor_name() : gpu,
          .threads = threads > 0 ? threads : cores,
          .model = model_digest(config),
          .precision = std::string(to_string(config.train.precision)),
          .parts = config.train.accumulate,
          .libraries = libraries() + (engines.empty() ? "" : ", " + engines)};
}

fs::path tuned_file(const TunedKey& key) {
  const fs::path folder = cache_folder();
  if (folder.empty()) return {};
  return folder / "tuned" / fmt::format("{:016x}.txt", checksum(key_lines(key)));
}

std::optional<TunedBatch> load_tuned(const TunedKey& key) {
  std::string text;
  try {
    const fs::path file = tuned_file(key);
    if (file.empty()) return std::nullopt;
    text = read_text(file);
  } catch (const std::system_error&) {
    return std::nullopt;  // the usual case: never tuned
  }
  const std::string begin = fmt::format("{}\n{}", kHeader, key_lines(key));
  if (!text.starts_with(begin)) return std::nullopt;
  const auto batch = parse_integer(value_of(text, "batch").value_or(""));
  const auto rate = parse_number(value_of(text, "images_per_second").value_or(""));
  const auto date = value_of(text, "date");
  if (!batch || *batch < 1 || !rate || !date) return std::nullopt;
  return TunedBatch{.batch = *batch, .images_per_second = *rate, .date = *date};
}

bool save_tuned(const TunedKey& key, const TunedBatch& tuned) {
  const fs::path file = tuned_file(key);
  if (file.empty()) return false;
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  try {
    write_text(file, fmt::format("{}\n{}batch {}\nimages_per_second {:.4g}\ndate {}\n", kHeader, key_lines(key),
                                 tuned.batch, tuned.images_per_second, tuned.date));
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace snug
