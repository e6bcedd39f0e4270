// L: labels against the loss and the network's outputs.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "check/families.h"

namespace snug {

namespace {

constexpr std::string_view kAsIntegers = "np.save(\"y.npy\", y.astype(np.int64))   # in every split";
constexpr std::string_view kNumberedAnew =
    "np.save(\"y.npy\", np.unique(y, return_inverse=True)[1])   # in every split";

struct Sample {
  const Dataset* data = nullptr;
  std::int64_t number = 0;
  [[nodiscard]] std::string where() const { return data->label_where(number); }
};

/// Class numbers of all splits: how often each, and where it is met first.
struct Classes {
  struct Class {
    std::int64_t count = 0;
    Sample first;
  };
  std::map<std::int64_t, Class> classes;
  [[nodiscard]] std::int64_t least() const { return classes.begin()->first; }
  [[nodiscard]] std::int64_t most() const { return classes.rbegin()->first; }
  [[nodiscard]] bool contiguous() const { return most() - least() + 1 == std::ssize(classes); }
};

void count_classes(const Dataset& data, Classes& into) {
  for (std::int64_t sample = 0; sample < data.info().samples; ++sample) {
    Classes::Class& entry = into.classes[data.label(sample)];
    if (entry.count++ == 0) entry.first = {&data, sample};
  }
}

/// Whether the numbers from `limit` on are classes like the others, and not a few stray values.
bool are_classes(const Classes& labels, std::int64_t limit) {
  if (labels.least() != 0 || !labels.contiguous()) return false;
  std::int64_t inside = 0;
  std::int64_t outside = 0;
  for (const auto& [number, entry] : labels.classes) (number < limit ? inside : outside) += entry.count;
  // At least half as frequent as the others are on average.
  return 2 * outside * limit >= inside * (labels.most() + 1 - limit);
}

/// Classes of one split that are those of data.train plus or minus 1: one of the two counts from 1.
std::optional<Diagnostic> counted_differently(const std::vector<const Dataset*>& splits) {
  Classes train;
  count_classes(*splits.front(), train);
  for (std::size_t i = 1; i < splits.size(); ++i) {
    if (splits[i]->info().labels != LabelKind::numbers) continue;
    Classes other;
    count_classes(*splits[i], other);
    const auto from = [&](const Classes& labels, std::int64_t least) {
      return labels.classes.size() > 1 && labels.contiguous() && labels.least() == least;
    };
    const bool same_number = train.classes.size() == other.classes.size();
    if (!same_number || train.classes.empty() || other.classes.empty()) continue;
    const bool later = from(train, 0) && from(other, 1), earlier = from(train, 1) && from(other, 0);
    if (!later && !earlier) continue;
    const Classes& shifted = later ? other : train;
    const Classes& right = later ? train : other;
    return finding_at(
        "L203", shifted.classes.rbegin()->second.first.where(),
        fmt::format("labels here are {} to {}, of the other split {} to {}: one counts from 1, one from 0",
                    shifted.least(), shifted.most(), right.least(), right.most()),
        "np.save(\"y.npy\", y - 1)");
  }
  return {};
}

void negative_label(const Config& config, const Classes& labels, Findings& findings) {
  const auto& [number, entry] = *labels.classes.begin();
  const bool marker = labels.classes.size() > 1 && std::next(labels.classes.begin())->first >= 0;
  findings.push_back(finding_at(
      "L202", entry.first.where(),
      fmt::format("label {} is negative ({} of them); class numbers start at 0", number, format_count(entry.count)),
      marker ? fmt::format("ignore_label = {}", number - config.data.label_offset)
             : fmt::format("label_offset = {}", config.data.label_offset - number)));
}

/// Class numbers from 0 to outputs − 1: range, counting from 1, too many classes for the outputs.
void check_range(const Config& config, const Ending& ending, const Classes& labels, Findings& findings) {
  if (labels.least() < 0) return negative_label(config, labels, findings);
  const std::int64_t most = labels.most();
  if (most < ending.outputs) {
    if (labels.least() == 0 && labels.contiguous()) {
      if (auto found = outputs_finding(config, ending, most + 1)) findings.push_back(*std::move(found));
    }
    return;
  }
  const auto first_outside = labels.classes.lower_bound(ending.outputs);
  if (labels.least() > 0 && most - labels.least() + 1 == ending.outputs) {
    findings.push_back(finding_at("L203", labels.classes.rbegin()->second.first.where(),
                                  fmt::format("labels are {} to {} for {} outputs: class numbers start at 0",
                                              labels.least(), most, ending.outputs),
                                  fmt::format("label_offset = {}", config.data.label_offset - labels.least())));
    return;
  }
  if (are_classes(labels, ending.outputs)) {
    if (auto found = outputs_finding(config, ending, most + 1)) findings.push_back(*std::move(found));
    return;
  }
  // Numbers with gaps, no more of them than outputs: ids that were never made class numbers.
  const bool ids = std::distance(first_outside, labels.classes.end()) > 1 &&
                   std::cmp_less_equal(labels.classes.size(), ending.outputs);
  findings.push_back(finding_at("L202", first_outside->second.first.where(),
                                fmt::format("label {} is outside 0 to {}, the classes of {} outputs",
                                            first_outside->first, ending.outputs - 1, ending.outputs),
                                ids ? std::string(kNumberedAnew)
                                    : fmt::format("ignore_label = {}   # or correct the label",
                                                  first_outside->first - config.data.label_offset)));
}

/// Class numbers where the loss is not about class numbers. False when the range need not be looked at any more.
bool check_numbers_against_loss(const Config& config, const Ending& ending, const Classes& labels, Findings& findings) {
  const Position loss = config.where("train.loss");
  const std::string sparse = "loss = \"sparse_categorical_crossentropy\"";
  switch (config.train.loss) {
    case Loss::sparse_categorical_crossentropy: return ending.outputs > 1;  // one output is told by check_config
    case Loss::categorical_crossentropy:
      if (ending.outputs == 1) return false;
      findings.push_back(finding("L201", loss,
                                 fmt::format("categorical_crossentropy needs rows of {} values, the labels are class "
                                             "numbers ({} to {})",
                                             ending.outputs, labels.least(), labels.most()),
                                 sparse));
      return false;
    case Loss::binary_crossentropy:
      if (ending.outputs == 2) {
        findings.push_back(finding("F107", ending.where,
                                   "binary_crossentropy with class numbers has 1 output, the network 2",
                                   sparse + "   # in [train], or { dense = 1, activation = \"sigmoid\" }"));
      } else if (ending.outputs > 2) {
        findings.push_back(
            finding("L201", loss,
                    fmt::format("binary_crossentropy needs rows of {} zeros and ones, the labels are class "
                                "numbers",
                                ending.outputs),
                    sparse));
      }
      return ending.outputs == 1;
    case Loss::mse:
      if (ending.outputs == 1) return true;
      findings.push_back(finding("L201", loss,
                                 fmt::format("mse with {} outputs needs rows of {} floats, the labels are class "
                                             "numbers ({} to {})",
                                             ending.outputs, ending.outputs, labels.least(), labels.most()),
                                 sparse));
      return false;
  }
  return true;
}

/// One output: the class numbers are 0 and 1.
void check_single_output(const Config& config, const Ending& ending, const Classes& labels, Findings& findings) {
  if (labels.least() < 0) return negative_label(config, labels, findings);
  if (labels.most() <= 1) return;
  if (config.train.loss == Loss::mse) {
    findings.push_back(
        finding_at("L201", labels.classes.rbegin()->second.first.where(),
                   fmt::format("label {} is a class number; mse with 1 output needs float targets", labels.most()),
                   "np.save(\"y.npy\", y.astype(np.float32))   # in every split"));
  } else if (labels.least() == 1 && labels.most() == 2) {
    findings.push_back(finding_at("L203", labels.classes.rbegin()->second.first.where(),
                                  "labels are 1 and 2 for 1 output: they must be 0 and 1",
                                  fmt::format("label_offset = {}", config.data.label_offset - 1)));
  } else if (labels.classes.size() == 2) {  // 0 and 255, 3 and 7
    findings.push_back(finding_at(
        "L202", labels.classes.rbegin()->second.first.where(),
        fmt::format("labels are {} and {} for 1 output: they must be 0 and 1", labels.least(), labels.most()),
        std::string(kNumberedAnew)));
  } else {
    findings.push_back(finding(
        "F104", ending.where,
        fmt::format("binary_crossentropy with 1 output tells 2 classes apart, the labels go to {}", labels.most()),
        fmt::format("{}   # and loss = \"sparse_categorical_crossentropy\"",
                    outputs_line(config, ending, labels.most() + 1))));
  }
}

void check_numbers(const Config& config, const std::vector<const Dataset*>& splits, const std::optional<Ending>& ending,
                   Findings& findings) {
  Classes labels;
  count_classes(*splits.front(), labels);
  if (labels.classes.size() == 1 && splits.front()->info().samples > 1) {
    findings.push_back(finding_at("L204", splits.front()->label_where(0),
                                  fmt::format("all {} labels of data.train are {}: there is nothing to tell apart",
                                              format_count(splits.front()->info().samples), labels.least()),
                                  "labels = \"FILE\"   # the labels that belong to the images"));
    return;
  }
  for (std::size_t i = 1; i < splits.size(); ++i) {
    if (splits[i]->info().labels == LabelKind::numbers) count_classes(*splits[i], labels);
  }
  if (!ending || ending->outputs == 0 || labels.classes.empty()) return;
  if (!check_numbers_against_loss(config, *ending, labels, findings)) return;
  const bool one_array = config.data.train && config.data.train->format == DataFormat::numpy;
  if (auto found = counted_differently(splits); found && one_array) {
    findings.push_back(*std::move(found));
    return;
  }
  if (ending->outputs == 1) return check_single_output(config, *ending, labels, findings);
  const bool folders = config.data.train && config.data.train->format == DataFormat::folder;
  if (folders && is_crossentropy(config.train.loss)) {  // numbers of names: no folder is counted from 1
    if (auto found = outputs_finding(config, *ending, std::ssize(splits.front()->info().classes)))
      findings.push_back(*std::move(found));
    return;
  }
  const bool told = known_classes(config.data.train) && is_crossentropy(config.train.loss);
  if (!told || labels.least() < 0) check_range(config, *ending, labels, findings);
}

/// The first row that the loss cannot mean, told with its numbers.
void check_row_values(const Config& config, const Dataset& data, Findings& findings) {
  constexpr double kSlack = 1e-3;  // of a sum of rounded shares
  const Loss loss = config.train.loss;
  std::vector<float> row(static_cast<std::size_t>(data.info().label_width));
  for (std::int64_t sample = 0; sample < data.info().samples; ++sample) {
    data.read_row(sample, row.data());
    double sum = 0;
    for (const float value : row) sum += static_cast<double>(value);
    const auto [least, most] = std::ranges::minmax(row);
    if (!(static_cast<double>(least) >= -kSlack && static_cast<double>(most) <= 1 + kSlack)) {
      findings.push_back(finding_at("L205", data.label_where(sample),
                                    fmt::format("label row {} goes from {} to {}; {} needs values from 0 to 1",
                                                format_count(sample), least, most, to_string(loss)),
                                    "np.save(\"y.npy\", np.clip(y, 0, 1))"));
      return;
    }
    if (loss != Loss::categorical_crossentropy || std::abs(sum - 1) <= kSlack) continue;
    const bool several = sum > 1 + kSlack && std::ranges::all_of(row, [](float v) { return v == 0 || v == 1; });
    findings.push_back(
        finding_at("L205", data.label_where(sample),
                   fmt::format("label row {} sums to {:.6g}; categorical_crossentropy needs rows that sum to 1",
                               format_count(sample), sum),
                   several    ? "loss = \"binary_crossentropy\"   # in [train]"
                   : sum == 0 ? "keep = y.sum(axis=1) > 0   # then x[keep], y[keep]"
                              : "np.save(\"y.npy\", y / y.sum(axis=1, keepdims=True))"));
    return;
  }
}

/// One-hot rows are classes, and mse is not the loss for them.
void mse_of_classes(const Config& config, const Dataset& data, const std::optional<Ending>& ending,
                    Findings& findings) {
  const std::int64_t width = data.info().label_width;
  if (width < 2 || !ending) return;
  std::vector<float> row(static_cast<std::size_t>(width));
  for (std::int64_t sample = 0; sample < data.info().samples; ++sample) {
    data.read_row(sample, row.data());
    if (std::ranges::count(row, 1.0F) != 1 || std::ranges::count(row, 0.0F) != width - 1) return;
  }
  findings.push_back(finding("F109", config.where("train.loss"),
                             fmt::format("mse on one-hot rows of {} classes: it learns them slowly, and counts no "
                                         "accuracy",
                                         width),
                             "loss = \"categorical_crossentropy\"", Severity::warning));
}

/// Numbers to meet that are all one number, or that the last activation can never give.
void check_targets(const Graph& graph, const Dataset& data, Findings& findings) {
  std::vector<float> row(static_cast<std::size_t>(data.info().label_width));
  float least = std::numeric_limits<float>::infinity(), most = -least;
  std::int64_t least_at = 0, most_at = 0;
  for (std::int64_t sample = 0; sample < data.info().samples; ++sample) {
    data.read_row(sample, row.data());
    for (const float value : row) {
      if (value < least) least_at = sample;
      if (value > most) most_at = sample;
      least = std::min(least, value);
      most = std::max(most, value);
    }
  }
  if (least == most && data.info().samples > 1) {
    findings.push_back(finding_at("L204", data.label_where(0),
                                  fmt::format("all {} targets of data.train are {}: there is nothing to learn",
                                              format_count(data.info().samples), least),
                                  "labels = \"FILE\"   # the targets that belong to the images"));
    return;
  }
  if (!graph.complete) return;
  const auto range = range_of(graph);
  if (!range || (least >= range->least && most <= range->most)) return;
  const bool below = least < range->least;
  findings.push_back(
      finding("F106", range->where,
              fmt::format("{} gives {}, target {} of data.train is {:g}: it cannot be met", range->name,
                          std::isinf(range->most) ? std::string("nothing below 0")
                                                  : fmt::format("{:g} to {:g}", range->least, range->most),
                          format_count(below ? least_at : most_at), below ? least : most),
              range->fix, Severity::warning));
}

void check_rows(const Config& config, const std::vector<const Dataset*>& splits, const std::optional<Ending>& ending,
                const Graph& graph, Findings& findings) {
  const std::int64_t width = splits.front()->info().label_width;
  const Loss loss = config.train.loss;
  if (loss == Loss::sparse_categorical_crossentropy || (loss == Loss::categorical_crossentropy && width == 1)) {
    findings.push_back(
        finding("L201", config.where("train.loss"),
                width == 1 ? fmt::format("{} is about classes, the labels are floats", to_string(loss))
                           : fmt::format("{} needs class numbers, the labels are rows of {}", to_string(loss), width),
                width == 1 ? std::string(kAsIntegers) : "loss = \"categorical_crossentropy\""));
    return;
  }
  const bool single = loss == Loss::categorical_crossentropy && ending && ending->outputs == 1;  // check_config tells
  if (ending && ending->outputs > 0 && ending->outputs != width && !single) {
    findings.push_back(
        finding_at("L206", splits.front()->label_where(0),
                   fmt::format("labels are rows of {} values, the network has {} outputs", width, ending->outputs),
                   outputs_line(config, *ending, width)));
    return;
  }
  if (loss == Loss::mse) {
    const std::size_t told = findings.size();
    check_targets(graph, *splits.front(), findings);
    if (findings.size() == told) mse_of_classes(config, *splits.front(), ending, findings);
    return;
  }
  const std::size_t before = findings.size();
  for (const Dataset* data : splits) {
    if (findings.size() > before) return;  // the others have it from the same hand
    if (data->info().labels == LabelKind::rows && data->info().label_width == width)
      check_row_values(config, *data, findings);
  }
}

}  // namespace

void check_labels_of(const Config& config, const Splits& splits, const Graph& graph, Findings& findings) {
  std::vector<const Dataset*> list;
  for (const auto* data : {splits.train.get(), splits.val.get(), splits.test.get()}) {
    if (data != nullptr && data->info().samples > 0) list.push_back(data);
  }
  if (splits.train == nullptr || splits.train->info().samples == 0) return;
  const auto ending = ending_of(graph, config.train.loss);
  if (list.front()->info().labels == LabelKind::numbers) {
    check_numbers(config, list, ending, findings);
  } else {
    check_rows(config, list, ending, graph, findings);
  }
}

}  // namespace snug
