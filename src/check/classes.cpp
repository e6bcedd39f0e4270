// L: how the classes are spread: over the samples, their order, and the splits.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "base/text.h"
#include "check/families.h"

namespace snug {

namespace {

/// Below so many samples a class, chance alone makes the counts differ.
constexpr std::int64_t kFewPerClass = 10;

struct Spread {
  const Dataset* data = nullptr;
  std::string_view name;
  std::vector<std::int64_t> labels;             ///< by sample
  std::map<std::int64_t, std::int64_t> counts;  ///< of the classes that occur
  [[nodiscard]] std::int64_t samples() const { return std::ssize(labels); }
  [[nodiscard]] std::int64_t most() const {
    return std::ranges::max_element(counts, {}, [](const auto& entry) { return entry.second; })->first;
  }
  [[nodiscard]] std::int64_t least() const {
    return std::ranges::min_element(counts, {}, [](const auto& entry) { return entry.second; })->first;
  }
};

/// Whether every sample has one class.
bool has_classes(const Dataset& data, Loss loss) {
  if (loss == Loss::mse) return false;
  if (data.info().labels == LabelKind::numbers) return true;
  return loss == Loss::categorical_crossentropy || data.info().label_width == 1;
}

Spread spread_of(std::string_view name, const Dataset& data) {
  Spread spread{.data = &data, .name = name, .labels = {}, .counts = {}};
  if (data.info().labels == LabelKind::rows && data.info().label_width == 1) {
    float value = 0;
    for (std::int64_t sample = 0; sample < data.info().samples; ++sample) {
      data.read_row(sample, &value);
      spread.labels.push_back(value > 0.5F ? 1 : 0);
    }
  } else {
    spread.labels = class_numbers(data);
  }
  for (const std::int64_t label : spread.labels) ++spread.counts[label];
  return spread;
}

/// "cat", or "class 3" where classes have no names of their own.
std::string class_name(const Spread& train, std::int64_t label) {
  const auto& names = train.data->info().classes;
  if (label < 0 || label >= std::ssize(names) || names[static_cast<std::size_t>(label)] == std::to_string(label)) {
    return fmt::format("class {}", label);
  }
  return fmt::format("class {} ({})", label, elide(names[static_cast<std::size_t>(label)], 20));
}

std::string weights_line(const Config& config, const Spread& train, std::int64_t classes) {
  constexpr std::int64_t kMostWritten = 8;
  const bool weighable = is_crossentropy(config.train.loss);
  if (!weighable) return "balance = \"sampler\"   # in [data]";
  if (classes > kMostWritten) return "balance = \"weights\"   # in [data]";
  std::string line = "class_weights = [";
  const double mean = static_cast<double>(train.samples()) / static_cast<double>(train.counts.size());
  for (std::int64_t c = 0; c < classes; ++c) {
    const auto found = train.counts.find(c);
    line += fmt::format("{}{:.3g}", c == 0 ? "" : ", ",
                        found == train.counts.end() ? 1.0 : mean / static_cast<double>(found->second));
  }
  return line + "]   # in [train]";
}

void check_balance(const Config& config, const Spread& train, std::int64_t classes, Findings& findings) {
  constexpr std::int64_t kRatio = 10;
  constexpr double kMajority = 0.8;
  if (config.data.balance != Balance::none || !config.train.class_weights.empty()) return;
  const auto number = std::ssize(train.counts);
  if (number < 2 || train.samples() < 2 * kFewPerClass * number) return;
  const std::int64_t most = train.counts.at(train.most()), least = train.counts.at(train.least());
  const double share = static_cast<double>(most) / static_cast<double>(train.samples());
  if (most < kRatio * least && share < kMajority) return;
  findings.push_back(
      finding_at("L207", train.data->label_where(0),
                 fmt::format("{} has {} of {} samples, {} has {}: always guessing the first is right in {:.1f} %",
                             class_name(train, train.most()), format_count(most), format_count(train.samples()),
                             class_name(train, train.least()), format_count(least), 100 * share),
                 weights_line(config, train, classes), Severity::warning));
}

/// Batches of one class only, epoch after epoch.
void check_order(const Config& config, const Spread& train, Findings& findings) {
  const bool reordered = config.data.shuffle || config.data.balance == Balance::sampler;
  const std::int64_t batch = config.train.batch.kind == BatchChoice::Kind::number ? config.train.batch.number : 128;
  if (reordered || train.counts.size() < 2 || train.samples() <= batch) return;
  std::int64_t changes = 0;
  for (std::size_t i = 1; i < train.labels.size(); ++i) changes += train.labels[i] != train.labels[i - 1] ? 1 : 0;
  double same = 0;  // of two samples drawn by chance
  for (const auto& [label, count] : train.counts) {
    const double share = static_cast<double>(count) / static_cast<double>(train.samples());
    same += share * share;
  }
  const double expected = (1 - same) * static_cast<double>(train.samples() - 1);
  if (static_cast<double>(changes) > 0.1 * expected) return;
  findings.push_back(finding(
      "L208", config.where("data.shuffle"),
      fmt::format("shuffle = false, and labels are sorted: {} changes in {} samples where {:.0f} are to be expected",
                  format_count(changes), format_count(train.samples()), expected),
      "shuffle = true", Severity::warning));
}

void check_missing(const Spread& train, std::int64_t classes, Findings& findings) {
  std::vector<std::int64_t> missing;
  for (std::int64_t c = 0; c < classes; ++c) {
    if (!train.counts.contains(c)) missing.push_back(c);
  }
  // Counted from 1, and an output was added instead of an offset.
  const bool from_one = missing == std::vector<std::int64_t>{0} && !train.data->has_pictures();
  if (from_one && train.counts.size() > 1 && train.samples() >= 2 * kFewPerClass * classes) {
    findings.push_back(
        finding_at("L210", train.data->label_where(0),
                   fmt::format("1 of {} classes has no sample in data.train, class 0: labels are 1 to {}", classes,
                               train.counts.rbegin()->first),
                   "label_offset = -1   # in [data], and one output less", Severity::warning));
    return;
  }
  // Counting from 1 and too many outputs have findings of their own.
  const bool gap = !missing.empty() && missing.front() < train.counts.rbegin()->first && train.counts.contains(0);
  if (!gap || train.counts.size() < 2) return;
  if (train.samples() < 2 * kFewPerClass * classes) return;  // chance leaves some out
  if (train.data->has_pictures() && !train.data->picture_file(0).empty() &&
      train.data->label_where(0) == train.data->picture_file(0))
    return;  // a class folder without pictures was told when it was opened
  findings.push_back(
      finding_at("L210", train.data->label_where(0),
                 fmt::format("{} of {} classes have no sample in data.train, first {}", missing.size(), classes,
                             class_name(train, missing.front())),
                 "np.save(\"y.npy\", np.unique(y, return_inverse=True)[1])   # in every split; or add its samples",
                 Severity::warning));
}

void check_other(const Spread& train, const Spread& other, std::int64_t classes, Findings& findings) {
  if (other.counts.empty() || train.counts.size() < 2) return;
  std::vector<std::int64_t> unknown, lost;
  for (const auto& [label, count] : other.counts) {
    if (!train.counts.contains(label) && label < classes) unknown.push_back(label);
  }
  for (const auto& [label, count] : train.counts) {
    if (!other.counts.contains(label)) lost.push_back(label);
  }
  if (!unknown.empty()) {
    const auto first = std::ranges::find(other.labels, unknown.front()) - other.labels.begin();
    findings.push_back(finding_at(
        "L211", other.data->label_where(first),
        fmt::format("{} of data.{} has {} samples there and none in data.train", class_name(train, unknown.front()),
                    other.name, format_count(other.counts.at(unknown.front()))),
        "val_split = 0.1   # in [data], instead of val: both splits then hold every class", Severity::warning));
    return;
  }
  if (other.counts.size() == 1 && other.samples() >= kFewPerClass) {
    findings.push_back(
        finding_at("L209", other.data->label_where(0),
                   fmt::format("all {} samples of data.{} are {}, data.train has {} classes: its accuracy says nothing",
                               format_count(other.samples()), other.name,
                               class_name(train, other.counts.begin()->first), train.counts.size()),
                   "val_split = 0.1   # in [data], instead of val: every class in its share", Severity::warning));
    return;
  }
  if (lost.empty() || other.samples() < 2 * kFewPerClass * std::ssize(train.counts)) return;
  findings.push_back(
      finding_at("L211", other.data->label_where(0),
                 fmt::format("{} of {} classes of data.train have no sample in data.{}, first {}", lost.size(),
                             train.counts.size(), other.name, class_name(train, lost.front())),
                 "val_split = 0.1   # in [data], instead of val: every class in its share", Severity::warning));
}

}  // namespace

void check_classes(const Config& config, const Splits& splits, const Graph& graph, Findings& findings) {
  const Dataset* data = splits.train.get();
  if (data == nullptr || data->info().samples == 0 || !has_classes(*data, config.train.loss)) return;
  if (config.data.train && config.data.train->format == DataFormat::synthetic) return;  // even by design
  const Spread train = spread_of("train", *data);
  const auto ending = ending_of(graph, config.train.loss);
  std::int64_t classes = train.counts.rbegin()->first + 1;
  if (ending && ending->outputs > 1) classes = std::min(std::max(classes, ending->outputs), 2 * classes);
  if (train.counts.begin()->first < 0 || classes > 100'000) return;
  if (train.counts.size() == 1) {
    if (data->info().labels == LabelKind::numbers || train.samples() < kFewPerClass)
      return;  // of numbers it is told with them
    findings.push_back(finding_at("L204", data->label_where(0),
                                  fmt::format("all {} labels of data.train are {}: there is nothing to tell apart",
                                              format_count(train.samples()), class_name(train, train.most())),
                                  "labels = \"FILE\"   # the labels that belong to the images"));
    return;
  }
  check_balance(config, train, classes, findings);
  check_order(config, train, findings);
  check_missing(train, classes, findings);
  for (const auto& [name, other] : {std::pair{"val", splits.val.get()}, {"test", splits.test.get()}}) {
    if (other == nullptr || !has_classes(*other, config.train.loss)) continue;
    check_other(train, spread_of(name, *other), classes, findings);
  }
}

}  // namespace snug
