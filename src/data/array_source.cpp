// Images and labels of arrays as a data set; pixels are converted when they are read.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "base/file.h"
#include "base/text.h"
#include "data/source.h"

namespace snug {

namespace {

/// Elements from the file's first to each sample, row, column and channel.
struct PixelStrides {
  std::int64_t sample = 0, row = 0, column = 0, channel = 0;
};

template <class To, class From>
void gather(const std::byte* start, const Shape& image, const PixelStrides& strides, bool big_endian, To* out) {
  constexpr auto kSize = static_cast<std::int64_t>(sizeof(From));
  for (std::int64_t y = 0; y < image[0]; ++y) {
    for (std::int64_t x = 0; x < image[1]; ++x) {
      const std::byte* pixel = start + (y * strides.row + x * strides.column) * kSize;
      for (std::int64_t c = 0; c < image[2]; ++c) {
        *out++ = static_cast<To>(load<From>(pixel + c * strides.channel * kSize, big_endian));
      }
    }
  }
}

template <class From>
void convert(const std::byte* start, std::int64_t count, bool big_endian, float* out) {
  constexpr auto kSize = static_cast<std::int64_t>(sizeof(From));
  if (big_endian) {
    for (std::int64_t i = 0; i < count; ++i) out[i] = static_cast<float>(load<From>(start + i * kSize, true));
  } else {
    for (std::int64_t i = 0; i < count; ++i) out[i] = static_cast<float>(load<From>(start + i * kSize, false));
  }
}

class ArraySource final : public Dataset {
 public:
  ArraySource(Array images, std::optional<Array> labels, const Shape& image, const PixelStrides& strides)
      : images_(std::move(images)), labelled_(labels.has_value()), strides_(strides) {
    const bool bytes = images_.element == Element::u8 || images_.element == Element::boolean;
    info_ = {.samples = images_.extents[0],
             .image = image,
             .dtype = bytes ? DType::u8 : DType::f32,
             .source_dtype = std::string(to_string(images_.element)),
             .integer_max = integer_max(images_.element)};
    const PixelStrides packed{image.elements(), image[1] * image[2], image[2], 1};
    contiguous_ = strides_.row == packed.row && strides_.column == packed.column && strides_.channel == packed.channel;
    planar_rgb_ = bytes && image[2] == 3 && strides_.column == 1 && strides_.row == image[1] &&
                  strides_.channel == image[0] * image[1];
    count_memory(images_.file);
    if (labels) set_labels(std::move(*labels));
  }

  [[nodiscard]] const DatasetInfo& info() const override { return info_; }

  void read_image(std::int64_t sample, std::byte* pixels) const override {
    const std::byte* start = images_.data.data() + sample * strides_.sample * size_bytes(images_.element);
    if (info_.dtype == DType::f32) {
      read_floats(start, reinterpret_cast<float*>(pixels));
    } else if (contiguous_) {
      std::memcpy(pixels, start, static_cast<std::size_t>(info_.image.elements()));
    } else if (planar_rgb_) {
      planes_to_rgb(start, info_.image[0] * info_.image[1], pixels);
    } else {
      gather<std::uint8_t, std::uint8_t>(start, info_.image, strides_, false, reinterpret_cast<std::uint8_t*>(pixels));
    }
    if (passes_through_) give_back_pages(images_.file.bytes, {start, static_cast<std::size_t>(sample_bytes())});
  }

  void pass_through() const override {
    passes_through_ = images_.file.mapped && strides_.sample == info_.image.elements();
  }

  [[nodiscard]] std::int64_t label(std::int64_t sample) const override {
    return labelled_ ? integer_at(labels_, sample) : 0;
  }

  void read_row(std::int64_t sample, float* row) const override {
    const auto strides = row_strides_;
    for (std::int64_t k = 0; k < info_.label_width; ++k)
      row[k] = float_at(labels_, sample * strides[0] + k * strides[1]);
  }

  [[nodiscard]] std::string where(std::int64_t sample) const override {
    return fmt::format("{}[{}]", images_.file.path, sample);
  }
  [[nodiscard]] std::string label_where(std::int64_t sample) const override {
    return labelled_ ? fmt::format("{}[{}]", labels_.file.path, sample) : where(sample);
  }

 private:
  void read_floats(const std::byte* start, float* out) const {
    visit_element(images_.element, [&](auto kind) {
      using From = decltype(kind);
      if (contiguous_) {
        convert<From>(start, info_.image.elements(), images_.big_endian, out);
      } else {
        gather<float, From>(start, info_.image, strides_, images_.big_endian, out);
      }
    });
  }

