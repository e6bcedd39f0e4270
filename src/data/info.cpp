#include "data/info.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace snug {

namespace {

std::vector<LabelCount> count_classes(const Dataset& data) {
  const DatasetInfo& info = data.info();
  std::vector<LabelCount> classes;
  classes.reserve(info.classes.size());
  for (const std::string& name : info.classes) classes.push_back({name, 0});
  if (classes.empty()) return classes;
  std::vector<float> row(static_cast<std::size_t>(info.label_width));
  for (std::int64_t sample = 0; sample < info.samples; ++sample) {
    if (info.labels == LabelKind::numbers) {
      ++classes[static_cast<std::size_t>(data.label(sample))].count;
      continue;
    }
    data.read_row(sample, row.data());
    for (std::size_t k = 0; k < row.size(); ++k) classes[k].count += row[k] > 0.5F ? 1 : 0;
  }
  return classes;
}

constexpr std::size_t kParts = 16;

std::vector<std::int64_t> histogram_of(const Dataset& data, const PixelStatistics& pixels) {
  const DatasetInfo& info = data.info();
  std::vector<std::int64_t> counts(kParts);
  if (!(pixels.max > pixels.min)) return {};
  const double scale = static_cast<double>(kParts) / (pixels.max - pixels.min);
  const auto elements = static_cast<std::size_t>(info.image.elements());
  const auto count = [&](double value) {
    if (!std::isfinite(value)) return;
    const double part = std::clamp((value - pixels.min) * scale, 0.0, static_cast<double>(kParts - 1));
    ++counts[static_cast<std::size_t>(part)];
  };
  std::vector<float> floats(info.dtype == DType::u8 ? 0 : elements);
  std::vector<std::byte> bytes(info.dtype == DType::u8 ? elements : 0);
  for (std::int64_t sample = 0; sample < info.samples; ++sample) {
    data.read_image(sample, info.dtype == DType::u8 ? bytes.data() : reinterpret_cast<std::byte*>(floats.data()));
    for (const float value : floats) count(static_cast<double>(value));
    for (const std::byte value : bytes) count(std::to_integer<int>(value));
  }
  return counts;
}

std::pair<PictureSize, PictureSize> extremes(const Dataset& data) {
  if (!data.has_pictures()) return {};
  const auto area = [](const PictureSize& size) { return size.height * size.width; };
  PictureSize smallest = data.picture_size(0);
  PictureSize largest = smallest;
  for (std::int64_t sample = 1; sample < data.info().samples; ++sample) {
    const PictureSize size = data.picture_size(sample);
    if (area(size) < area(smallest)) smallest = size;
    if (area(size) > area(largest)) largest = size;
  }
  return {smallest, largest};
}

}  // namespace

DataSummary summarize(const Dataset& data) {
  const DatasetInfo& info = data.info();
  PixelStatistics pixels = measure_pixels(data);
  std::vector<std::int64_t> histogram = histogram_of(data, pixels);
  const auto [smallest, largest] = extremes(data);
  return {.samples = info.samples,
          .image = info.image,
          .dtype = info.source_dtype,
          .pixels = std::move(pixels),
          .classes = count_classes(data),
          .histogram = std::move(histogram),
          .smallest = smallest,
          .largest = largest,
          .notes = info.notes};
}

}  // namespace snug
