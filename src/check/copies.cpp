// D: images that are there more than once: inside a split, in two splits, with two labels.
#include <algorithm>
#include <cmath>
#include <span>

#include <fmt/format.h>

#include "base/shell.h"
#include "base/text.h"
#include "check/families.h"
#include "check/place.h"
#include "data/findings.h"

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

/// A sample and the one that it equals.
struct Copy {
  std::int64_t sample = 0, of = 0;
};

/// How people know a sample: a picture by its name, a row of an array by its number.
std::string name_of(const Dataset& data, std::int64_t sample) {
  return data.has_pictures() ? brief_name(data.where(sample)) : fmt::format("image {}", format_count(sample));
}

std::string class_name(const Dataset& data, std::int64_t label) {
  const std::vector<std::string>& classes = data.info().classes;
  return data.has_pictures() && label < std::ssize(classes) ? classes[static_cast<std::size_t>(label)]
                                                            : std::to_string(label);
}

/// Of what a pack was made from: the check stops until its own lines have taken the copies out.
constexpr std::string_view kPackAnew =
    "snug check CONFIG --strict && snug data pack CONFIG --out NEW   # CONFIG names the pack's source";

/// Of an archive: written anew without them. A pack is made anew of what it was made from.
std::string without_members(const Dataset& data, std::span<const Copy> copies, const std::string& rest) {
  const std::string archive = shell_word(split_archive_name(data.where(copies.front().sample)).first);
  std::string members;
  for (const Copy& copy : copies) {
    const std::string member = split_archive_name(data.where(copy.sample)).second;
    if (member.empty()) return std::string(kPackAnew);
    members += " " + shell_word(member);
  }
  if (archive.find(".zip") != std::string::npos) return fmt::format("zip -d {}{}{}", archive, members, rest);
  return fmt::format("d=$(mktemp -d) && tar -xf {0} -C $d && (cd $d && rm{1}) && tar -caf {0} -C $d . && rm -r $d{2}",
                     archive, members, rest);
}

/// A line that takes the samples out of the data: of pictures in files the files, of a list its rows, else
/// `of_arrays`. It names the first few, so that a person can read it.
std::string without(const Dataset& data, const std::vector<Copy>& copies, std::string of_arrays) {
  constexpr std::size_t kNamed = 8;
  if (place_of(data.where(copies.front().sample)).file.ends_with(".pack")) return std::string(kPackAnew);
  if (!data.has_pictures()) return of_arrays;
  const std::span named(copies.data(), std::min(copies.size(), kNamed));
  const std::string rest =
      copies.size() > named.size() ? fmt::format("   # {} of {}; check names the next", kNamed, copies.size()) : "";
  const std::int64_t first = named.front().sample;
  const std::string file = data.picture_file(first), place = data.label_where(first);
  if (file.empty()) return without_members(data, named, rest);
  std::string line;
  if (place == file) {
    line = "rm";
    for (const Copy& copy : named) line += " " + shell_word(data.picture_file(copy.sample));
    return line + rest;
  }
  // A list: its rows.
  for (const Copy& copy : named)
    line += fmt::format("{}{}d", line.empty() ? "" : ";", place_of(data.label_where(copy.sample)).first);
  return fmt::format("sed -i '{}' {}{}", line, shell_word(std::string(place_of(place).file)), rest);
}

void check_inside(const Look& look, Findings& findings) {
  const Dataset& data = *look.data;
  std::vector<Copy> copies, contradictions;
  std::vector<float> row;
  for (std::size_t begin = 0; begin < look.prints.size();) {
    std::size_t end = begin + 1;
    while (end < look.prints.size() && look.prints[end].hash == look.prints[begin].hash) ++end;
    if (end - begin > 1) {
      const std::int64_t of = look.prints[begin].sample, label = class_of(data, of, row);
      for (std::size_t i = begin + 1; i < end; ++i) {
        const std::int64_t sample = look.prints[i].sample;
        (class_of(data, sample, row) == label ? copies : contradictions).push_back({sample, of});
      }
    }
    begin = end;
  }
  std::ranges::sort(copies, {}, &Copy::sample);
  std::ranges::sort(contradictions, {}, &Copy::sample);
  const auto printed = static_cast<std::int64_t>(look.prints.size());
  const std::string unique = "_, first = np.unique(x, axis=0, return_index=True)   # then x[first], y[first]";
  if (!contradictions.empty()) {
    const auto count = std::ssize(contradictions);
    const auto [odd, of] = contradictions.front();
    std::string fix = without(data, contradictions, unique);
    if (count == 1 && data.has_pictures()) fix += fmt::format("   # or {}: look which label is right", data.where(of));
    findings.push_back(finding_at(
        "D215", data.label_where(odd),
        fmt::format("{} images of data.{} have another label than an equal image: {} is {}, {} is {}",
                    format_count(count), look.name, name_of(data, odd), class_name(data, class_of(data, odd, row)),
                    name_of(data, of), class_name(data, class_of(data, of, row))),
        std::move(fix), severity_of(count, printed)));
  }
  if (!copies.empty()) {
    const auto count = std::ssize(copies);
    const auto [sample, of] = copies.front();
    findings.push_back(
        finding_at("D213", data.where(sample),
                   fmt::format("{} of {} images of data.{} are copies of another, first {} of {}", format_count(count),
                               format_count(printed), look.name, name_of(data, sample), name_of(data, of)),
                   without(data, copies, unique), severity_of(count, printed)));
  }
}

void check_between(const Look& train, const Look& other, Findings& findings) {
  std::vector<Copy> shared;
  auto at = train.prints.begin();
  for (const Print& print : other.prints) {
    while (at != train.prints.end() && at->hash < print.hash) ++at;
    if (at == train.prints.end()) break;
    if (at->hash == print.hash) shared.push_back({print.sample, at->sample});
  }
  if (shared.empty()) return;
  std::ranges::sort(shared, {}, &Copy::sample);
  const auto count = std::ssize(shared), printed = std::ssize(other.prints);
  const auto [sample, of] = shared.front();
  std::string fix = count == printed && other.name == "val"
                        ? "val_split = 0.1   # in [data], instead of val"
                        : without(*other.data, shared,
                                  "keep = ~np.isin([v.tobytes() for v in x_val], [t.tobytes() for t in x])   # then "
                                  "x_val[keep], y_val[keep]");
  findings.push_back(finding_at(
      "D214", other.data->where(sample),
      fmt::format(
          "{} of {} images of data.{} are in data.train too, first {} ({} of data.train): its accuracy flatters",
          format_count(count), format_count(printed), other.name, name_of(*other.data, sample),
          name_of(*train.data, of)),
      std::move(fix), severity_of(count, printed)));
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
