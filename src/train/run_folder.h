// The folder of a run: what it holds, how it is made, and its logs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/file.h"

namespace snug {

/// A log that only grows, and is cut back when a run goes on from an earlier step.
class AppendFile {
 public:
  /// Opens or makes it. Throws Error (C, M) as write_failure says; so do all others.
  explicit AppendFile(std::filesystem::path path);
  void append(std::string_view text);
  void sync();
  /// Keeps the first `bytes` bytes.
  void cut(std::int64_t bytes);
  [[nodiscard]] std::int64_t size_bytes() const { return size_bytes_; }

 private:
  std::filesystem::path path_;
  File file_;
  std::int64_t size_bytes_ = 0;
};

struct RunChoice {
  std::filesystem::path folder;  ///< empty: the next free runs/NAME-N, decided when it is made
  bool exists = false;           ///< the run goes on in it
};

/// Where a run will write. Throws Error (C) when `out` exists and the run is not to be resumed.
/// Without `out`, resuming takes the unfinished run of that name with the highest number.
[[nodiscard]] RunChoice choose_run_folder(const std::filesystem::path& out, bool resume, std::string_view name,
                                          const std::filesystem::path& runs = "runs");
/// Makes the folder (of runs/NAME-N the first whose name is free; two runs never get the same). Throws Error (C, M).
[[nodiscard]] std::filesystem::path make_run_folder(const RunChoice& choice, std::string_view name,
                                                    const std::filesystem::path& runs = "runs");

/// Keeps other processes from writing into the same folder while it lives. Throws Error (C) when one does.
class RunLock {
 public:
  explicit RunLock(const std::filesystem::path& folder);

 private:
  File folder_;
};

}  // namespace snug
