// Reads a gzip stream piece by piece, so that the reader bounds what it inflates.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace snug {

[[nodiscard]] bool is_gzip(std::span<const std::byte> bytes);

/// Concatenated members count as one stream, as for gunzip. The compressed bytes must outlive the reader.
class GzipReader {
 public:
  explicit GzipReader(std::span<const std::byte> compressed);
  ~GzipReader();
  GzipReader(const GzipReader&) = delete;
  GzipReader& operator=(const GzipReader&) = delete;

  /// Fills `out` and returns how much it got: less than asked at the end of the stream and at damage.
  std::size_t read(std::span<std::byte> out);
  /// Whether the stream ended where the file ends, with its checksums right.
  [[nodiscard]] bool finished() const { return finished_; }
  /// What is wrong with the stream; empty as long as nothing is.
  [[nodiscard]] const std::string& damage() const { return damage_; }

 private:
  struct Stream;
  std::unique_ptr<Stream> stream_;
  std::span<const std::byte> rest_;  ///< compressed bytes that zlib has not been given yet
  bool finished_ = false;
  std::string damage_;
};

}  // namespace snug
