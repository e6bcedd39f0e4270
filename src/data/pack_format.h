// The bytes of a pack's files. Internal to the folder.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/array.h"
#include "data/crc32c.h"
#include "data/pack.h"

namespace snug::pack {

inline constexpr std::string_view kIndexMagic = "SNUGPIDX";
inline constexpr std::string_view kShardMagic = "SNUGPACK";
inline constexpr std::uint32_t kVersion = 1;
inline constexpr std::uint64_t kShardHeaderBytes = 52;
inline constexpr std::uint64_t kEntryBytes = 28;
inline constexpr std::string_view kIndexName = "pack.index";

[[nodiscard]] std::string shard_name(std::uint64_t number);

/// Little-endian values behind each other.
class Writer {
 public:
  template <class T>
  void put(T value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    text_.append(bytes, sizeof(T));
  }
  void text(std::string_view text) {
    put(static_cast<std::uint32_t>(text.size()));
    raw(text);
  }
  void raw(std::string_view text) { text_ += text; }
  /// The checksum of what was written from `begin` on.
  void sum(std::size_t begin = 0) { put(crc32c(bytes().subspan(begin))); }
  [[nodiscard]] std::span<const std::byte> bytes() const { return std::as_bytes(std::span(text_)); }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

/// Reads them back; what lies beyond the end is 0 and `good` false.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}
  template <class T>
  T get() {
    if (bytes_.size() - place_ < sizeof(T)) {
      good_ = false;
      return T{};
    }
    const T value = load<T>(bytes_.data() + place_, false);
    place_ += sizeof(T);
    return value;
  }
  std::string text() {
    const auto size = get<std::uint32_t>();
    return raw(size);
  }
  std::string raw(std::size_t size) {
    if (bytes_.size() - place_ < size) {
      good_ = false;
      return {};
    }
    std::string out(reinterpret_cast<const char*>(bytes_.data() + place_), size);
    place_ += size;
    return out;
  }
  [[nodiscard]] bool good() const { return good_; }
  [[nodiscard]] std::size_t place() const { return place_; }

 private:
  std::span<const std::byte> bytes_;
  std::size_t place_ = 0;
  bool good_ = true;
};

struct ShardHeader {
  std::uint64_t number = 0, first = 0, records = 0, fingerprint = 0, payload = 0;
};
struct Entry {
  std::uint64_t offset = 0;
  std::uint32_t bytes = 0, sum = 0;
  std::int64_t label = 0;
};
struct IndexShard {
  std::uint64_t first = 0, records = 0, file_bytes = 0;
};
struct Index {
  PackKind kind = PackKind::pixels;
  std::uint64_t fingerprint = 0;
  DatasetInfo info;  ///< samples, image, dtype, source_dtype, integer_max, labels, label_width, classes
  std::vector<IndexShard> shards;
};

[[nodiscard]] std::string to_bytes(const Index& index);
/// Nothing, and the reason, for bytes that are no index.
[[nodiscard]] std::optional<Index> read_index(std::span<const std::byte> bytes, std::string& problem);

void put_header(Writer& out, const ShardHeader& header);
void put_entry(Writer& out, const Entry& entry);

/// A shard held against its index; `record` is −1 for what concerns the whole shard.
struct ShardProblem {
  std::int64_t record = -1;
  std::string what;
};
/// Header, table and size; not the records themselves. True when they are sound.
[[nodiscard]] bool read_shard(std::span<const std::byte> bytes, const Index& index, std::uint64_t number,
                              std::vector<Entry>& entries, ShardProblem& problem);
[[nodiscard]] bool record_is_whole(std::span<const std::byte> shard, const Entry& entry);

}  // namespace snug::pack
