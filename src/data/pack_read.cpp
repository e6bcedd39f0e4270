#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "base/file.h"
#include "base/text.h"
#include "data/pack.h"
#include "data/pack_format.h"
#include "data/picture_source.h"

namespace snug {

namespace {

namespace fs = std::filesystem;

/// Mapped shards. A record's checksum is looked at when it is read for the first time.
class PackFiles {
 public:
  PackFiles(std::vector<FileBytes> files, std::vector<std::vector<pack::Entry>> entries, const pack::Index& index)
      : files_(std::move(files)),
        entries_(std::move(entries)),
        shards_(index.shards),
        checked_(static_cast<std::size_t>(index.info.samples)) {}

  struct Place {
    std::size_t shard = 0, record = 0;
  };
  [[nodiscard]] Place place(std::int64_t sample) const {
    const auto after =
        std::ranges::upper_bound(shards_, static_cast<std::uint64_t>(sample), {}, &pack::IndexShard::first);
    const auto shard = static_cast<std::size_t>(after - shards_.begin()) - 1;
    return {shard, static_cast<std::size_t>(static_cast<std::uint64_t>(sample) - shards_[shard].first)};
  }
  [[nodiscard]] std::span<const std::byte> record(std::int64_t sample) const {
    const auto [shard, record] = place(sample);
    const pack::Entry& entry = entries_[shard][record];
    std::atomic<bool>& checked = checked_[static_cast<std::size_t>(sample)];
    if (!checked.load(std::memory_order_relaxed)) {
      if (!pack::record_is_whole(files_[shard].bytes, entry)) {
        throw Error(data_finding(
            FileUse::images, DataFault::pack, where(sample),
            fmt::format("record {} of shard {} is damaged: its checksum is not {:08x}", record, shard, entry.sum),
            "snug data pack CONFIG --out NEW   # pack the data again, or copy the shard again"));
      }
      checked.store(true, std::memory_order_relaxed);
    }
    return files_[shard].bytes.subspan(entry.offset, entry.bytes);
  }
  /// Of a record that was read.
  void give_back(std::int64_t sample) const {
    const auto [shard, record] = place(sample);
    const pack::Entry& entry = entries_[shard][record];
    give_back_pages(files_[shard].bytes, files_[shard].bytes.subspan(entry.offset, entry.bytes));
  }
  [[nodiscard]] std::int64_t label(std::int64_t sample) const {
    const auto [shard, record] = place(sample);
    return entries_[shard][record].label;
  }
  [[nodiscard]] std::string where(std::int64_t sample) const {
    const auto [shard, record] = place(sample);
    return fmt::format("{}[{}]", files_[shard].path, record);
  }
  [[nodiscard]] std::int64_t mapped_bytes() const {
    std::int64_t bytes = 0;
    for (const FileBytes& file : files_) bytes += static_cast<std::int64_t>(file.bytes.size());
    return bytes;
  }
  [[nodiscard]] std::int64_t resident_bytes() const {
    return std::ssize(checked_) * static_cast<std::int64_t>(sizeof(pack::Entry) + 1);
  }
  [[nodiscard]] std::int64_t samples() const { return std::ssize(checked_); }

 private:
  std::vector<FileBytes> files_;
  std::vector<std::vector<pack::Entry>> entries_;
  std::vector<pack::IndexShard> shards_;
  mutable std::vector<std::atomic<bool>> checked_;
};

class PixelPack final : public Dataset {
 public:
  PixelPack(std::shared_ptr<const PackFiles> files, DatasetInfo info)
      : files_(std::move(files)), info_(std::move(info)) {
    info_.mapped_bytes = files_->mapped_bytes();
    info_.resident_bytes = files_->resident_bytes();
    if (info_.labels == LabelKind::rows) row_bytes_ = static_cast<std::size_t>(info_.label_width) * sizeof(float);
  }
  [[nodiscard]] const DatasetInfo& info() const override { return info_; }
  void read_image(std::int64_t sample, std::byte* pixels) const override {
    const auto record = files_->record(sample).subspan(row_bytes_);
    std::memcpy(pixels, record.data(), record.size());
    if (passes_through_) files_->give_back(sample);
  }
  void pass_through() const override { passes_through_ = true; }
  [[nodiscard]] std::int64_t label(std::int64_t sample) const override { return files_->label(sample); }
  void read_row(std::int64_t sample, float* row) const override {
    std::memcpy(row, files_->record(sample).data(), row_bytes_);
  }
  [[nodiscard]] std::string where(std::int64_t sample) const override { return files_->where(sample); }

