// Pictures in archives (tar, zip, with any compression that libarchive reads), in the archive's own order.
#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "data/picture_source.h"

namespace snug {

namespace {

constexpr std::array<std::string_view, 8> kEndings{".tar",     ".tar.gz", ".tgz",     ".tar.xz",
                                                   ".tar.bz2", ".txz",    ".tar.zst", ".zip"};
constexpr std::int64_t kMostFileBytes = std::int64_t{1} << 28;  // a picture's
constexpr std::int64_t kMostBytes = std::int64_t{1} << 37;

struct Member {
  std::string name;
  std::size_t offset = 0, size = 0;
};

class ArchiveStore final : public PictureStore {
 public:
  ArchiveStore(std::string path, std::vector<std::byte> bytes, std::vector<Member> members)
      : path_(std::move(path)), bytes_(std::move(bytes)), members_(std::move(members)) {}
  [[nodiscard]] std::int64_t count() const override { return std::ssize(members_); }
  [[nodiscard]] std::span<const std::byte> read(std::int64_t index, std::vector<std::byte>&) const override {
    const Member& member = members_[static_cast<std::size_t>(index)];
    return std::span(bytes_).subspan(member.offset, member.size);
  }
  [[nodiscard]] std::string where(std::int64_t index) const override {
    return fmt::format("{}:{}", path_, members_[static_cast<std::size_t>(index)].name);
  }
  [[nodiscard]] std::int64_t resident_bytes() const override {
    auto bytes = static_cast<std::int64_t>(bytes_.capacity() + members_.capacity() * sizeof(Member));
    for (const Member& member : members_) bytes += static_cast<std::int64_t>(member.name.capacity());
    return bytes;
  }

 private:
  std::string path_;
  std::vector<std::byte> bytes_;  ///< of all members that count, one behind the other
  std::vector<Member> members_;
};

struct ArchiveCloser {
  void operator()(archive* handle) const { archive_read_free(handle); }
};

using Handle = std::unique_ptr<archive, ArchiveCloser>;

Handle make_handle() {
  Handle handle(archive_read_new());
  archive_read_support_filter_all(handle.get());
  archive_read_support_format_tar(handle.get());
  archive_read_support_format_zip(handle.get());
  return handle;
}

Diagnostic damage_of(archive* handle, const std::string& path) {
  const char* text = archive_error_string(handle);
  return data_finding(
      FileUse::images, DataFault::archive, path,
      fmt::format("{} cannot be read to its end: {}", brief_name(path), text != nullptr ? text : "it is damaged"),
      fmt::format("rm {}   # and copy or download it again", path));
}

/// Whether a member is a picture that counts: no folder, nothing hidden.
bool is_picture(archive_entry* entry, const std::string& name) {
  const bool hidden = std::filesystem::path(name).filename().string().starts_with(".");
  return archive_entry_filetype(entry) == AE_IFREG && !hidden && has_picture_name(name);
}

/// Appends one member's bytes; false when the archive is damaged there.
bool read_member(archive* handle, std::vector<std::byte>& bytes) {
  const std::size_t begin = bytes.size();
  std::array<std::byte, 65536> piece;
  for (;;) {
    const la_ssize_t got = archive_read_data(handle, piece.data(), piece.size());
    if (got < 0) return false;
    if (got == 0) return true;
    const bool large = static_cast<std::int64_t>(bytes.size() - begin) + got > kMostFileBytes ||
                       static_cast<std::int64_t>(bytes.size()) + got > kMostBytes;
    if (large) {
      archive_set_error(handle, 0, "it inflates to more than is read");
      return false;
    }
    bytes.insert(bytes.end(), piece.begin(), piece.begin() + got);
  }
}

/// The class of "train/cat/1.jpg" below the prefix "train": "cat"; empty for what does not lie in a class folder. An
/// archive often holds everything in one folder of its own name: the prefix may begin below it.
std::string class_of(std::string_view name, std::string_view prefix) {
  while (name.starts_with("./")) name.remove_prefix(2);
  if (!prefix.empty()) {
    const auto below = [prefix](std::string_view path) {
      return path.size() > prefix.size() && path.starts_with(prefix) && path[prefix.size()] == '/';
    };
    if (!below(name)) name.remove_prefix(std::min(name.size(), name.find('/') + 1));
    if (!below(name)) return {};
    name.remove_prefix(prefix.size() + 1);
  }
  const std::size_t slash = name.find('/');
  return slash == std::string_view::npos || slash == 0 ? std::string() : std::string(name.substr(0, slash));
}

/// Calls `take(handle, name)` at every picture of an archive, in its order; it may read the bytes, and returns false
/// where that fails. Nothing but a finding, and false, for an archive that is not there or damaged.
template <class Take>
bool walk(const std::string& path, Findings& findings, const Take& take) {
  const auto file = open_file(path, FileUse::images, findings);
  if (!file) return false;
  const Handle handle = make_handle();
  int status = archive_read_open_memory(handle.get(), file->bytes.data(), file->bytes.size());
  while (status == ARCHIVE_OK || status == ARCHIVE_WARN) {
    archive_entry* entry = nullptr;
    status = archive_read_next_header(handle.get(), &entry);
    if (status == ARCHIVE_EOF) return true;
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) break;
    const char* text = archive_entry_pathname(entry);
    const std::string name = text != nullptr ? text : "";
    if (is_picture(entry, name) && !take(handle.get(), name)) break;
  }
  findings.push_back(damage_of(handle.get(), path));
  return false;
}

}  // namespace

