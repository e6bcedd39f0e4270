#include <algorithm>
#include <atomic>
#include <exception>
#include <filesystem>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/file.h"
#include "base/text.h"
#include "data/pack.h"
#include "data/pack_format.h"

namespace snug {

namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kFilesPerShard = 1024;

std::size_t row_bytes(const DatasetInfo& info) {
  return info.labels == LabelKind::rows ? static_cast<std::size_t>(info.label_width) * sizeof(float) : 0;
}

/// What a pack is of: places, labels and extents of all samples. Shards of another are never taken for its own.
std::uint64_t fingerprint_of(const Dataset& data, PackKind kind) {
  const DatasetInfo& info = data.info();
  pack::Writer low, high;
  low.put(static_cast<std::uint32_t>(kind));
  for (int axis = 0; axis < 3; ++axis) low.put(info.image[axis]);
  low.text(info.source_dtype);
  for (const std::string& name : info.classes) low.text(name);
  for (std::int64_t sample = 0; sample < info.samples; ++sample) {
    high.text(data.where(sample));
    if (info.labels == LabelKind::numbers) high.put(data.label(sample));
    const PictureSize size = data.picture_size(sample);
    high.put(size.height);
    high.put(size.width);
  }
  return std::uint64_t{crc32c(low.bytes())} << 32 | crc32c(high.bytes());
}

std::vector<std::byte> record_of(const Dataset& data, PackKind kind, std::int64_t sample) {
  const DatasetInfo& info = data.info();
  if (kind == PackKind::files) {
    std::vector<std::byte> buffer;
    const auto bytes = data.encoded(sample, buffer);
    return {bytes.begin(), bytes.end()};
  }
  const std::size_t rows = row_bytes(info);
  std::vector<std::byte> record(rows + static_cast<std::size_t>(info.image.elements() * size_bytes(info.dtype)));
  if (rows > 0) data.read_row(sample, reinterpret_cast<float*>(record.data()));
  data.read_image(sample, record.data() + rows);
  return record;
}

/// The records of a shard, by all cores.
std::vector<std::vector<std::byte>> records_of(const Dataset& data, PackKind kind, std::int64_t first,
                                               std::int64_t count) {
  std::vector<std::vector<std::byte>> records(static_cast<std::size_t>(count));
  std::atomic<std::size_t> next{0};
  std::exception_ptr error;
  std::mutex mutex;
  const auto work = [&] {
    for (std::size_t i = next++; i < records.size(); i = next++) {
      try {
        records[i] = record_of(data, kind, first + static_cast<std::int64_t>(i));
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!error) error = std::current_exception();
      }
    }
  };
  {
    std::vector<std::jthread> others;
    for (unsigned i = 1; i < std::thread::hardware_concurrency(); ++i) others.emplace_back(work);
    work();
  }
  if (error) std::rethrow_exception(error);
  return records;
}

/// Bytes of the shard file.
std::uint64_t write_shard(const Dataset& data, const PackOptions& options, const pack::Index& index,
                          std::uint64_t number) {
  const pack::IndexShard& shard = index.shards[number];
  const auto records =
      records_of(data, options.kind, static_cast<std::int64_t>(shard.first), static_cast<std::int64_t>(shard.records));
  pack::Writer head;
  const std::uint64_t table_end = pack::kShardHeaderBytes + shard.records * pack::kEntryBytes;
  std::uint64_t end = table_end;
  for (const auto& record : records) end += record.size();
  pack::put_header(head, {number, shard.first, shard.records, index.fingerprint, end - table_end});
  std::uint64_t offset = table_end;
  const bool numbers = data.info().labels == LabelKind::numbers;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const std::int64_t label = numbers ? data.label(static_cast<std::int64_t>(shard.first + i)) : 0;
    pack::put_entry(head, {offset, static_cast<std::uint32_t>(records[i].size()), crc32c(records[i]), label});
    offset += records[i].size();
  }
  AtomicFile file(options.out / pack::shard_name(number));
  file.write(head.bytes());
  for (const auto& record : records) file.write(record);
  file.commit();
  return end;
}

/// Whether the shard is there, whole and of the same data; its size then.
std::optional<std::uint64_t> whole_shard(const fs::path& path, pack::Index index, std::uint64_t number) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  if (error) return std::nullopt;
  index.shards[number].file_bytes = size;
  const MappedFile file(path);
  std::vector<pack::Entry> entries;
  pack::ShardProblem problem;
  if (!pack::read_shard(file.bytes(), index, number, entries, problem)) return std::nullopt;
  const bool whole = std::ranges::all_of(
      entries, [&](const pack::Entry& entry) { return pack::record_is_whole(file.bytes(), entry); });
  return whole ? std::optional<std::uint64_t>(size) : std::nullopt;
}

void prepare_folder(const fs::path& out) {
  const auto refuse = [&](std::string what) {
    throw Error(Diagnostic{.code = "C916",
                           .where = "--out " + out.string(),
                           .what = std::move(what),
                           .fix = "--out " + out.string() + "-2"});
  };
  std::error_code error;
  fs::create_directories(out, error);
  if (error) refuse(fmt::format("{} cannot be made: {}", brief_name(out), error.message()));
  if (fs::exists(out / pack::kIndexName)) refuse(fmt::format("{} holds a finished pack", brief_name(out)));
  for (const auto& entry : fs::directory_iterator(out)) {
    if (!entry.path().filename().string().starts_with("shard-"))
      refuse(fmt::format("{} holds other files: {}", brief_name(out), brief_name(entry.path())));
  }
}

}  // namespace

PackResult write_pack(const Dataset& data, const PackOptions& options) {
  prepare_folder(options.out);
  const DatasetInfo& info = data.info();
  pack::Index index{.kind = options.kind, .fingerprint = fingerprint_of(data, options.kind), .info = info};
  const std::int64_t record_bytes =
      info.image.elements() * size_bytes(info.dtype) + static_cast<std::int64_t>(row_bytes(info));
  const std::int64_t per_shard =
      options.kind == PackKind::files ? kFilesPerShard : std::max<std::int64_t>(1, options.shard_bytes / record_bytes);
  for (std::int64_t first = 0; first < info.samples; first += per_shard) {
    index.shards.push_back(
        {static_cast<std::uint64_t>(first), static_cast<std::uint64_t>(std::min(per_shard, info.samples - first)), 0});
  }
  PackResult result{.samples = info.samples, .shards = std::ssize(index.shards)};
  for (std::uint64_t number = 0; number < index.shards.size(); ++number) {
    const auto kept = whole_shard(options.out / pack::shard_name(number), index, number);
    if (kept) ++result.kept_shards;
    index.shards[number].file_bytes = kept ? *kept : write_shard(data, options, index, number);
    result.bytes += static_cast<std::int64_t>(index.shards[number].file_bytes);
    if (options.progress)
      options.progress(static_cast<std::int64_t>(index.shards[number].first + index.shards[number].records),
                       info.samples);
  }
  const std::string bytes = pack::to_bytes(index);
  AtomicFile file(options.out / pack::kIndexName);
  file.write(bytes);
  file.commit();
  return result;
}

}  // namespace snug
