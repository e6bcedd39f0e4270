// The readers behind open_source, and the views that every source passes through. Internal to the folder.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/array.h"
#include "data/dataset.h"
#include "data/findings.h"

namespace snug {

using InputSize = std::array<std::int64_t, 3>;  ///< model.input: height, width, channels; all zero: any

/// A data set as its files hold it: class numbers without offset, no sample left out. `classes` is set only where the
/// format fixes their number.
using SourcePointer = std::shared_ptr<const Dataset>;

/// Images with or without labels. Appends what does not fit (axes, extents, layout, counts, values of rows); null then.
[[nodiscard]] SourcePointer make_array_source(Array images, std::optional<Array> labels, ArrayLayout layout,
                                              const InputSize& input, Findings& findings);

/// CIFAR binary records: `classes` 10 (one label byte) or 100 (coarse and fine; the fine one counts).
[[nodiscard]] SourcePointer make_cifar_source(std::vector<FileBytes> files, int classes, Findings& findings);

/// The generated pictures of synthetic = "shapes"; `key` chooses the sequence.
[[nodiscard]] SourcePointer make_shapes_source(std::int64_t count, const InputSize& size, std::uint64_t key);

/// label_offset, ignore_label, class names; class numbers are checked here.
[[nodiscard]] SourcePointer finish_labels(SourcePointer source, const DataConfig& config, Findings& findings);

/// The samples `indices` of `base`, in that order, `offset` added to class numbers. `owns_base`: whether the base's
/// memory counts here (of two views of one base, one counts it).
[[nodiscard]] SourcePointer make_view(SourcePointer base, std::vector<std::int64_t> indices, std::int64_t offset,
                                      std::vector<std::string> classes, bool owns_base);

/// data.resize and data.gray_to_rgb on images of one size; `base` itself where nothing is to be done.
[[nodiscard]] SourcePointer make_converted(SourcePointer base, const DataConfig& config, const InputSize& input);
/// Decoded images stay in memory once they were read.
[[nodiscard]] SourcePointer make_kept(SourcePointer base);

/// The extents after data.resize, before the crop: of the short side, the other one rounded down.
[[nodiscard]] PictureSize resized_size_of(const PictureSize& size, const std::vector<std::int64_t>& resize);
/// The part of the whole picture that is the center, height × width, of the resized one.
[[nodiscard]] Box center_box(const PictureSize& whole, const PictureSize& resized, std::int64_t height,
                             std::int64_t width);

/// Which samples a stratified split keeps for training and for validation, each ascending. Of every class
/// about `fraction` goes to validation, at least one sample stays.
struct SplitIndices {
  std::vector<std::int64_t> train, val;
};
[[nodiscard]] SplitIndices stratified_split(const Dataset& data, double fraction, std::uint64_t seed);

/// Weaves planes of `pixels` bytes (R, G, B) into pixels of three bytes.
void planes_to_rgb(const std::byte* planes, std::int64_t pixels, std::byte* rgb);

}  // namespace snug
