// Runs the built program as a shell would, and keeps what it printed.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace snug {

struct ProgramResult {
  int code = -1;  ///< exit code; 128 + signal when one ended it
  std::string out, error;
};

/// `setup` runs in a shell before the program in the same process ("cd …"; may be empty).
[[nodiscard]] ProgramResult run_program(const std::vector<std::string>& words, const std::string& setup = "");

/// `words` of a line parted by spaces.
[[nodiscard]] std::vector<std::string> split_words(const std::string& line);

/// A fresh folder that vanishes with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  /// Writes a file into it; returns its path.
  std::string file(const std::string& name, const std::string& text) const;

 private:
  std::filesystem::path path_;
};

/// A small config on the built-in data set that trains in a second.
[[nodiscard]] std::string small_config();

}  // namespace snug
