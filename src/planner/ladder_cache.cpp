#include "planner/ladder_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <string_view>

#include "base/cache_folder.h"
#include "base/checksum.h"
#include "base/file.h"

namespace snug {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kHeader = "snug ladder 1\n";  // counted up when another search finds other choices
constexpr std::size_t kMostFiles = 256;                  // some 20 KB each

fs::path file_of(const fs::path& folder, const std::string& subject) {
  return folder / fmt::format("ladder-{:016x}.txt", checksum(subject));
}

std::string sealed(const std::string& text) { return fmt::format("{}{:016x}\n", text, checksum(text)); }

}  // namespace

std::string ladder_subject(const Program& open, const DeviceRates& rates, bool in_place) {
  std::string text = fmt::format("{}{} {} {} {} {} {} {} {} {} {} {}\n", kHeader, in_place, rates.flops_per_second,
                                 rates.bytes_per_second, rates.least_seconds, rates.depthwise_flops_per_second,
                                 rates.norm_bytes_per_second, rates.product_seconds, rates.fused_flops_per_second,
                                 rates.cold_bytes_per_second, rates.stay_bytes_per_second, rates.cache_bytes);
  for (const Storage& storage : open.storages) {
    text += fmt::format("{} {} {}\n", storage.name, storage.size_bytes, to_string(storage.arena));
  }
  for (const TensorInfo& tensor : open.tensors) {
    text += fmt::format("{} {}\n", tensor.view.storage.value, tensor.view.offset_bytes);
  }
  return text + print(open);
}

std::optional<Rungs> load_ladder(const fs::path& folder, const std::string& subject, std::size_t storages) {
  if (folder.empty()) return std::nullopt;
  std::string text;
  try {
    text = read_text(file_of(folder, subject));
  } catch (const std::exception&) {
    return std::nullopt;
  }
  constexpr std::size_t kSeal = 17;  // sixteen digits and the end of the line
  if (text.size() <= kHeader.size() + kSeal || !text.starts_with(kHeader)) return std::nullopt;
  if (sealed(text.substr(0, text.size() - kSeal)) != text) return std::nullopt;
  const std::string_view lines = std::string_view(text).substr(kHeader.size(), text.size() - kHeader.size() - kSeal);
  if (lines.size() % (storages + 1) != 0) return std::nullopt;
  Rungs rungs;
  for (std::size_t at = 0; at < lines.size(); at += storages + 1) {
    std::vector<char>& rung = rungs.emplace_back();
    for (const char c : lines.substr(at, storages)) rung.push_back(c == '1' ? 1 : 0);
  }
  return rungs;
}

void save_ladder(const fs::path& folder, const std::string& subject, const Rungs& rungs) {
  if (folder.empty()) return;
  std::string text(kHeader);
  for (const std::vector<char>& rung : rungs) {
    for (const char dropped : rung) text += dropped != 0 ? '1' : '0';
    text += '\n';
  }
  try {
    fs::create_directories(folder);
    write_text(file_of(folder, subject), sealed(text));
    drop_oldest(folder, "ladder-", kMostFiles);
  } catch (const std::exception&) {
    return;  // it is found again next time
  }
}

}  // namespace snug
