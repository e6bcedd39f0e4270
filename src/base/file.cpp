#include "base/file.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace snug {

namespace {

[[noreturn]] void throw_errno(const char* action, const std::filesystem::path& path) {
  throw std::system_error(errno, std::generic_category(), std::string(action) + " " + path.string());
}

}  // namespace

File& File::operator=(File&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

MappedFile::MappedFile(const std::filesystem::path& path) {
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) throw_errno("cannot open", path);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw_errno("cannot stat", path);
  if (S_ISDIR(status.st_mode)) {
    errno = EISDIR;
    throw_errno("cannot read", path);
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return;
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (address == MAP_FAILED) throw_errno("cannot map", path);
  bytes_ = {static_cast<const std::byte*>(address), size};
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

void give_back_pages(std::span<const std::byte> file, std::span<const std::byte> read) {
  if (read.empty()) return;
  // The system maps pages around the one that is missing too, if it has them: 64 KiB, aligned.
  constexpr std::size_t kAround = std::size_t{64} << 10;
  const auto offset = static_cast<std::size_t>(read.data() - file.data());
  const auto skew = reinterpret_cast<std::uintptr_t>(file.data()) % kAround;
  const std::size_t begin = (offset + skew) / kAround * kAround;
  const std::size_t end = std::min((offset + skew + read.size() + kAround - 1) / kAround * kAround, file.size() + skew);
  const std::size_t from = std::max(begin, skew) - skew;
  // Where that fails they stay until the system needs them.
  (void)::madvise(const_cast<std::byte*>(file.data()) + from, end - skew - from, MADV_DONTNEED);
}

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
  temporary_ = path_;
  temporary_ += ".tmp" + std::to_string(::getpid());
  file_ = File(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (file_.get() < 0) throw_errno("cannot write", path_);
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_.get(), bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      throw_errno("cannot write", path_);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void AtomicFile::write(std::string_view text) { write(std::as_bytes(std::span(text))); }

void AtomicFile::commit() {
  if (::fsync(file_.get()) != 0) throw_errno("cannot sync", path_);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) throw_errno("cannot rename to", path_);
  temporary_.clear();
  const auto folder = path_.has_parent_path() ? path_.parent_path() : std::filesystem::path(".");
  const File directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // Some file systems cannot sync a folder (EINVAL); the file itself is safe by then.
  if (directory.get() >= 0) ::fsync(directory.get());
}

std::string from_here(const std::string& path) {
  std::error_code error;
  const std::string relative = std::filesystem::proximate(path, error).string();
  return error || relative.empty() || relative.size() >= path.size() ? path : relative;
}

std::string read_text(const std::filesystem::path& path) {
  const MappedFile file(path);
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

void write_text(const std::filesystem::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace snug
