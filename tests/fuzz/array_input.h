// Cuts a fuzzer's input into an images file and a labels file, and does with them what a training does.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/ensure.h"
#include "data/source.h"

namespace snug::fuzz {

/// A file in memory of exactly its size, so that the sanitizer sees a read beyond its end.
inline FileBytes file_of(std::string path, const std::uint8_t* data, std::size_t size) {
  auto copy = std::make_shared<std::vector<std::byte>>(size);
  if (size > 0) std::memcpy(copy->data(), data, size);
  const std::span<const std::byte> bytes(*copy);
  return {.path = std::move(path), .owner = std::move(copy), .bytes = bytes, .mapped = true};
}

inline void check_findings(const Findings& findings) {
  for (const Diagnostic& finding : findings) {
    ensure(finding.what.size() <= 160, "a message is short");
    ensure(!finding.fix.empty() && !finding.where.empty(), "a finding has a place and a fix");
    ensure(finding.code.size() == 4 && finding.severity == Severity::error, "a finding has a code");
  }
}

/// Reads some images and labels of a data set that was opened without a finding.
inline void read_samples(const Dataset& data) {
  constexpr std::int64_t kMostElements = 1 << 16;
  constexpr std::int64_t kMostSamples = 16;
  const DatasetInfo& info = data.info();
  ensure(info.samples > 0 && info.image.rank() == 3 && info.image.elements() > 0, "an open data set has images");
  if (info.image.elements() > kMostElements || info.label_width > kMostElements) return;
  std::vector<std::byte> pixels(static_cast<std::size_t>(info.image.elements() * size_bytes(info.dtype)));
  std::vector<float> row(static_cast<std::size_t>(info.label_width));
  const std::int64_t step = std::max<std::int64_t>(1, info.samples / kMostSamples);
  for (std::int64_t sample = 0; sample < info.samples; sample += step) {
    data.read_image(sample, pixels.data());
    ensure(!data.where(sample).empty() && !data.label_where(sample).empty(), "a sample has a place");
    if (info.labels == LabelKind::rows) {
      data.read_row(sample, row.data());
    } else {
      const std::int64_t label = data.label(sample);
      ensure(label >= 0 && std::cmp_less(label, info.classes.size()), "a label is one of the classes");
    }
  }
}

/// Opens a source's labels as a config would have it: offset and ignored label come from `flags`.
inline void finish(SourcePointer source, unsigned flags, Findings& findings) {
  DataConfig config;
  if ((flags & 4U) != 0) config.label_offset = -1;
  if ((flags & 8U) != 0) config.ignore_label = 0;
  source = finish_labels(std::move(source), config, findings);
  ensure((source == nullptr) == !findings.empty(), "a data set or findings, never both");
  if (source == nullptr) return;
  read_samples(*source);
  if (source->info().samples > 1000) return;
  const SplitIndices split = stratified_split(*source, 0.3, 1);
  ensure(std::cmp_equal(split.train.size() + split.val.size(), source->info().samples), "a split loses no sample");
}

/// The first byte holds flags, two more the length of the labels file, which comes first.
template <class Reader>
void exercise_arrays(const std::uint8_t* data, std::size_t size, Reader read) {
  if (size < 3) return;
  const unsigned flags = data[0];
  const std::size_t labels_size = std::min<std::size_t>(data[1] + 256U * data[2], size - 3);
  Findings findings;
  auto labels = read(file_of("y", data + 3, labels_size), FileUse::labels, findings);
  ensure(labels.has_value() == findings.empty(), "an array or findings, never both");
  auto images = read(file_of("x", data + 3 + labels_size, size - 3 - labels_size), FileUse::images, findings);
  check_findings(findings);
  if (!images) return;
  findings.clear();
  const ArrayLayout layout = (flags & 1U) != 0 ? ArrayLayout::nchw : ArrayLayout::nhwc;
  const InputSize input = (flags & 2U) != 0 ? InputSize{2, 3, 3} : InputSize{0, 0, 0};
  const bool labelled = labels.has_value();
  SourcePointer source = make_array_source(std::move(*images), std::move(labels), layout, input, findings);
  ensure((source == nullptr) == !findings.empty(), "a data set or findings, never both");
  if (source != nullptr && labelled) finish(std::move(source), flags, findings);
  check_findings(findings);
}

}  // namespace snug::fuzz
