#include "backend/cuda/engine_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <optional>
#include <system_error>
#include <utility>

#include "base/cache_folder.h"
#include "base/checksum.h"
#include "base/file.h"
#include "base/text.h"

namespace snug {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kHeader = "snug engines 1\n";  // counted up when what a line means changes
constexpr std::uintmax_t kMostBytes = 8 << 20;            // some 40,000 convolutions; a fuller file begins anew
constexpr std::size_t kMostFiles = 64;                    // devices × versions of cuDNN

/// "checksum|key|name bytes|name bytes…"
std::string to_line(const std::string& key, const std::vector<Engine>& engines) {
  std::string text = key;
  for (const Engine& engine : engines) text += fmt::format("|{} {}", engine.name, engine.workspace_bytes);
  return fmt::format("{:016x}|{}\n", checksum(text), text);
}

std::optional<Engine> parse_engine(std::string_view text) {
  const std::size_t space = text.find(' ');
  if (space == std::string_view::npos || space == 0) return std::nullopt;
  const auto bytes = parse_integer(text.substr(space + 1));
  if (!bytes || *bytes < 0) return std::nullopt;
  return Engine{std::string(text.substr(0, space)), *bytes};
}

std::optional<std::pair<std::string, std::vector<Engine>>> parse_line(std::string_view line) {
  constexpr std::size_t kDigits = 16;
  if (line.size() <= kDigits || line[kDigits] != '|') return std::nullopt;
  std::string_view text = line.substr(kDigits + 1);
  if (fmt::format("{:016x}", checksum(text)) != line.substr(0, kDigits)) return std::nullopt;
  std::pair<std::string, std::vector<Engine>> entry;
  for (bool first = true; !text.empty(); first = false) {
    const std::size_t end = std::min(text.find('|'), text.size());
    if (first) {
      entry.first = text.substr(0, end);
    } else if (auto engine = parse_engine(text.substr(0, end))) {
      entry.second.push_back(*std::move(engine));
    } else {
      return std::nullopt;
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return entry;
}

std::unordered_map<std::string, std::vector<Engine>> read_entries(const fs::path& path) {
  std::unordered_map<std::string, std::vector<Engine>> entries;
  std::error_code error;
  const std::uintmax_t size = fs::file_size(path, error);
  if (error || size > kMostBytes) return entries;
  std::string text;
  try {
    text = read_text(path);
  } catch (const std::exception&) {
    return entries;
  }
  if (!text.starts_with(kHeader)) return entries;
  std::string_view rest = std::string_view(text).substr(kHeader.size());
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    if (auto entry = parse_line(rest.substr(0, end))) entries.insert(*std::move(entry));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return entries;
}

}  // namespace

EngineCache::EngineCache(const fs::path& folder, std::string_view subject) {
  if (folder.empty()) return;
  path_ = folder / fmt::format("engines-{:016x}.txt", checksum(subject));
  entries_ = read_entries(path_);
}

const std::vector<Engine>* EngineCache::find(const std::string& key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : &found->second;
}

const std::vector<Engine>& EngineCache::add(const std::string& key, std::vector<Engine> engines) {
  changed_ = true;
  return entries_.insert_or_assign(key, std::move(engines)).first->second;
}

void EngineCache::save() {
  if (!changed_ || path_.empty()) return;
  changed_ = false;
  try {
    fs::create_directories(path_.parent_path());
    entries_.merge(read_entries(path_));
    std::string text(kHeader);
    for (const auto& [key, engines] : entries_) {
      const std::string line = to_line(key, engines);
      if (text.size() + line.size() > kMostBytes) break;
      text += line;
    }
    write_text(path_, text);
    drop_oldest(path_.parent_path(), "engines-", kMostFiles);
  } catch (const std::exception&) {
    return;  // a full disk or a folder that may not be written: the answers are asked for again next time
  }
}

}  // namespace snug