std::pair<std::string, std::string> split_archive_name(const std::string& name) {
  for (const std::string_view ending : kEndings) {
    const std::size_t place = name.rfind(std::string(ending) + ":");
    if (place != std::string::npos)
      return {name.substr(0, place + ending.size()), name.substr(place + ending.size() + 1)};
  }
  return {name, ""};
}

bool is_archive(const std::string& name) {
  const std::string file = split_archive_name(name).first;
  return std::ranges::any_of(kEndings, [&](std::string_view ending) { return file.ends_with(ending); });
}

std::optional<LabelledPictures> list_archive(const std::string& name, const std::vector<std::string>& classes,
                                             Findings& findings) {
  const auto parts = split_archive_name(name);
  const std::string& path = parts.first;
  std::string prefix = parts.second;
  while (prefix.ends_with('/')) prefix.pop_back();
  std::vector<std::byte> bytes;
  std::vector<Member> members;
  std::vector<std::string> names;
  const bool whole = walk(path, findings, [&](archive* handle, const std::string& member) {
    const std::string of_class = class_of(member, prefix);
    if (of_class.empty()) return true;
    const std::size_t offset = bytes.size();
    if (!read_member(handle, bytes)) return false;
    members.push_back({member, offset, bytes.size() - offset});
    names.push_back(of_class);
    return true;
  });
  if (!whole) return std::nullopt;
  if (members.empty()) {
    findings.push_back(data_finding(FileUse::images, DataFault::no_samples, path,
                                    fmt::format("{} has no CLASS/NAME.jpg, .jpeg or .png{}", brief_name(path),
                                                prefix.empty() ? "" : " below " + shorten(prefix, 40)),
                                    fmt::format("folder = \"{}:train\"   # a folder of class folders in it", path)));
    return std::nullopt;
  }
  bytes.shrink_to_fit();
  LabelledPictures result{.classes = classes};
  const std::size_t before = findings.size();
  result.labels = number_classes(names, result.classes, path, findings);
  if (findings.size() > before) return std::nullopt;
  result.store = std::make_shared<ArchiveStore>(path, std::move(bytes), std::move(members));
  return result;
}

std::vector<std::string> archive_pictures(const std::string& path, Findings& findings) {
  std::vector<std::string> names;
  const bool whole = walk(path, findings, [&](archive*, const std::string& member) {
    names.push_back(member);
    return true;
  });
  return whole ? names : std::vector<std::string>();
}

}  // namespace snug
