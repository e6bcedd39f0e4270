// D: images that are there more than once: inside a split, in two splits, with two labels.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/text.h"
#include "check/families.h"

namespace snug {

namespace {

/// From this share on it is a warning: real collections have a few copies (of the chest X-rays' validation images 1 %
/// are in the training data too).
constexpr double kMany = 0.02;

Severity severity_of(std::int64_t count, std::int64_t of) {
  return static_cast<double>(count) >= kMany * static_cast<double>(of) ? Severity::warning : Severity::note;
}

std::int64_t class_of(const Dataset& data, std::int64_t sample, std::vector<float>& row) {
  if (data.info().labels == LabelKind::numbers) return data.label(sample);
  row.resize(static_cast<std::size_t>(data.info().label_width));
  data.read_row(sample, row.data());
  return row.size() == 1 ? std::llround(static_cast<double>(row.front()) * 1e6)
                         : std::ranges::max_element(row) - row.begin();
}

void check_inside(const Look& look, Findings& findings) {
  std::int64_t copies = 0, contradictions = 0;
  std::int64_t first = -1, first_of = -1, odd = -1, odd_of = -1;
  std::vector<float> row;
  for (std::size_t begin = 0; begin < look.prints.size();) {
    std::size_t end = begin + 1;
    while (end < look.prints.size() && look.prints[end].hash == look.prints[begin].hash) ++end;
    if (end - begin > 1) {
      copies += static_cast<std::int64_t>(end - begin - 1);
      if (first < 0 || look.prints[begin + 1].sample < first) {
        first = look.prints[begin + 1].sample;
        first_of = look.prints[begin].sample;
      }
      const std::int64_t label = class_of(*look.data, look.prints[begin].sample, row);
      for (std::size_t i = begin + 1; i < end; ++i) {
        if (class_of(*look.data, look.prints[i].sample, row) == label) continue;
        ++contradictions;
        if (odd < 0 || look.prints[i].sample < odd) {
          odd = look.prints[i].sample;
          odd_of = look.prints[begin].sample;
        }
      }
    }
    begin = end;
  }
  const auto printed = static_cast<std::int64_t>(look.prints.size());
  if (contradictions > 0) {
    findings.push_back(
        finding_at("D215", look.data->label_where(odd),
                   fmt::format("{} images of data.{} have another label than an equal image: {} is {}, {} is {}",
                               format_count(contradictions), look.name, format_count(odd),
                               class_of(*look.data, odd, row), format_count(odd_of), class_of(*look.data, odd_of, row)),
                   "_, first = np.unique(x, axis=0, return_index=True)   # then x[first], y[first]",
                   severity_of(contradictions, printed)));
  }
  // What has another label has been told.
  if (copies > contradictions) {
    findings.push_back(
        finding_at("D213", look.data->where(first),
                   fmt::format("{} of {} images of data.{} are copies of another, first image {} of image {}",
                               format_count(copies - contradictions), format_count(printed), look.name,
                               format_count(first), format_count(first_of)),
                   "_, first = np.unique(x, axis=0, return_index=True)   # then x[first], y[first]",
                   severity_of(copies - contradictions, printed)));
  }
}

void check_between(const Look& train, const Look& other, Findings& findings) {
  std::int64_t shared = 0, first = -1, first_of = -1;
  auto at = train.prints.begin();
  for (const Print& print : other.prints) {
    while (at != train.prints.end() && at->hash < print.hash) ++at;
    if (at == train.prints.end()) break;
    if (at->hash != print.hash) continue;
    ++shared;
    if (first >= 0 && print.sample >= first) continue;
    first = print.sample;
    first_of = at->sample;
  }
  if (shared == 0) return;
  const auto printed = static_cast<std::int64_t>(other.prints.size());
  findings.push_back(finding_at(
      "D214", other.data->where(first),
      fmt::format("{} of {} images of data.{} are in data.train too, first image {} (image {} of data.train): its "
                  "accuracy flatters",
                  format_count(shared), format_count(printed), other.name, format_count(first), format_count(first_of)),
      shared == printed && other.name == "val"
          ? "val_split = 0.1   # in [data], instead of val"
          : "keep = ~np.isin([v.tobytes() for v in x_val], [t.tobytes() for t in x])   # then x_val[keep], y_val[keep]",
      severity_of(shared, printed)));
}

}  // namespace

void check_copies(const Config& config, const std::vector<Look>& looks, Findings& findings) {
  if (looks.empty()) return;
  const bool drawn = config.data.train && config.data.train->format == DataFormat::synthetic;
  if (drawn) return;  // drawn from the seed: never twice, but for a few that look alike by chance
  for (const Look& look : looks) {
    if (look.data->info().samples == 0) continue;
    check_inside(look, findings);
    if (&look != &looks.front()) check_between(looks.front(), look, findings);
  }
}

}  // namespace snug
