#include "data/augment.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "base/ensure.h"
#include "base/rng.h"
#include "data/color.h"

namespace snug {

namespace {

/// Uniform in [0, bound) from one word; the bias is below bound ÷ 2^32.
std::int64_t scale(std::uint32_t word, std::int64_t bound) {
  return static_cast<std::int64_t>((static_cast<std::uint64_t>(word) * static_cast<std::uint64_t>(bound)) >> 32);
}

/// By how many pixels a crop moves along one axis.
std::int64_t crop_shift(const RandomCrop& crop, std::uint32_t word) { return scale(word, 2 * crop.pad + 1) - crop.pad; }

bool is_flipped(const Flip& flip, std::uint32_t word) { return static_cast<double>(to_unit(word)) < flip.probability; }

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

void check_resized_crop(const RandomResizedCrop& crop, const std::string& where, const Shape& image,
                        Findings& findings) {
  if (crop.size == image[0] && crop.size == image[1]) return;
  findings.push_back(
      data_finding(FileUse::images, DataFault::augmentation, where,
                   fmt::format("random_resized_crop = {} makes images of {}×{}, the data's and the model's are {}×{}",
                               crop.size, crop.size, crop.size, image[0], image[1]),
                   image[0] == image[1] ? fmt::format("{{ random_resized_crop = {} }}", image[0])
                                        : "augment = [ { hflip = 0.5 } ]   # random_resized_crop needs square images"));
}

/// Uniform in [low, high).
double between(Random& random, double low, double high) {
  return low + (high - low) * static_cast<double>(random.uniform());
}

/// A part of 8 to 100 % of the area and of an aspect ratio from 3:4 to 4:3; the largest central one where ten tries
/// give none.
Box draw_part(Random& random, const PictureSize& whole) {
  const auto height = static_cast<double>(whole.height);
  const auto width = static_cast<double>(whole.width);
  constexpr double kLow = 3.0 / 4, kHigh = 4.0 / 3;
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double area = height * width * between(random, 0.08, 1.0);
    const double ratio = std::exp(between(random, std::log(kLow), std::log(kHigh)));
    const double w = std::round(std::sqrt(area * ratio));
    const double h = std::round(std::sqrt(area / ratio));
    if (w < 1 || h < 1 || w > width || h > height) continue;
    const auto top = random.below(static_cast<std::uint32_t>(height - h) + 1);
    const auto left = random.below(static_cast<std::uint32_t>(width - w) + 1);
    return {static_cast<double>(top), static_cast<double>(left), h, w};
  }
  const double ratio = width / height;
  const double w = ratio > kHigh ? std::round(height * kHigh) : width;
  const double h = ratio < kLow ? std::round(width / kLow) : height;
  return {std::floor((height - h) / 2), std::floor((width - w) / 2), h, w};
}

/// A random window of the resized picture, as a part of the whole one.
Box draw_window(Random& random, const PictureSize& whole, const PictureSize& all, const Shape& image) {
  const auto top = random.below(static_cast<std::uint32_t>(all.height - image[0] + 1));
  const auto left = random.below(static_cast<std::uint32_t>(all.width - image[1] + 1));
  const double down = static_cast<double>(whole.height) / static_cast<double>(all.height);
  const double across = static_cast<double>(whole.width) / static_cast<double>(all.width);
  return {top * down, left * across, static_cast<double>(image[0]) * down, static_cast<double>(image[1]) * across};
}

Random random_of(std::uint64_t key, std::int64_t item, std::size_t place) {
  const auto words = philox(key, static_cast<std::uint64_t>(item), place);
  return Random((std::uint64_t{words[1]} << 32) | words[0]);
}

template <class T>
void resize_part(const Box& box, const Shape& image, T* pixels, T* scratch) {
  thread_local ResizeScratch buffers;
  std::memcpy(scratch, pixels, static_cast<std::size_t>(image.elements()) * sizeof(T));
  resize_box(scratch, image[0], image[1], image[2], box, ResizeFilter::bilinear, pixels, image[0], image[1], buffers);
}

/// Fills a rectangle of 2 to 33 % of the area with the image's own mean color.
template <class T>
void erase_part(Random& random, const Shape& image, T* pixels) {
  const auto height = static_cast<double>(image[0]);
  const auto width = static_cast<double>(image[1]);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double area = height * width * between(random, 0.02, 0.33);
    const double ratio = std::exp(between(random, std::log(0.3), std::log(3.3)));
    const auto h = static_cast<std::int64_t>(std::round(std::sqrt(area * ratio)));
    const auto w = static_cast<std::int64_t>(std::round(std::sqrt(area / ratio)));
    if (h < 1 || w < 1 || h >= image[0] || w >= image[1]) continue;
    const std::int64_t top = random.below(static_cast<std::uint32_t>(image[0] - h + 1));
    const std::int64_t left = random.below(static_cast<std::uint32_t>(image[1] - w + 1));
    for (std::int64_t c = 0; c < image[2]; ++c) {
      double sum = 0;
      for (std::int64_t i = c; i < image.elements(); i += image[2]) sum += static_cast<double>(pixels[i]);
      const double mean = sum / (height * width);
      const T fill = std::is_same_v<T, float> ? static_cast<T>(mean) : static_cast<T>(std::floor(mean + 0.5));
      for (std::int64_t y = top; y < top + h; ++y) {
        for (std::int64_t x = left; x < left + w; ++x) pixels[(y * image[1] + x) * image[2] + c] = fill;
      }
    }
    return;
  }
}

