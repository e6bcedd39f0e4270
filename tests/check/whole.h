// Whole checks over real files: a folder of arrays, a config of a few lines, and the findings as `snug check` has them.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "check/check.h"
#include "check/measured.h"
#include "snug/config.h"

namespace snug::test {

class DataFolder {
 public:
  DataFolder();
  ~DataFolder();
  DataFolder(const DataFolder&) = delete;
  DataFolder& operator=(const DataFolder&) = delete;
  [[nodiscard]] std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  void text(const std::string& name, const std::string& content) const;

 private:
  std::filesystem::path path_;
};

/// An .npy file; `value(i)` is element i in the order of the file.
template <class T>
void write_array(const std::string& path, const std::string& descr, const std::vector<std::int64_t>& shape,
                 const std::function<T(std::int64_t)>& value, bool fortran = false) {
  std::string extents;
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) {
    extents += std::to_string(extent) + ", ";
    count *= extent;
  }
  std::string header =
      "{'descr': '" + descr + "', 'fortran_order': " + (fortran ? "True" : "False") + ", 'shape': (" + extents + ")}";
  header.resize((header.size() + 10 + 1 + 63) / 64 * 64 - 11, ' ');
  header += '\n';
  std::ofstream file(path, std::ios::binary);
  const auto length = static_cast<std::uint16_t>(header.size());
  file.write("\x93NUMPY\x01\x00", 8);
  file.write(reinterpret_cast<const char*>(&length), 2);
  file << header;
  std::vector<T> values(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) values[static_cast<std::size_t>(i)] = value(i);
  file.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(T)));
}

/// Learnable pictures of 12×12×3 bytes in four classes; every one is different.
inline constexpr std::int64_t kSide = 12, kImage = kSide * kSide * 3, kClasses = 4;
[[nodiscard]] int pixel_of(std::int64_t element, std::int64_t first_sample = 0);
/// "NAME-x.npy" and "NAME-y.npy" (int64 class numbers from 0).
void write_split(const DataFolder& folder, const std::string& name, std::int64_t samples, std::int64_t first = 0);

/// A config in tables of lines, as people write it.
struct Config4 {
  std::string data =
      "train = { images = \"train-x.npy\", labels = \"train-y.npy\" }\n"
      "val = { images = \"val-x.npy\", labels = \"val-y.npy\" }\n";
  std::string input = "[12, 12, 3]";
  std::string layers =
      "  { conv = 8, kernel = 3, padding = \"same\", norm = \"batch\", activation = \"relu\" },\n"
      "  { global_avgpool = true },\n"
      "  { dense = 4 },\n";
  std::string train = "epochs = 4\nbatch = 20\noptimizer = { name = \"sgd\", lr = 0.05, momentum = 0.9 }\n";
  [[nodiscard]] std::string text() const {
    return "[data]\n" + data + "[model]\ninput = " + input + "\nlayers = [\n" + layers + "]\n[train]\n" + train;
  }
};

struct Outcome {
  std::vector<Diagnostic> findings;
  int exit_code = 0;
  [[nodiscard]] std::vector<Diagnostic> faults() const;  ///< errors and warnings
  [[nodiscard]] const Diagnostic* find(std::string_view code) const;
};
struct CheckDepth {
  bool measured = false, deep = false, full = false;
};
/// What `snug check` finds in `folder`/c.toml, without the plan.
[[nodiscard]] Outcome check_file(const std::string& path, const CheckDepth& depth = {});

/// The text with a finding's fix in it: the value at its place replaced, or the line put into the table that the
/// fix or the place names.
[[nodiscard]] std::string pasted(const std::string& text, const Diagnostic& finding);

}  // namespace snug::test
