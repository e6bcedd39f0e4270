// Packed shards: a data set in a few large files that are mapped and checked record by record. docs/pack.md says what
// every byte means.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "data/source.h"

namespace snug {

enum class PackKind : std::uint32_t { pixels, files };  ///< decoded images of one size, or the pictures' own bytes

struct PackOptions {
  std::filesystem::path out;
  PackKind kind = PackKind::pixels;
  std::int64_t shard_bytes = std::int64_t{64} << 20;  ///< about, of pixels
  std::function<void(std::int64_t done, std::int64_t total)> progress;
};

struct PackResult {
  std::int64_t samples = 0, shards = 0, kept_shards = 0, bytes = 0;
};

/// Writes the data set. Shards that an interrupted run of the same data left whole are kept. Throws Error: C when there
/// is a finished pack or other files in `out`, D for what cannot be read.
PackResult write_pack(const Dataset& data, const PackOptions& options);

/// Opens a pack. Index, tables and sizes are checked now, records when they are first read; damage is named by shard
/// and record.
[[nodiscard]] SourcePointer open_pack(const std::string& folder, const DataConfig& config, const InputSize& input,
                                      Findings& findings);

}  // namespace snug
