#include "data/pack_format.h"

#include <fmt/format.h>

#include "base/text.h"

namespace snug::pack {

namespace {

constexpr std::uint64_t kMostShards = 1 << 20;
constexpr std::uint64_t kMostClasses = 1'000'000;
constexpr std::int64_t kMostExtent = 65'536;

bool sum_is_right(std::span<const std::byte> bytes) {
  return bytes.size() >= 4 &&
         load<std::uint32_t>(bytes.data() + bytes.size() - 4, false) == crc32c(bytes.first(bytes.size() - 4));
}

bool sound(const Index& index) {
  const DatasetInfo& info = index.info;
  const auto side = [](std::int64_t extent) { return extent >= 1 && extent <= kMostExtent; };
  if (info.samples < 1 || !side(info.image[0]) || !side(info.image[1]) || !side(info.image[2])) return false;
  if (info.label_width < 1 || info.label_width > static_cast<std::int64_t>(kMostClasses)) return false;
  std::uint64_t next = 0;
  for (const IndexShard& shard : index.shards) {
    if (shard.first != next || shard.records == 0 || shard.records > shard.file_bytes / kEntryBytes) return false;
    next += shard.records;
  }
  return std::cmp_equal(next, info.samples);
}

}  // namespace

std::string shard_name(std::uint64_t number) { return fmt::format("shard-{:05}.pack", number); }

std::string to_bytes(const Index& index) {
  Writer out;
  const DatasetInfo& info = index.info;
  out.raw(kIndexMagic);
  out.put(kVersion);
  out.put(static_cast<std::uint32_t>(index.kind));
  out.put(index.fingerprint);
  out.put(static_cast<std::uint32_t>(info.dtype == DType::u8 ? 0 : 1));
  for (int axis = 0; axis < 3; ++axis) out.put(static_cast<std::uint32_t>(info.image[axis]));
  out.put(static_cast<std::uint32_t>(info.labels == LabelKind::numbers ? 0 : 1));
  out.put(static_cast<std::uint32_t>(info.label_width));
  out.put(static_cast<std::uint64_t>(info.samples));
  out.put(info.integer_max);
  out.text(info.source_dtype);
  out.put(static_cast<std::uint32_t>(info.classes.size()));
  for (const std::string& name : info.classes) out.text(name);
  out.put(static_cast<std::uint32_t>(index.shards.size()));
  for (const IndexShard& shard : index.shards) {
    out.put(shard.first);
    out.put(shard.records);
    out.put(shard.file_bytes);
  }
  out.sum();
  return out.take();
}

std::optional<Index> read_index(std::span<const std::byte> bytes, std::string& problem) {
  Reader in(bytes);
  const auto refuse = [&problem](std::string what) {
    problem = std::move(what);
    return std::nullopt;
  };
  if (in.raw(kIndexMagic.size()) != kIndexMagic) return refuse("it does not begin as a pack's index");
  if (const auto version = in.get<std::uint32_t>(); in.good() && version != kVersion)
    return refuse(fmt::format("it has format {}, or is damaged; this version reads {}", version, kVersion));
  if (!sum_is_right(bytes)) return refuse("its checksum is wrong: it is cut or damaged");
  Index index;
  DatasetInfo& info = index.info;
  const auto kind = in.get<std::uint32_t>();
  index.kind = kind == 0 ? PackKind::pixels : PackKind::files;
  index.fingerprint = in.get<std::uint64_t>();
  const auto type = in.get<std::uint32_t>();
  info.dtype = type == 0 ? DType::u8 : DType::f32;
  const std::int64_t height = in.get<std::uint32_t>();
  const std::int64_t width = in.get<std::uint32_t>();
  const std::int64_t channels = in.get<std::uint32_t>();
  info.image = Shape{height, width, channels};
  const auto labels = in.get<std::uint32_t>();
  info.labels = labels == 0 ? LabelKind::numbers : LabelKind::rows;
  info.label_width = in.get<std::uint32_t>();
  info.samples = static_cast<std::int64_t>(std::min<std::uint64_t>(in.get<std::uint64_t>(), std::uint64_t{1} << 62));
  info.integer_max = in.get<double>();
  info.source_dtype = in.text();
  const auto classes = in.get<std::uint32_t>();
  for (std::uint32_t i = 0; i < classes && in.good() && i < kMostClasses; ++i) info.classes.push_back(in.text());
  const auto shards = in.get<std::uint32_t>();
  for (std::uint32_t i = 0; i < shards && in.good() && i < kMostShards; ++i) {
    IndexShard shard;
    shard.first = in.get<std::uint64_t>();
    shard.records = in.get<std::uint64_t>();
    shard.file_bytes = in.get<std::uint64_t>();
    index.shards.push_back(shard);
  }
  const bool whole = in.good() && in.place() + 4 == bytes.size();
  if (!whole || kind > 1 || type > 1 || labels > 1 || !sound(index)) return refuse("what it says contradicts itself");
  return index;
}

void put_header(Writer& out, const ShardHeader& header) {
  const std::size_t begin = out.bytes().size();
  out.raw(kShardMagic);
  out.put(kVersion);
  out.put(static_cast<std::uint32_t>(header.number));
  out.put(header.first);
  out.put(header.records);
  out.put(header.fingerprint);
  out.put(header.payload);
  out.sum(begin);
}

void put_entry(Writer& out, const Entry& entry) {
  const std::size_t begin = out.bytes().size();
  out.put(entry.offset);
  out.put(entry.bytes);
  out.put(entry.sum);
  out.put(entry.label);
  out.sum(begin);
}

bool read_shard(std::span<const std::byte> bytes, const Index& index, std::uint64_t number, std::vector<Entry>& entries,
                ShardProblem& problem) {
  const IndexShard& wanted = index.shards[number];
  const auto refuse = [&problem](std::int64_t record, std::string what) {
    problem = {record, std::move(what)};
    return false;
  };
  const std::uint64_t table_end = kShardHeaderBytes + wanted.records * kEntryBytes;
  if (bytes.size() < kShardHeaderBytes)
    return refuse(0, fmt::format("the shard is cut in its header: {} bytes", bytes.size()));
  if (!sum_is_right(bytes.first(kShardHeaderBytes))) return refuse(0, "the shard's header is damaged");
  Reader in(bytes);
  const bool magic = in.raw(kShardMagic.size()) == kShardMagic && in.get<std::uint32_t>() == kVersion;
  const auto shard = in.get<std::uint32_t>();
  const auto first = in.get<std::uint64_t>();
  const auto records = in.get<std::uint64_t>();
  const auto fingerprint = in.get<std::uint64_t>();
  const auto payload = in.get<std::uint64_t>();
  (void)in.get<std::uint32_t>();
  if (!magic || shard != number || first != wanted.first || records != wanted.records ||
      fingerprint != index.fingerprint)
    return refuse(0, "the shard belongs to another pack");
  std::uint64_t end = table_end;
  entries.clear();
  for (std::uint64_t record = 0; record < records; ++record) {
    const std::size_t begin = in.place();
    if (bytes.size() - begin < kEntryBytes)
      return refuse(static_cast<std::int64_t>(record),
                    fmt::format("the shard is cut: {} of {} bytes", bytes.size(), wanted.file_bytes));
    if (!sum_is_right(bytes.subspan(begin, kEntryBytes)))
      return refuse(static_cast<std::int64_t>(record), "the entry of the table is damaged");
    Entry entry;
    entry.offset = in.get<std::uint64_t>();
    entry.bytes = in.get<std::uint32_t>();
    entry.sum = in.get<std::uint32_t>();
    entry.label = in.get<std::int64_t>();
    (void)in.get<std::uint32_t>();
    if (entry.offset != end)
      return refuse(static_cast<std::int64_t>(record), "the record does not begin where the one before ends");
    end += entry.bytes;
    if (end > bytes.size())
      return refuse(static_cast<std::int64_t>(record),
                    fmt::format("the shard is cut: {} of {} bytes", bytes.size(), wanted.file_bytes));
    entries.push_back(entry);
  }
  if (bytes.size() != end || bytes.size() != wanted.file_bytes || payload != end - table_end)
    return refuse(static_cast<std::int64_t>(records) - 1,
                  fmt::format("the shard has {} bytes, {} were written", bytes.size(), wanted.file_bytes));
  return true;
}

bool record_is_whole(std::span<const std::byte> shard, const Entry& entry) {
  return crc32c(shard.subspan(entry.offset, entry.bytes)) == entry.sum;
}

}  // namespace snug::pack
