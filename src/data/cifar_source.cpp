// CIFAR binary: records of one or two label bytes and three planes of 32 × 32 bytes.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "data/source.h"

namespace snug {

namespace {

constexpr std::int64_t kSide = 32;
constexpr std::int64_t kPixels = kSide * kSide;

std::int64_t record_bytes(int classes) { return (classes == 100 ? 2 : 1) + 3 * kPixels; }

class CifarSource final : public Dataset {
 public:
  CifarSource(std::vector<FileBytes> files, int classes)
      : files_(std::move(files)), record_(record_bytes(classes)), label_byte_(classes == 100 ? 1 : 0) {
    for (const FileBytes& file : files_) {
      info_.samples += static_cast<std::int64_t>(file.bytes.size()) / record_;
      ends_.push_back(info_.samples);
      info_.mapped_bytes += static_cast<std::int64_t>(file.bytes.size());
    }
    info_.image = Shape{kSide, kSide, 3};
    info_.source_dtype = "uint8";
    for (int number = 0; number < classes; ++number) info_.classes.push_back(std::to_string(number));
  }

  [[nodiscard]] const DatasetInfo& info() const override { return info_; }
  void read_image(std::int64_t sample, std::byte* pixels) const override {
    const auto [file, record] = place(sample);
    planes_to_rgb(files_[file].bytes.data() + record * record_ + label_byte_ + 1, kPixels, pixels);
  }
  [[nodiscard]] std::int64_t label(std::int64_t sample) const override {
    const auto [file, record] = place(sample);
    return std::to_integer<std::int64_t>(files_[file].bytes[static_cast<std::size_t>(record * record_ + label_byte_)]);
  }
  void read_row(std::int64_t, float*) const override { fail("CIFAR labels are numbers", __FILE__, __LINE__); }
  [[nodiscard]] std::string where(std::int64_t sample) const override {
    const auto [file, record] = place(sample);
    return fmt::format("{}[{}]", files_[file].path, record);
  }

 private:
  /// File and record of a sample.
  [[nodiscard]] std::pair<std::size_t, std::int64_t> place(std::int64_t sample) const {
    std::size_t file = 0;
    while (sample >= ends_[file]) ++file;  // a handful of files
    return {file, sample - (file == 0 ? 0 : ends_[file - 1])};
  }

  std::vector<FileBytes> files_;
  std::vector<std::int64_t> ends_;  ///< samples up to the end of each file
  std::int64_t record_;
  std::int64_t label_byte_;
  DatasetInfo info_;
};

}  // namespace

SourcePointer make_cifar_source(std::vector<FileBytes> files, int classes, Findings& findings) {
  const std::int64_t record = record_bytes(classes);
  const int other = classes == 100 ? 10 : 100;
  bool good = true;
  for (const FileBytes& file : files) {
    const auto size = static_cast<std::int64_t>(file.bytes.size());
    if (size > 0 && size % record == 0) continue;
    good = false;
    if (size == 0) {
      findings.push_back(data_finding(
          FileUse::images, DataFault::no_samples, file.path,
          fmt::format("{} is empty: 0 bytes, a record has {}", brief_name(file.path), format_count(record)),
          fmt::format("rm {}   # and copy or download it again", file.path)));
      continue;
    }
    const std::string kind = describe_content(file.bytes);
    const std::string what =
        fmt::format("{}: {} bytes are {} records of {} and {} bytes over{}", brief_name(file.path), format_count(size),
                    format_count(size / record), format_count(record), format_count(size % record),
                    kind.empty() ? "" : fmt::format("; it is {}", kind));
    const std::string fix = size % record_bytes(other) == 0 ? fmt::format("format = \"cifar{}\"", other)
                            : kind == "a gzip file"         ? fmt::format("tar xzf {}", file.path)
                                                    : fmt::format("rm {}   # and copy or download it again", file.path);
    findings.push_back(data_finding(FileUse::images, DataFault::size, file.path, what, fix));
  }
  if (!good) return nullptr;
  return std::make_shared<CifarSource>(std::move(files), classes);
}

}  // namespace snug
