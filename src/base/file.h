// Files that are read whole, and files that are written whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace snug {

/// Owns a file descriptor.
class File {
 public:
  File() = default;
  explicit File(int descriptor) : descriptor_(descriptor) {}
  File(File&& other) noexcept : descriptor_(other.descriptor_) { other.descriptor_ = -1; }
  File& operator=(File&& other) noexcept;
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File();
  [[nodiscard]] int get() const { return descriptor_; }

 private:
  int descriptor_ = -1;
};

/// A file's bytes mapped read-only; they stay as long as the object. An empty file gives an empty span.
class MappedFile {
 public:
  MappedFile() = default;
  /// Throws std::system_error with the path when the file cannot be opened or mapped.
  explicit MappedFile(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

/// Gives back the pages of a mapped file that hold `read`, a part of it; they come again when they are read again.
void give_back_pages(std::span<const std::byte> file, std::span<const std::byte> read);

/// Writes beside `path`, syncs, renames over it and syncs the folder: afterwards the file is the old one or the
/// new one, whole. `commit` does the renaming; without it the temporary file is removed.
/// Every failure (a full disk too) is a std::system_error that names the path.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  File file_;
};

/// A path for people: from the working folder, where that is shorter.
[[nodiscard]] std::string from_here(const std::string& path);

[[nodiscard]] std::string read_text(const std::filesystem::path& path);     ///< throws std::system_error
void write_text(const std::filesystem::path& path, std::string_view text);  ///< through AtomicFile

}  // namespace snug
