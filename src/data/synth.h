// Writes the built-in pictures as files, with a config that trains on them: `data synth`.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "snug/config.h"

namespace snug {

struct SynthOptions {
  std::filesystem::path out;            ///< a folder that is made, or is empty
  DataFormat format = DataFormat::idx;  ///< idx or numpy
  std::int64_t count = 4000;            ///< training pictures
  std::int64_t val_count = 1000;
  std::array<std::int64_t, 3> size{32, 32, 3};  ///< height, width, channels
  std::uint64_t seed = 1;
};

/// The files written, config.toml last. Throws Error: C when the folder cannot be written or is not empty (nothing of
/// it is touched then), D for a size or count that cannot be drawn.
[[nodiscard]] std::vector<std::filesystem::path> write_synthetic(const SynthOptions& options);

}  // namespace snug
