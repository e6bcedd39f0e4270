#include "data/augment.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "base/rng.h"

namespace snug {

namespace {

/// Uniform in [0, bound) from one word; the bias is below bound ÷ 2^32.
std::int64_t scale(std::uint32_t word, std::int64_t bound) {
  return static_cast<std::int64_t>((static_cast<std::uint64_t>(word) * static_cast<std::uint64_t>(bound)) >> 32);
}

/// The place that `i` mirrors to when it lies outside [0, size); the border itself is not repeated.
std::int64_t reflect(std::int64_t i, std::int64_t size) {
  if (i < 0) return -i;
  return i < size ? i : 2 * (size - 1) - i;
}

std::string_view name_of(const Augmentation& augmentation) {
  struct Names {
    std::string_view operator()(const RandomCrop&) const { return "random_crop"; }
    std::string_view operator()(const RandomResizedCrop&) const { return "random_resized_crop"; }
    std::string_view operator()(const Flip& flip) const { return flip.vertical ? "vflip" : "hflip"; }
    std::string_view operator()(const Rotate&) const { return "rotate"; }
    std::string_view operator()(const ColorJitter&) const { return "color_jitter"; }
    std::string_view operator()(const RandAugment&) const { return "randaugment"; }
    std::string_view operator()(const Erase&) const { return "erase"; }
    std::string_view operator()(const Mix& mix) const { return mix.cut ? "cutmix" : "mixup"; }
  };
  return std::visit(Names{}, augmentation.what);
}

void check_crop(const RandomCrop& crop, const std::string& where, const Shape& image, Findings& findings) {
  const std::int64_t side = std::min(image[0], image[1]);
  if (crop.size != image[0] || crop.size != image[1]) {
    findings.push_back(
        data_finding(FileUse::images, DataFault::augmentation, where,
                     fmt::format("random_crop = {} makes images of {}×{}, the data's and the model's are {}×{}",
                                 crop.size, crop.size, crop.size, image[0], image[1]),
                     image[0] == image[1]
                         ? fmt::format("{{ random_crop = {}, pad = {} }}", side, std::max<std::int64_t>(crop.pad, 1))
                         : "augment = [ { hflip = 0.5 } ]   # random_crop needs square images"));
  } else if (crop.reflect && crop.pad >= side) {
    findings.push_back(
        data_finding(FileUse::images, DataFault::augmentation, where,
                     fmt::format("pad = {} cannot reflect {} pixels: at most {}", crop.pad, side, side - 1),
                     fmt::format("pad = {}", side - 1)));
  } else if (crop.pad < 0 || crop.pad > side) {
    findings.push_back(data_finding(
        FileUse::images, DataFault::augmentation, where,
        fmt::format("pad = {} around images of {} pixels: 0 to {} leave some of the image in", crop.pad, side, side),
        fmt::format("pad = {}", std::max<std::int64_t>(side / 8, 1))));
  }
}

}  // namespace

void check_augmentations(std::span<const Augmentation> list, const Shape& image, Findings& findings) {
  for (const Augmentation& augmentation : list) {
    const std::string where = to_string(augmentation.where);
    if (const auto* crop = std::get_if<RandomCrop>(&augmentation.what)) {
      check_crop(*crop, where, image, findings);
    } else if (!std::holds_alternative<Flip>(augmentation.what)) {
      findings.push_back(unsupported_finding(
          where,
          fmt::format("{} is not supported by this version; random_crop, hflip and vflip are", name_of(augmentation)),
          fmt::format("augment = [ {{ random_crop = {}, pad = 4 }}, {{ hflip = 0.5 }} ]", image[0])));
    }
  }
}

Augmenter::Augmenter(std::vector<Augmentation> list, const Shape& image, DType dtype)
    : list_(std::move(list)), height_(image[0]), width_(image[1]), pixel_bytes_(image[2] * size_bytes(dtype)) {
  Findings findings;
  check_augmentations(list_, image, findings);
  if (!findings.empty()) throw Error(std::move(findings));
}

void Augmenter::apply(std::uint64_t key, std::int64_t sample, std::byte* pixels, std::byte* scratch) const {
  for (std::size_t place = 0; place < list_.size(); ++place) {
    const auto words = philox(key, static_cast<std::uint64_t>(sample), place);
    if (const auto* cut = std::get_if<RandomCrop>(&list_[place].what)) {
      const std::int64_t down = scale(words[0], 2 * cut->pad + 1) - cut->pad;
      const std::int64_t right = scale(words[1], 2 * cut->pad + 1) - cut->pad;
      if (down != 0 || right != 0) crop(*cut, down, right, pixels, scratch);
    } else if (const auto* flip = std::get_if<Flip>(&list_[place].what)) {
      if (static_cast<double>(to_unit(words[0])) < flip->probability) mirror(flip->vertical, pixels);
    }
  }
}

void Augmenter::crop(const RandomCrop& crop, std::int64_t down, std::int64_t right, std::byte* pixels,
                     std::byte* scratch) const {
  const std::int64_t row_bytes = width_ * pixel_bytes_;
  std::memcpy(scratch, pixels, static_cast<std::size_t>(height_ * row_bytes));
  // Columns [begin, end) of the result lie inside the image.
  const std::int64_t begin = std::clamp<std::int64_t>(-right, 0, width_);
  const std::int64_t end = std::clamp<std::int64_t>(width_ - right, begin, width_);
  for (std::int64_t y = 0; y < height_; ++y) {
    std::byte* out = pixels + y * row_bytes;
    const std::int64_t from = crop.reflect ? reflect(y + down, height_) : y + down;
    if (from < 0 || from >= height_) {
      std::memset(out, 0, static_cast<std::size_t>(row_bytes));
      continue;
    }
    const std::byte* in = scratch + from * row_bytes;
    std::memcpy(out + begin * pixel_bytes_, in + (begin + right) * pixel_bytes_,
                static_cast<std::size_t>((end - begin) * pixel_bytes_));
    const auto outside = [&](std::int64_t x) {
      if (crop.reflect) {
        std::memcpy(out + x * pixel_bytes_, in + reflect(x + right, width_) * pixel_bytes_,
                    static_cast<std::size_t>(pixel_bytes_));
      } else {
        std::memset(out + x * pixel_bytes_, 0, static_cast<std::size_t>(pixel_bytes_));
      }
    };
    for (std::int64_t x = 0; x < begin; ++x) outside(x);
    for (std::int64_t x = end; x < width_; ++x) outside(x);
  }
}

void Augmenter::mirror(bool vertical, std::byte* pixels) const {
  const std::int64_t row_bytes = width_ * pixel_bytes_;
  if (vertical) {
    for (std::int64_t y = 0; y < height_ / 2; ++y) {
      std::swap_ranges(pixels + y * row_bytes, pixels + (y + 1) * row_bytes, pixels + (height_ - 1 - y) * row_bytes);
    }
    return;
  }
  for (std::int64_t y = 0; y < height_; ++y) {
    std::byte* row = pixels + y * row_bytes;
    for (std::int64_t x = 0; x < width_ / 2; ++x) {
      std::byte* left = row + x * pixel_bytes_;
      std::swap_ranges(left, left + pixel_bytes_, row + (width_ - 1 - x) * pixel_bytes_);
    }
  }
}

}  // namespace snug
