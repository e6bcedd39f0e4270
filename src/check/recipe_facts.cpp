// What a data set is like, as far as a first config depends on it.
#include <algorithm>
#include <cmath>

#include "check/recipe.h"
#include "data/dataset.h"

namespace snug {

namespace {

constexpr std::int64_t kLooked = 512;  // images for the scale of channels

bool only_bad_pictures(const Error& error) {
  return std::ranges::all_of(error.findings(), [](const Diagnostic& finding) { return finding.code == "D140"; });
}

/// `own_size`: images of the size that they have; else all of one size, whatever theirs are.
std::shared_ptr<const Dataset> open_as(const DataSource& source, const RecognizedData& data, bool skip_bad,
                                       const std::vector<std::string>& classes, bool own_size) {
  DataConfig config;
  config.layout = data.axes;
  config.skip_bad = skip_bad;
  config.cache = CacheMode::stream;
  if (!own_size) config.resize = {64, 64};
  return open_source(below_root(source, data.root), config, {0, 0, 0}, 1, classes);
}

std::shared_ptr<const Dataset> open_split(const DataSource& source, const RecognizedData& data, bool skip_bad,
                                          const std::vector<std::string>& classes) {
  if (source.format == DataFormat::pack) {  // of images of one size, or of whole pictures
    try {
      return open_as(source, data, skip_bad, classes, true);
    } catch (const Error&) {
      return open_as(source, data, skip_bad, classes, false);
    }
  }
  const bool pictures = source.format == DataFormat::folder || source.format == DataFormat::csv;
  return open_as(source, data, skip_bad, classes, !pictures);
}

void measure_sizes(const Dataset& data, DataFacts& facts) {
  std::vector<std::int64_t> sides;
  PictureSize first = data.picture_size(0), least = first;
  for (std::int64_t sample = 0; sample < data.info().samples; ++sample) {
    const PictureSize size = data.picture_size(sample);
    sides.push_back(std::min(size.height, size.width));
    if (sides.back() < std::min(least.height, least.width)) least = size;
    facts.one_size = facts.one_size && size.height == first.height && size.width == first.width;
  }
  std::ranges::nth_element(sides, sides.begin() + std::ssize(sides) / 2);
  facts.short_side = sides[sides.size() / 2];
  facts.image = {least.height, least.width, data.info().image[2]};
}

/// Rows: one-hot or soft classes, several ones, or numbers to meet.
void measure_rows(const Dataset& data, DataFacts& facts) {
  const auto width = static_cast<std::size_t>(data.info().label_width);
  std::vector<float> row(width);
  bool binary = true, sums = true;
  for (std::int64_t sample = 0; sample < data.info().samples; ++sample) {
    data.read_row(sample, row.data());
    double sum = 0;
    for (const float value : row) {
      binary = binary && (value == 0.0F || value == 1.0F);
      sums = sums && value >= 0.0F;
      sum += static_cast<double>(value);
    }
    sums = sums && std::abs(sum - 1) < 1e-3;
  }
  facts.loss = sums && width > 1 ? Loss::categorical_crossentropy : binary ? Loss::binary_crossentropy : Loss::mse;
  facts.outputs = std::ssize(row);
}

void measure_numbers(const Dataset& data, DataFacts& facts) {
  constexpr double kUneven = 3;  // far below what is warned of: balancing costs nothing
  std::vector<std::int64_t> counts(data.info().classes.size());
  for (const std::int64_t label : class_numbers(data)) {
    if (label >= std::ssize(counts)) counts.resize(static_cast<std::size_t>(label) + 1);
    if (label >= 0) ++counts[static_cast<std::size_t>(label)];
  }
  if (counts.size() > 2 && counts[0] == 0) {  // classes are counted from 1
    facts.label_offset = -1;
    counts.erase(counts.begin());
  }
  facts.outputs = std::max<std::int64_t>(std::ssize(counts), 2);
  std::int64_t least = -1, most = 0;
  for (const std::int64_t count : counts) {
    most = std::max(most, count);
    if (count > 0 && (least < 0 || count < least)) least = count;
  }
  facts.uneven = least > 0 && static_cast<double>(most) > kUneven * static_cast<double>(least);
}

void measure_train(const Dataset& data, DataFacts& facts) {
  const DatasetInfo& info = data.info();
  facts.train = info.samples;
  facts.image = {info.image[0], info.image[1], info.image[2]};
  facts.short_side = std::min(facts.image[0], facts.image[1]);
  facts.floats = info.integer_max == 0;
  facts.pictures = data.has_pictures();
  if (facts.pictures) measure_sizes(data, facts);
  const PixelStatistics pixels = measure_pixels(data, kLooked);
  facts.constant_channel = std::ranges::any_of(pixels.std, [](double std) { return !(std > 1e-6); });
  if (info.labels == LabelKind::rows) {
    measure_rows(data, facts);
  } else {
    measure_numbers(data, facts);
    facts.classes = info.classes;
    if (facts.label_offset < 0 && !facts.classes.empty()) facts.classes.erase(facts.classes.begin());
  }
}

DataFacts measure(const RecognizedData& data, bool skip_bad) {
  DataFacts facts;
  facts.bad_files = skip_bad;
  const DataSource source = data.train.value_or(DataSource{});
  const auto train = open_split(source, data, skip_bad, {});
  measure_train(*train, facts);
  const bool named = source.format == DataFormat::folder || source.format == DataFormat::csv;
  const std::vector<std::string> classes = named ? train->info().classes : std::vector<std::string>{};
  if (data.val) facts.val = open_split(*data.val, data, skip_bad, classes)->info().samples;
  if (data.test) facts.test = open_split(*data.test, data, skip_bad, classes)->info().samples;
  return facts;
}

}  // namespace

DataFacts measure_facts(const RecognizedData& data) {
  try {
    return measure(data, false);
  } catch (const Error& error) {
    if (!only_bad_pictures(error)) throw;
  }
  return measure(data, true);
}

}  // namespace snug