  [[nodiscard]] std::int64_t sample_bytes() const { return info_.image.elements() * size_bytes(images_.element); }

  void count_memory(const FileBytes& file) {
    (file.mapped ? info_.mapped_bytes : info_.resident_bytes) += static_cast<std::int64_t>(file.bytes.size());
  }

  void set_labels(Array labels) {
    labels_ = std::move(labels);
    count_memory(labels_.file);
    info_.label_width = labels_.extents.size() == 2 ? labels_.extents[1] : 1;
    info_.labels = info_.label_width > 1 || is_floating(labels_.element) ? LabelKind::rows : LabelKind::numbers;
    const auto strides = labels_.strides();
    row_strides_ = {strides[0], strides.size() == 2 ? strides[1] : 1};
  }

  Array images_;
  Array labels_;  ///< when labelled_
  bool labelled_;
  PixelStrides strides_;
  std::array<std::int64_t, 2> row_strides_{1, 1};
  DatasetInfo info_;
  bool contiguous_ = false;
  bool planar_rgb_ = false;
  mutable std::atomic<bool> passes_through_ = false;
};

/// The line that puts an array with wrong axes right, if the input's size tells how.
std::string reshape_line(const Array& images, const InputSize& input) {
  const auto [h, w, c] = input;
  std::int64_t per_sample = 1;
  for (std::size_t axis = 1; axis < images.extents.size(); ++axis)
    per_sample *= std::max<std::int64_t>(images.extents[axis], 1);
  if (h > 0 && per_sample == h * w * c) {
    return fmt::format("np.save(\"{}\", x.reshape(-1, {}, {}, {}))", images.file.path, h, w, c);
  }
  return fmt::format("np.save(\"{}\", x.reshape(-1, HEIGHT, WIDTH, CHANNELS))", images.file.path);
}

bool check_extents(const Array& images, const InputSize& input, Findings& findings) {
  const auto& extents = images.extents;
  const std::string name = brief_name(images.file.path);
  if (extents.size() == 1) {
    findings.push_back(data_finding(FileUse::images, DataFault::axes, images.file.path,
                                    fmt::format("{} has 1 axis ({}), as labels have; images have 3 (count, height, "
                                                "width) or 4",
                                                name, format_extents(extents)),
                                    "images = \"FILE\"   # the array of the images"));
    return false;
  }
  if (extents.size() != 3 && extents.size() != 4) {
    findings.push_back(data_finding(FileUse::images, DataFault::axes, images.file.path,
                                    fmt::format("{} has {} axes ({}); images have 3 (count, height, width) or 4", name,
                                                extents.size(), format_extents(extents)),
                                    reshape_line(images, input)));
    return false;
  }
  if (extents[0] == 0) {
    findings.push_back(data_finding(FileUse::images, DataFault::no_samples, images.file.path,
                                    fmt::format("{} holds 0 images ({})", name, format_extents(extents)),
                                    "images = \"FILE\"   # a file with at least one image"));
    return false;
  }
  if (std::ranges::find(extents, 0) != extents.end()) {
    findings.push_back(data_finding(FileUse::images, DataFault::extents, images.file.path,
                                    fmt::format("{} holds images without pixels ({})", name, format_extents(extents)),
                                    "images = \"FILE\"   # a file whose images have pixels"));
    return false;
  }
  return true;
}

/// The image of a layout: shape and strides.
std::pair<Shape, PixelStrides> image_of(const Array& images, ArrayLayout layout) {
  const auto& e = images.extents;
  const auto s = images.strides();
  if (e.size() == 3) return {Shape{e[1], e[2], 1}, {s[0], s[1], s[2], 1}};
  if (layout == ArrayLayout::nhwc) return {Shape{e[1], e[2], e[3]}, {s[0], s[1], s[2], s[3]}};
  return {Shape{e[2], e[3], e[1]}, {s[0], s[2], s[3], s[1]}};
}

bool matches(const Shape& image, const InputSize& input) {
  return image[0] == input[0] && image[1] == input[1] && image[2] == input[2];
}

/// When the other layout alone fits model.input, the layout is at fault; other misfits are told by open_data.
bool check_layout(const Array& images, ArrayLayout layout, const InputSize& input, Findings& findings) {
  const bool any = input == InputSize{0, 0, 0};
  const ArrayLayout other = layout == ArrayLayout::nhwc ? ArrayLayout::nchw : ArrayLayout::nhwc;
  const auto [image, strides] = image_of(images, layout);
  if (any || matches(image, input) || !matches(image_of(images, other).first, input)) return true;
  const auto name = [](ArrayLayout which) { return which == ArrayLayout::nhwc ? "nhwc" : "nchw"; };
  findings.push_back(data_finding(
      FileUse::images, DataFault::layout, images.file.path,
      fmt::format("{} is {}: data.layout {} makes that images of {}, model.input is {}, which only {} fits",
                  shorten(brief_name(images.file.path), 24), format_extents(images.extents), name(layout),
                  to_string(image), format_extents(input), name(other)),
      fmt::format("layout = \"{}\"", name(other))));
  return false;
}

/// Whether the images have a number each and the labels are pictures.
bool swapped(const Array& images, const Array& labels) {
  const std::size_t axes = labels.extents.size();
  return images.extents.size() == 1 && (axes == 3 || axes == 4) && images.extents[0] == labels.extents[0];
}

bool check_labels(const Array& labels, const Array& images, Findings& findings) {
  const auto& extents = labels.extents;
  const std::string name = brief_name(labels.file.path);
  if (labels.file.path == images.file.path && extents.size() > 2) {
    findings.push_back(
        data_finding(FileUse::labels, DataFault::axes, labels.file.path,
                     fmt::format("images and labels are one file, {}, of {}", name, format_extents(extents)),
                     "labels = \"FILE\"   # the labels that belong to these images, in their order"));
    return false;
  }
  if (extents.size() != 1 && extents.size() != 2) {
    findings.push_back(data_finding(FileUse::labels, DataFault::axes, labels.file.path,
                                    fmt::format("{} has {} axes ({}); labels have 1 (count) or 2 (count, classes)",
                                                name, extents.size(), format_extents(extents)),
                                    fmt::format("np.save(\"{}\", y.reshape(len(y), -1))", labels.file.path)));
    return false;
  }
  if (extents[0] != images.extents[0] && images.extents[0] != 0) {  // no images at all is told already
    findings.push_back(data_finding(FileUse::labels, DataFault::count_mismatch, labels.file.path,
                                    fmt::format("{} has {} labels, {} has {} images", name, format_count(extents[0]),
                                                brief_name(images.file.path), format_count(images.extents[0])),
                                    "labels = \"FILE\"   # the labels that belong to these images, in their order"));
    return false;
  }
  if (extents.size() == 2 && extents[1] == 0) {
    findings.push_back(data_finding(FileUse::labels, DataFault::extents, labels.file.path,
                                    fmt::format("{} holds rows without columns ({})", name, format_extents(extents)),
                                    "labels = \"FILE\"   # one number, or one row, for each image"));
    return false;
  }
  return true;
}

/// Rows must be finite: a NaN target makes every loss NaN.
bool check_rows(const Array& labels, Findings& findings) {
  if (!is_floating(labels.element)) return true;
  const std::int64_t width = labels.extents.size() == 2 ? labels.extents[1] : 1;
  const auto strides = labels.strides();
  for (std::int64_t n = 0; n < labels.extents[0]; ++n) {
    for (std::int64_t k = 0; k < width; ++k) {
      const float value = float_at(labels, n * strides[0] + (strides.size() == 2 ? k * strides[1] : 0));
      if (std::isfinite(value)) continue;
      findings.push_back(
          data_finding(FileUse::labels, DataFault::not_finite, fmt::format("{}[{}]", labels.file.path, n),
                       fmt::format("column {} of label {} is {}; labels are finite numbers", k, n, value),
                       "keep = np.isfinite(y.reshape(len(y), -1)).all(1)   # x[keep], y[keep]"));
      return false;
    }
  }
  return true;
}

}  // namespace

SourcePointer make_array_source(Array images, std::optional<Array> labels, ArrayLayout layout, const InputSize& input,
                                Findings& findings) {
  if (labels && swapped(images, *labels)) {
    findings.push_back(data_finding(
        FileUse::images, DataFault::axes, images.file.path,
        fmt::format("images and labels are swapped: {} is {}, {} is {}", brief_name(images.file.path),
                    format_extents(images.extents), brief_name(labels->file.path), format_extents(labels->extents)),
        fmt::format("images = \"{}\", labels = \"{}\"", brief_name(labels->file.path), brief_name(images.file.path))));
    return nullptr;
  }
  // Each check stands for itself, so that faults of images and of labels are told together.
  bool good = check_extents(images, input, findings);
  if (good && images.extents.size() == 4) good = check_layout(images, layout, input, findings);
  if (labels && !images.extents.empty()) {
    good = check_labels(*labels, images, findings) && check_rows(*labels, findings) && good;
  }
  if (!good) return nullptr;
  const auto [image, strides] = image_of(images, layout);
  return std::make_shared<ArraySource>(std::move(images), std::move(labels), image, strides);
}

}  // namespace snug
