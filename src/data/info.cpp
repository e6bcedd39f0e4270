#include "data/info.h"

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

}  // namespace

DataSummary summarize(const Dataset& data) {
  const DatasetInfo& info = data.info();
  return {.samples = info.samples,
          .image = info.image,
          .dtype = info.source_dtype,
          .pixels = measure_pixels(data),
          .classes = count_classes(data)};
}

}  // namespace snug