 private:
  std::shared_ptr<const PackFiles> files_;
  DatasetInfo info_;
  std::size_t row_bytes_ = 0;  ///< before the pixels of a record
  mutable std::atomic<bool> passes_through_ = false;
};

class FilePack final : public PictureStore {
 public:
  explicit FilePack(std::shared_ptr<const PackFiles> files) : files_(std::move(files)) {}
  [[nodiscard]] std::int64_t count() const override { return files_->samples(); }
  [[nodiscard]] std::span<const std::byte> read(std::int64_t index, std::vector<std::byte>&) const override {
    return files_->record(index);
  }
  [[nodiscard]] std::string where(std::int64_t index) const override { return files_->where(index); }
  [[nodiscard]] std::int64_t resident_bytes() const override { return files_->resident_bytes(); }
  [[nodiscard]] std::int64_t mapped_bytes() const override { return files_->mapped_bytes(); }
  [[nodiscard]] bool verified() const override { return true; }

 private:
  std::shared_ptr<const PackFiles> files_;
};

constexpr std::string_view kAgain = "snug data pack CONFIG --out NEW   # pack the data again, or copy the pack again";

std::optional<pack::Index> open_index(const std::string& folder, Findings& findings) {
  const fs::path path = fs::path(folder) / pack::kIndexName;
  std::error_code error;
  if (fs::is_directory(folder, error) && !fs::exists(path, error)) {
    findings.push_back(data_finding(
        FileUse::images, DataFault::pack, folder,
        fmt::format("{} has no {}: it is no pack, or packing did not end", brief_name(folder), pack::kIndexName),
        fmt::format("snug data pack CONFIG --out {}   # goes on where it ended", folder)));
    return std::nullopt;
  }
  const auto file = open_file(fs::is_directory(folder, error) ? path.string() : folder, FileUse::images, findings);
  if (!file) return std::nullopt;
  std::string problem;
  auto index = pack::read_index(file->bytes, problem);
  if (!index) {
    findings.push_back(data_finding(FileUse::images, DataFault::pack, path.string(),
                                    fmt::format("the index of the pack (shard 0, record 0 on) is refused: {}", problem),
                                    std::string(kAgain)));
  }
  return index;
}

std::shared_ptr<const PackFiles> open_shards(const std::string& folder, const pack::Index& index, Findings& findings) {
  std::vector<FileBytes> files;
  std::vector<std::vector<pack::Entry>> entries(index.shards.size());
  const std::size_t before = findings.size();
  const DatasetInfo& info = index.info;
  const std::uint64_t record_bytes =
      static_cast<std::uint64_t>(info.image.elements() * size_bytes(info.dtype)) +
      (info.labels == LabelKind::rows ? static_cast<std::uint64_t>(info.label_width) * 4 : 0);
  for (std::uint64_t number = 0; number < index.shards.size(); ++number) {
    auto file = open_file((fs::path(folder) / pack::shard_name(number)).string(), FileUse::images, findings);
    if (!file) continue;
    pack::ShardProblem problem;
    auto& table = entries[number];
    bool good = pack::read_shard(file->bytes, index, number, table, problem);
    for (std::size_t record = 0; good && record < table.size(); ++record) {
      const bool wrong_size = index.kind == PackKind::pixels && table[record].bytes != record_bytes;
      const bool wrong_label =
          info.labels == LabelKind::numbers && !info.classes.empty() &&
          (table[record].label < 0 || std::cmp_greater_equal(table[record].label, info.classes.size()));
      if (!wrong_size && !wrong_label) continue;
      good = false;
      problem = {static_cast<std::int64_t>(record),
                 wrong_size ? "the record has another size than its image" : "the label is none of the classes"};
    }
    if (!good) {
      findings.push_back(data_finding(
          FileUse::images, DataFault::pack, fmt::format("{}[{}]", file->path, problem.record),
          fmt::format("shard {}, record {}: {}", number, problem.record, problem.what), std::string(kAgain)));
    }
    files.push_back(std::move(*file));
  }
  if (findings.size() > before) return nullptr;
  return std::make_shared<PackFiles>(std::move(files), std::move(entries), index);
}

}  // namespace

SourcePointer open_pack(const std::string& folder, const DataConfig& config, const InputSize& input,
                        Findings& findings) {
  const auto index = open_index(folder, findings);
  if (!index) return nullptr;
  auto files = open_shards(folder, *index, findings);
  if (!files) return nullptr;
  if (index->kind == PackKind::pixels) return std::make_shared<PixelPack>(std::move(files), index->info);
  LabelledPictures pictures{.classes = index->info.classes};
  for (std::int64_t sample = 0; sample < index->info.samples; ++sample) pictures.labels.push_back(files->label(sample));
  pictures.store = std::make_shared<FilePack>(std::move(files));
  return make_picture_source(std::move(pictures), config, input, Decoding::all, findings);
}

}  // namespace snug