/// Gamma(shape) by Marsaglia and Tsang; below 1 by its power.
double draw_gamma(Random& random, double shape) {
  if (shape < 1) {
    const double u = (static_cast<double>(random.next()) + 0.5) * 0x1p-32;
    return draw_gamma(random, shape + 1) * std::pow(u, 1 / shape);
  }
  const double d = shape - 1.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = random.normal();
    const double v = std::pow(1 + c * x, 3);
    const double u = (static_cast<double>(random.next()) + 0.5) * 0x1p-32;
    if (v > 0 && std::log(u) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

double draw_beta(Random& random, double alpha) {
  const double a = draw_gamma(random, alpha);
  const double b = draw_gamma(random, alpha);
  return a + b > 0 ? a / (a + b) : 0.5;
}

template <class T>
void blend(T* a, T* b, std::int64_t count, double share) {
  for (std::int64_t i = 0; i < count; ++i) {
    const double x = static_cast<double>(a[i]);
    const double y = static_cast<double>(b[i]);
    const double half = std::is_same_v<T, float> ? 0 : 0.5;
    a[i] = static_cast<T>(share * x + (1 - share) * y + half);
    b[i] = static_cast<T>(share * y + (1 - share) * x + half);
  }
}

}  // namespace

bool has_mix(std::span<const Augmentation> list) {
  return std::ranges::any_of(list, [](const Augmentation& a) { return std::holds_alternative<Mix>(a.what); });
}

bool crops_pictures(std::span<const Augmentation> list) {
  return std::ranges::any_of(list, [](const Augmentation& augmentation) {
    const auto* crop = std::get_if<RandomCrop>(&augmentation.what);
    return std::holds_alternative<RandomResizedCrop>(augmentation.what) || (crop != nullptr && crop->pad == 0);
  });
}

std::vector<std::string> not_placed(std::span<const Augmentation> list) {
  std::vector<std::string> names;
  bool moved = false;
  for (const Augmentation& augmentation : list) {
    if (std::holds_alternative<Flip>(augmentation.what)) continue;
    const auto* crop = std::get_if<RandomCrop>(&augmentation.what);
    // Without padding it takes a part of a whole picture, and of two the first cuts what the second would see.
    if (crop != nullptr && crop->pad > 0 && !std::exchange(moved, true)) continue;
    std::string name(name_of(augmentation));
    if (crop != nullptr) name = crop->pad > 0 ? "a second random_crop" : "random_crop without pad";
    if (std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
  }
  return names;
}

void check_augmentations(std::span<const Augmentation> list, const Shape& image, DType dtype, Findings& findings) {
  for (const Augmentation& augmentation : list) {
    const std::string where = to_string(augmentation.where);
    const bool colors = std::holds_alternative<ColorJitter>(augmentation.what) ||
                        std::holds_alternative<RandAugment>(augmentation.what);
    if (const auto* crop = std::get_if<RandomCrop>(&augmentation.what)) {
      check_crop(*crop, where, image, findings);
    } else if (const auto* part = std::get_if<RandomResizedCrop>(&augmentation.what)) {
      check_resized_crop(*part, where, image, findings);
    } else if (colors && dtype != DType::u8) {
      findings.push_back(data_finding(
          FileUse::images, DataFault::augmentation, where,
          fmt::format("{} works on 8-bit pixels, the images are floating-point numbers", name_of(augmentation)),
          "np.save(\"x.npy\", (x * 255).round().astype(np.uint8))   # of images on 0 to 1"));
    } else if (colors && image[2] != 1 && image[2] != 3) {
      findings.push_back(data_finding(
          FileUse::images, DataFault::augmentation, where,
          fmt::format("{} works on gray and RGB, the images have {} channels", name_of(augmentation), image[2]),
          "augment = [ { hflip = 0.5 } ]"));
    }
  }
}

Augmenter::Augmenter(std::vector<Augmentation> list, const Shape& image, DType dtype)
    : list_(std::move(list)),
      image_(image),
      dtype_(dtype),
      height_(image[0]),
      width_(image[1]),
      pixel_bytes_(image[2] * size_bytes(dtype)) {
  Findings findings;
  check_augmentations(list_, image, dtype, findings);
  if (!findings.empty()) throw Error(std::move(findings));
}

bool Augmenter::mixes() const { return has_mix(list_); }

void Augmenter::read(const Dataset& data, std::uint64_t key, std::int64_t sample, std::byte* pixels,
                     std::byte* scratch) const {
  for (std::size_t place = 0; data.has_pictures() && place < list_.size(); ++place) {
    Random random = random_of(key, sample, place);
    const auto& what = list_[place].what;
    const auto* window = std::get_if<RandomCrop>(&what);
    const bool part = std::holds_alternative<RandomResizedCrop>(what);
    if (!part && (window == nullptr || window->pad != 0)) continue;
    const PictureSize whole = data.picture_size(sample);
    const Box box = part ? draw_part(random, whole) : draw_window(random, whole, data.resized_size(sample), image_);
    data.read_box(sample, box, pixels);
    apply_from(place, key, sample, pixels, scratch);
    return;
  }
  data.read_image(sample, pixels);
  apply(key, sample, pixels, scratch);
}

SamplePlace Augmenter::place(std::uint64_t key, std::int64_t sample) const {
  SamplePlace at{.sample = static_cast<std::int32_t>(sample)};
  for (std::size_t place = 0; place < list_.size(); ++place) {
    const auto words = philox(key, static_cast<std::uint64_t>(sample), place);
    if (const auto* cut = std::get_if<RandomCrop>(&list_[place].what)) {
      at.down += static_cast<std::int32_t>(crop_shift(*cut, words[0]));
      at.right += static_cast<std::int32_t>(crop_shift(*cut, words[1]));
      if (cut->reflect) at.turns |= SamplePlace::reflected;
    } else if (const auto* flip = std::get_if<Flip>(&list_[place].what)) {
      if (!is_flipped(*flip, words[0])) continue;
      // A picture that was moved and is turned now is one that was turned and then moved the other way.
      at.turns ^= flip->vertical ? SamplePlace::upside_down : SamplePlace::mirrored;
      std::int32_t& shift = flip->vertical ? at.down : at.right;
      shift = -shift;
    } else {
      fail("an augmentation that needs the image", __FILE__, __LINE__);
    }
  }
  return at;
}

void Augmenter::apply(std::uint64_t key, std::int64_t sample, std::byte* pixels, std::byte* scratch) const {
  apply_from(list_.size(), key, sample, pixels, scratch);
}

/// All but the one at place `skip`, which was done when the picture was read.
void Augmenter::apply_from(std::size_t skip, std::uint64_t key, std::int64_t sample, std::byte* pixels,
                           std::byte* scratch) const {
  auto* const bytes = reinterpret_cast<std::uint8_t*>(pixels);
  auto* const other = reinterpret_cast<std::uint8_t*>(scratch);
  const auto by_type = [&](auto&& change) {
    if (dtype_ == DType::u8) {
      change(bytes, other);
    } else {
      change(reinterpret_cast<float*>(pixels), reinterpret_cast<float*>(scratch));
    }
  };
  for (std::size_t place = 0; place < list_.size(); ++place) {
    if (place == skip) continue;
    const auto words = philox(key, static_cast<std::uint64_t>(sample), place);
    Random random((std::uint64_t{words[1]} << 32) | words[0]);
    const auto& what = list_[place].what;
    if (const auto* cut = std::get_if<RandomCrop>(&what)) {
      const std::int64_t down = crop_shift(*cut, words[0]);
      const std::int64_t right = crop_shift(*cut, words[1]);
      if (down != 0 || right != 0) crop(*cut, down, right, pixels, scratch);
    } else if (const auto* flip = std::get_if<Flip>(&what)) {
      if (is_flipped(*flip, words[0])) mirror(flip->vertical, pixels);
    } else if (std::holds_alternative<RandomResizedCrop>(what)) {
      const Box box = draw_part(random, {height_, width_});
      by_type([&](auto* in_place, auto* free) { resize_part(box, image_, in_place, free); });
    } else if (const auto* turn = std::get_if<Rotate>(&what)) {
      const Affine affine = rotation(between(random, -turn->degrees, turn->degrees));
      std::memcpy(scratch, pixels, static_cast<std::size_t>(height_ * width_ * pixel_bytes_));
      by_type([&](auto* in_place, auto* free) { warp(affine, image_, free, in_place); });
    } else if (const auto* jitter = std::get_if<ColorJitter>(&what)) {
      jitter_colors(*jitter, random, image_, bytes);
    } else if (const auto* several = std::get_if<RandAugment>(&what)) {
      apply_randaugment(*several, random, image_, bytes, other);
    } else if (const auto* hole = std::get_if<Erase>(&what)) {
      const bool drawn = static_cast<double>(random.uniform()) < hole->probability;
      if (drawn) by_type([&](auto* in_place, auto*) { erase_part(random, image_, in_place); });
    }
  }
}

void Augmenter::mix(std::uint64_t key, std::int64_t batch, std::span<std::byte> images, std::span<float> rows,
                    std::int64_t count) const {
  std::vector<std::size_t> kinds;
  for (std::size_t place = 0; place < list_.size(); ++place) {
    if (std::holds_alternative<Mix>(list_[place].what)) kinds.push_back(place);
  }
  if (kinds.empty() || count < 2) return;
  constexpr std::uint64_t kBatches = 0x6D69780000000000;  // apart from the keys of samples
  Random random = random_of(key ^ kBatches, batch, list_.size());
  const Mix& mix = std::get<Mix>(list_[kinds[random.below(static_cast<std::uint32_t>(kinds.size()))]].what);
  double share = draw_beta(random, mix.alpha);
  // Of cutmix: the rectangle that the partner's pixels come into, cut at the image's edge.
  const auto side = [&](std::int64_t extent) { return std::sqrt(1 - share) * static_cast<double>(extent) / 2; };
  const auto range = [&](std::int64_t extent) {
    const double half = side(extent);
    const double center = static_cast<double>(random.below(static_cast<std::uint32_t>(extent)));
    return std::pair(std::clamp<std::int64_t>(static_cast<std::int64_t>(std::lround(center - half)), 0, extent),
                     std::clamp<std::int64_t>(static_cast<std::int64_t>(std::lround(center + half)), 0, extent));
  };
  const auto [top, bottom] = range(height_);
  const auto [left, right] = range(width_);
  if (mix.cut) share = 1 - static_cast<double>((bottom - top) * (right - left)) / static_cast<double>(height_ * width_);
  const std::int64_t image_bytes = height_ * width_ * pixel_bytes_;
  const std::int64_t row_width = std::ssize(rows) / count;
  for (std::int64_t i = 0; i < count / 2; ++i) {
    std::byte* a = images.data() + i * image_bytes;
    std::byte* b = images.data() + (count - 1 - i) * image_bytes;
    if (mix.cut) {
      for (std::int64_t y = top; y < bottom; ++y) {
        const std::int64_t begin = (y * width_ + left) * pixel_bytes_;
        std::swap_ranges(a + begin, a + begin + (right - left) * pixel_bytes_, b + begin);
      }
    } else if (dtype_ == DType::u8) {
      blend(reinterpret_cast<std::uint8_t*>(a), reinterpret_cast<std::uint8_t*>(b), image_bytes, share);
    } else {
      blend(reinterpret_cast<float*>(a), reinterpret_cast<float*>(b), image_.elements(), share);
    }
    blend(rows.data() + i * row_width, rows.data() + (count - 1 - i) * row_width, row_width, share);
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
