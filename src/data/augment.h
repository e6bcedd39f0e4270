// Augmentation of one image. What is drawn depends on (seed, epoch, sample, place in the list) alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/dtype.h"
#include "base/shape.h"
#include "data/findings.h"
#include "snug/config.h"

namespace snug {

class Augmenter {
 public:
  /// Throws Error when `list` holds what this version does not do, or what does not fit images of this shape.
  Augmenter(std::vector<Augmentation> list, const Shape& image, DType dtype);

  [[nodiscard]] bool active() const { return !list_.empty(); }
  /// Changes `pixels` in place. `scratch` is another image. `key`: random_key(seed, augmentation, epoch).
  void apply(std::uint64_t key, std::int64_t sample, std::byte* pixels, std::byte* scratch) const;

 private:
  void crop(const RandomCrop& crop, std::int64_t down, std::int64_t right, std::byte* pixels, std::byte* scratch) const;
  void mirror(bool vertical, std::byte* pixels) const;

  std::vector<Augmentation> list_;
  std::int64_t height_, width_, pixel_bytes_;
};

/// What in `list` cannot be done to images of this shape: D findings, C for what this version does not do.
void check_augmentations(std::span<const Augmentation> list, const Shape& image, Findings& findings);

}  // namespace snug
