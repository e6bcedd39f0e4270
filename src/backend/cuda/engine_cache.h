// What cuDNN answered once, on disk: by convolution, in a file for each device and version of the library.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "backend/cuda/convolution.h"

namespace snug {

/// A cache may be lost at any time and is never trusted: lines that are not whole are passed over, a file that cannot
/// be read or written is no fault. Several processes may use one file; the last to save keeps what the others added.
class EngineCache {
 public:
  /// `subject`: everything but the convolution that the answers depend on. Without a folder nothing is kept.
  EngineCache(const std::filesystem::path& folder, std::string_view subject);

  /// Null when it is not known.
  [[nodiscard]] const std::vector<Engine>* find(const std::string& key) const;
  const std::vector<Engine>& add(const std::string& key, std::vector<Engine> engines);
  /// Writes what was added, beside what others wrote meanwhile.
  void save();

 private:
  std::filesystem::path path_;
  std::unordered_map<std::string, std::vector<Engine>> entries_;
  bool changed_ = false;
};

}  // namespace snug
