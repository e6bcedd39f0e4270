// Augmentation of images. What is drawn depends on (seed, epoch, sample, place in the list) alone; of mixup and cutmix
// on (seed, epoch, batch, place in the list).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/sample_place.h"
#include "base/shape.h"
#include "data/dataset.h"
#include "data/findings.h"
#include "snug/config.h"

namespace snug {

class Augmenter {
 public:
  /// Throws Error when `list` holds what does not fit images of this shape.
  Augmenter(std::vector<Augmentation> list, const Shape& image, DType dtype);

  [[nodiscard]] bool active() const { return !list_.empty(); }
  /// Whether batches are mixed: labels must then be rows.
  [[nodiscard]] bool mixes() const;
  /// Reads a sample's image and changes it. Where pictures of their own sizes stand behind the samples, random crops
  /// take their part of the whole picture. `scratch` is another image. `key`: random_key(seed, augmentation, epoch).
  void read(const Dataset& data, std::uint64_t key, std::int64_t sample, std::byte* pixels, std::byte* scratch) const;
  /// Changes `pixels` in place.
  void apply(std::uint64_t key, std::int64_t sample, std::byte* pixels, std::byte* scratch) const;
  /// The same change as `read` makes, for whoever has the image: of a list without `not_placed`.
  [[nodiscard]] SamplePlace place(std::uint64_t key, std::int64_t sample) const;
  /// Mixes the samples of a whole batch in pairs, the first with the last and so on, pixels and rows alike. Of several
  /// kinds in the list one is chosen for each batch.
  void mix(std::uint64_t key, std::int64_t batch, std::span<std::byte> images, std::span<float> rows,
           std::int64_t count) const;

 private:
  void apply_from(std::size_t skip, std::uint64_t key, std::int64_t sample, std::byte* pixels,
                  std::byte* scratch) const;
  void crop(const RandomCrop& crop, std::int64_t down, std::int64_t right, std::byte* pixels, std::byte* scratch) const;
  void mirror(bool vertical, std::byte* pixels) const;

  std::vector<Augmentation> list_;
  Shape image_;
  DType dtype_;
  std::int64_t height_, width_, pixel_bytes_;
};

/// Whether `list` has mixup or cutmix.
[[nodiscard]] bool has_mix(std::span<const Augmentation> list);
/// Whether crops are taken of whole pictures, where there are such: images of one size cannot stand for them.
[[nodiscard]] bool crops_pictures(std::span<const Augmentation> list);

/// What of `list` no SamplePlace can say, by name; empty: all of it can be done where the data set lies.
[[nodiscard]] std::vector<std::string> not_placed(std::span<const Augmentation> list);

/// What in `list` cannot be done to images of this shape and type: D findings.
void check_augmentations(std::span<const Augmentation> list, const Shape& image, DType dtype, Findings& findings);

}  // namespace snug
