#include "train/run_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "train/safetensors.h"
#include "train/state.h"

namespace snug {

namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail_writing(const fs::path& path) { throw Error(write_failure(path, errno)); }

/// A name that is one folder's name.
std::string folder_name(std::string_view name) {
  std::string text(name.empty() ? "run" : name);
  std::ranges::replace_if(
      text, [](char c) { return c == '/' || static_cast<unsigned char>(c) < ' '; }, '-');
  if (text.front() == '.') text.front() = '-';
  return text;
}

/// N of "NAME-N", or nothing.
std::optional<std::int64_t> run_number(const fs::path& folder, const std::string& name) {
  const std::string last = folder.filename().string();
  if (!last.starts_with(name + "-")) return std::nullopt;
  const std::string digits = last.substr(name.size() + 1);
  const auto number = parse_integer(digits);
  return number && *number > 0 && std::to_string(*number) == digits ? number : std::nullopt;
}

/// The folders runs/NAME-N by number, highest first.
std::vector<std::pair<std::int64_t, fs::path>> numbered_runs(const fs::path& runs, const std::string& name) {
  std::vector<std::pair<std::int64_t, fs::path>> found;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(runs, ignored))
    if (const auto number = run_number(entry.path(), name)) found.emplace_back(*number, entry.path());
  std::ranges::sort(found, std::ranges::greater());
  return found;
}

}  // namespace

AppendFile::AppendFile(fs::path path) : path_(std::move(path)) {
  file_ = File(::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  if (file_.get() < 0) fail_writing(path_);
  size_bytes_ = ::lseek(file_.get(), 0, SEEK_END);
  if (size_bytes_ < 0) fail_writing(path_);
}

void AppendFile::append(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::pwrite(file_.get(), text.data(), text.size(), size_bytes_);
    if (written < 0) {
      if (errno == EINTR) continue;
      fail_writing(path_);
    }
    size_bytes_ += written;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

void AppendFile::sync() {
  if (::fdatasync(file_.get()) != 0 && errno != EINVAL) fail_writing(path_);
}

void AppendFile::cut(std::int64_t bytes) {
  if (bytes >= size_bytes_) return;
  if (::ftruncate(file_.get(), bytes) != 0) fail_writing(path_);
  size_bytes_ = bytes;
}

RunChoice choose_run_folder(const fs::path& given, bool resume, std::string_view name, const fs::path& runs) {
  std::error_code ignored;
  if (!given.empty()) {
    const fs::path out = given.has_filename() ? given : given.parent_path();  // "out/" is "out"
    const bool exists = fs::exists(fs::symlink_status(out, ignored));
    if (exists && !resume)
      throw Error(Diagnostic{.code = "C604",
                             .where = "--out",
                             .what = fmt::format("{} exists already; a new run never writes into it", out.string()),
                             .fix = fmt::format("--resume to go on with it, or --out {}-2", out.string())});
    if (exists && !fs::is_directory(out, ignored)) throw Error(write_failure(out, ENOTDIR));
    return {.folder = out, .exists = exists};
  }
  if (resume)
    for (const auto& [number, folder] : numbered_runs(runs, folder_name(name)))
      if (!is_finished_run(folder / "last.state")) return {.folder = folder, .exists = true};
  return {};
}

fs::path make_run_folder(const RunChoice& choice, std::string_view name, const fs::path& runs) {
  if (choice.exists) return choice.folder;
  const fs::path parent = choice.folder.empty() ? runs : choice.folder.parent_path();
  if (!parent.empty()) guard_writing(parent, [&] { fs::create_directories(parent); });
  if (!choice.folder.empty()) {
    if (::mkdir(choice.folder.c_str(), 0777) != 0) fail_writing(choice.folder);
    return choice.folder;
  }
  const std::string base = folder_name(name);
  const auto existing = numbered_runs(runs, base);
  for (std::int64_t number = existing.empty() ? 1 : existing.front().first + 1;; ++number) {
    fs::path folder = runs / fmt::format("{}-{}", base, number);
    if (::mkdir(folder.c_str(), 0777) == 0) return folder;
    if (errno != EEXIST) fail_writing(folder);
  }
}

RunLock::RunLock(const fs::path& folder) : folder_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (folder_.get() < 0) fail_writing(folder);
  // Some network file systems have no locks: then nothing is kept out.
  if (::flock(folder_.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
    throw Error(Diagnostic{.code = "C605",
                           .where = folder.string(),
                           .what = "another process trains in this folder now",
                           .fix = "wait for it, or name another folder with --out"});
}

}  // namespace snug
