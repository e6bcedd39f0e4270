// A data set that shows another one. Internal to the folder.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "data/source.h"

namespace snug {

/// Passes everything on; what is different is overridden. `at` says which sample of the base a sample is.
class Wrapper : public Dataset {
 public:
  explicit Wrapper(SourcePointer base) : base_(std::move(base)), info_(base_->info()) {}
  [[nodiscard]] const DatasetInfo& info() const override { return info_; }
  void read_image(std::int64_t sample, std::byte* pixels) const override { base_->read_image(at(sample), pixels); }
  [[nodiscard]] std::int64_t label(std::int64_t sample) const override { return base_->label(at(sample)); }
  void read_row(std::int64_t sample, float* row) const override { base_->read_row(at(sample), row); }
  [[nodiscard]] std::string where(std::int64_t sample) const override { return base_->where(at(sample)); }
  [[nodiscard]] std::string label_where(std::int64_t sample) const override { return base_->label_where(at(sample)); }
  void pass_through() const override { base_->pass_through(); }
  [[nodiscard]] bool has_pictures() const override { return base_->has_pictures(); }
  [[nodiscard]] PictureSize picture_size(std::int64_t sample) const override { return base_->picture_size(at(sample)); }
  [[nodiscard]] PictureSize resized_size(std::int64_t sample) const override { return base_->resized_size(at(sample)); }
  void read_box(std::int64_t sample, const Box& box, std::byte* pixels) const override {
    base_->read_box(at(sample), box, pixels);
  }
  [[nodiscard]] std::string picture_file(std::int64_t sample) const override { return base_->picture_file(at(sample)); }
  [[nodiscard]] std::span<const std::byte> encoded(std::int64_t sample, std::vector<std::byte>& buffer) const override {
    return base_->encoded(at(sample), buffer);
  }

 protected:
  [[nodiscard]] virtual std::int64_t at(std::int64_t sample) const { return sample; }
  SourcePointer base_;
  DatasetInfo info_;
};

}  // namespace snug
