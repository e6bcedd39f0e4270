// A choice of another data set's samples: what ignore_label leaves, and the two sides of val_split.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "base/rng.h"
#include "base/text.h"
#include "data/wrapper.h"

namespace snug {

namespace {

constexpr std::int64_t kMaxClasses = 1'000'000;  // names are kept; beyond it a label is more likely damage or an id

class View final : public Wrapper {
 public:
  View(SourcePointer base, std::vector<std::int64_t> indices, std::int64_t offset, std::vector<std::string> classes,
       bool owns_base)
      : Wrapper(std::move(base)), indices_(std::move(indices)), offset_(offset) {
    info_.samples = static_cast<std::int64_t>(indices_.size());
    info_.classes = std::move(classes);
    if (!owns_base) {
      info_.resident_bytes = info_.mapped_bytes = 0;
      info_.notes.clear();
    }
    info_.resident_bytes += static_cast<std::int64_t>(indices_.size() * sizeof(std::int64_t));
  }
  [[nodiscard]] std::int64_t label(std::int64_t sample) const override { return base_->label(at(sample)) + offset_; }

 private:
  [[nodiscard]] std::int64_t at(std::int64_t sample) const override {
    return indices_[static_cast<std::size_t>(sample)];
  }

  std::vector<std::int64_t> indices_;
  std::int64_t offset_;
};

/// Only the class names of another data set are different.
class Named final : public Wrapper {
 public:
  Named(SourcePointer base, std::vector<std::string> classes) : Wrapper(std::move(base)) {
    info_.classes = std::move(classes);
  }
};

std::vector<std::string> number_names(std::int64_t count) {
  std::vector<std::string> names;
  names.reserve(static_cast<std::size_t>(count));
  for (std::int64_t number = 0; number < count; ++number) names.push_back(std::to_string(number));
  return names;
}

/// What a pass over all class numbers found.
struct LabelScan {
  std::vector<std::int64_t> kept;  ///< filled only when something is left out
  std::int64_t ignored = 0;
  std::int64_t max = -1;
  std::int64_t min = 0;
  std::int64_t largest_negative = std::numeric_limits<std::int64_t>::min();
  std::int64_t negative_sample = -1, large_sample = -1;  ///< the first of each
  std::int64_t negatives = 0;
};

LabelScan scan_labels(const Dataset& source, const DataConfig& config, std::int64_t limit) {
  LabelScan scan;
  for (std::int64_t sample = 0; sample < source.info().samples; ++sample) {
    const std::int64_t stored = source.label(sample);
    if (config.ignore_label && stored == *config.ignore_label) {
      if (scan.ignored++ == 0) {
        scan.kept.resize(static_cast<std::size_t>(sample));
        std::iota(scan.kept.begin(), scan.kept.end(), std::int64_t{0});
      }
      continue;
    }
    if (scan.ignored > 0) scan.kept.push_back(sample);
    // Stored numbers are within ±2^62, and offsets are held to as much, so that the sum is exact.
    const std::int64_t label =
        stored + std::clamp(config.label_offset, -(std::int64_t{1} << 62), std::int64_t{1} << 62);
    scan.max = std::max(scan.max, label);
    scan.min = std::min(scan.min, label);
    if (label < 0) scan.largest_negative = std::max(scan.largest_negative, label);
    if (label < 0 && scan.negatives++ == 0) scan.negative_sample = sample;
    if (label >= limit && scan.large_sample < 0) scan.large_sample = sample;
  }
  return scan;
}

void report_negative(const Dataset& source, const DataConfig& config, const LabelScan& scan, Findings& findings) {
  const std::int64_t stored = source.label(scan.negative_sample);
  const std::string offset = config.label_offset == 0 ? "" : fmt::format(" with label_offset {}", config.label_offset);
  const bool plain = config.label_offset == 0;
  const bool signs = plain && scan.min == -1 && scan.max == 1;
  // One value below zero is a marker; several are numbers that start too low.
  const bool marker = plain && scan.min == scan.largest_negative && scan.max >= 0;
  findings.push_back(
      data_finding(FileUse::labels, DataFault::negative_label, source.label_where(scan.negative_sample),
                   fmt::format("label {}{} is below 0, in {} of {} samples; class numbers start at 0", stored, offset,
                               format_count(scan.negatives), format_count(source.info().samples)),
                   signs    ? "np.save(\"y.npy\", (y > 0).astype(np.int64))"
                   : marker ? fmt::format("ignore_label = {}", stored)
                            : fmt::format("label_offset = {}", config.label_offset - scan.min)));
}

void report_large(const Dataset& source, const DataConfig& config, const LabelScan& scan, std::int64_t limit,
                  Findings& findings) {
  const std::int64_t stored = source.label(scan.large_sample);
  const std::string offset = config.label_offset == 0 ? "" : fmt::format(" with label_offset {}", config.label_offset);
  const bool fixed = !source.info().classes.empty();
  findings.push_back(data_finding(
      FileUse::labels, DataFault::large_label, source.label_where(scan.large_sample),
      fixed ? fmt::format("label {}{}: this format has the classes 0 to {}", stored, offset, limit - 1)
            : fmt::format("label {}{}: class numbers go from 0 to {} at most", stored, offset, format_count(limit - 1)),
      fixed ? fmt::format("format = \"{}\"   # or copy the file again", limit == 10 ? "cifar100" : "cifar10")
            : "np.save(\"y.npy\", np.unique(y, return_inverse=True)[1])   # or float32 labels for mse"));
}

SourcePointer finish_rows(SourcePointer source) {
  const std::int64_t width = source->info().label_width;
  if (width < 2 || width > kMaxClasses) return source;
  return std::make_shared<Named>(std::move(source), number_names(width));
}

/// The stratum of a sample: its class number, the largest column of its row, or which side of ½ a single value lies.
std::int64_t stratum(const Dataset& data, std::int64_t sample, std::vector<float>& row) {
  if (data.info().labels == LabelKind::numbers) return data.label(sample);
  data.read_row(sample, row.data());
  if (row.size() == 1) return row.front() > 0.5F ? 1 : 0;
  return std::ranges::max_element(row) - row.begin();
}

}  // namespace

SourcePointer make_view(SourcePointer base, std::vector<std::int64_t> indices, std::int64_t offset,
                        std::vector<std::string> classes, bool owns_base) {
  return std::make_shared<View>(std::move(base), std::move(indices), offset, std::move(classes), owns_base);
}

SourcePointer finish_labels(SourcePointer source, const DataConfig& config, Findings& findings) {
  const DatasetInfo& info = source->info();
  if (info.labels == LabelKind::rows) return finish_rows(std::move(source));
  const bool fixed = !info.classes.empty() && config.label_offset == 0;
  const std::int64_t limit = fixed ? static_cast<std::int64_t>(info.classes.size()) : kMaxClasses;
  LabelScan scan = scan_labels(*source, config, limit);
  if (scan.negative_sample >= 0) report_negative(*source, config, scan, findings);
  if (scan.large_sample >= 0) report_large(*source, config, scan, limit, findings);
  if (scan.ignored == info.samples) {
    findings.push_back(data_finding(FileUse::labels, DataFault::no_samples, source->label_where(0),
                                    fmt::format("all {} labels are {}, which data.ignore_label leaves out",
                                                format_count(info.samples), config.ignore_label.value_or(0)),
                                    "ignore_label = -1"));
  }
  if (scan.negative_sample >= 0 || scan.large_sample >= 0 || scan.ignored == info.samples) return nullptr;
  std::vector<std::string> names = fixed ? info.classes : number_names(scan.max + 1);
  if (scan.ignored == 0 && config.label_offset == 0) {
    return fixed ? source : std::make_shared<Named>(std::move(source), std::move(names));
  }
  if (scan.ignored == 0) {
    scan.kept.resize(static_cast<std::size_t>(info.samples));
    std::iota(scan.kept.begin(), scan.kept.end(), std::int64_t{0});
  }
  return make_view(std::move(source), std::move(scan.kept), config.label_offset, std::move(names), true);
}

SplitIndices stratified_split(const Dataset& data, double fraction, std::uint64_t seed) {
  const std::int64_t samples = data.info().samples;
  std::map<std::int64_t, std::vector<std::int64_t>> strata;
  std::vector<float> row(static_cast<std::size_t>(data.info().label_width));
  for (std::int64_t sample = 0; sample < samples; ++sample) strata[stratum(data, sample, row)].push_back(sample);

  SplitIndices split;
  std::int64_t seen = 0;
  for (auto& [number, members] : strata) {
    const auto size = static_cast<std::int64_t>(members.size());
    // Rounding what is due up to this class, not each class by itself, keeps the whole at `fraction`.
    const auto due = [fraction](std::int64_t count) { return std::llround(fraction * static_cast<double>(count)); };
    const std::int64_t take = std::clamp<std::int64_t>(due(seen + size) - due(seen), 0, size - 1);
    seen += size;
    Random random(random_key(seed, RandomStream::split, static_cast<std::uint64_t>(number)));
    for (std::int64_t i = 0; i < take; ++i) {
      const auto pick = i + static_cast<std::int64_t>(random.below(static_cast<std::uint32_t>(size - i)));
      std::swap(members[static_cast<std::size_t>(i)], members[static_cast<std::size_t>(pick)]);
    }
    split.val.insert(split.val.end(), members.begin(), members.begin() + take);
    split.train.insert(split.train.end(), members.begin() + take, members.end());
  }
  std::ranges::sort(split.val);
  std::ranges::sort(split.train);
  return split;
}

}  // namespace snug
