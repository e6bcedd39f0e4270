// The same reports for people.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "base/text.h"
#include "report/reports.h"
#include "report/table.h"

namespace snug {

namespace {

constexpr std::size_t kMostConfusionClasses = 12;  // a wider matrix does not fit a terminal
constexpr std::size_t kMostListedClasses = 100;

std::string extents(const std::vector<std::int64_t>& shape) { return fmt::format("{}", fmt::join(shape, "×")); }

std::string percent(double fraction) { return fmt::format("{:.2f} %", 100 * fraction); }

std::string flops(double count) {
  static constexpr std::array<std::pair<double, const char*>, 4> kUnits{
      {{1e12, "TFLOP"}, {1e9, "GFLOP"}, {1e6, "MFLOP"}, {1e3, "kFLOP"}}};
  for (const auto& [scale, unit] : kUnits) {
    if (count >= scale) return fmt::format("{:.3g} {}", count / scale, unit);
  }
  return fmt::format("{:.0f} FLOP", count);
}

std::string confusion_text(const EvalResult& result) {
  std::vector<std::string> titles{"true \\ predicted"};
  for (const ClassMetrics& metrics : result.per_class) titles.push_back(">" + metrics.name);
  Table table(std::move(titles));
  for (std::size_t row = 0; row < result.confusion.size(); ++row) {
    std::vector<std::string> cells{result.per_class[row].name};
    for (const std::int64_t count : result.confusion[row]) cells.push_back(count == 0 ? "·" : std::to_string(count));
    table.add_row(std::move(cells));
  }
  return table.text();
}

}  // namespace

std::string to_text(const SummaryReport& report) {
  Table table({"layer", "type", "output", ">parameters", ">FLOP", ">output bytes"});
  for (const SummaryLayer& layer : report.layers) {
    std::int64_t elements = 1;
    for (const std::int64_t extent : layer.output) elements *= extent;
    table.add_row({layer.name, layer.type, extents(layer.output), format_count(layer.parameters),
                   format_count(layer.flops), format_bytes(elements * 4)});
  }
  return fmt::format("{}: input {}×{}×{}\n", report.name, report.input[0], report.input[1], report.input[2]) +
         table.text() +
         fmt::format("{} parameters ({}), {} ({:.2f} GMAC) forward for one image\n", format_count(report.parameters),
                     format_bytes(report.parameters * 4), flops(static_cast<double>(report.flops_forward)),
                     static_cast<double>(report.flops_forward) / 2e9);
}

std::string to_text(const DevicesReport& report) {
  Table devices({"device", "name", ">memory", ">free"});
  for (const DeviceEntry& device : report.devices)
    devices.add_row({device.id, device.name, format_bytes(device.total_bytes), format_bytes(device.free_bytes)});
  std::string text = devices.text(0);
  for (const DeviceEntry& device : report.devices) {
    for (const DeviceProcess& process : device.processes) {
      text += fmt::format("  on {}: process {} ({}) holds {}\n", device.id, process.pid, process.name,
                          format_bytes(process.bytes));
    }
  }
  if (!report.remark.empty()) text += "  " + report.remark + "\n";
  if (report.profiles.empty()) return text + "\nNo device profiles are installed.\n";
  Table profiles({"profile", "device", ">memory", "compute capability"});
  for (const ProfileEntry& profile : report.profiles)
    profiles.add_row({profile.name, profile.device, format_bytes(profile.total_bytes), profile.compute_capability});
  return text + "\n" + profiles.text(0);
}

namespace {

/// A bar for each part of the range of values, the longest 40 wide.
std::string histogram_text(const DataSummary& data) {
  constexpr double kWidest = 40;
  if (data.histogram.empty()) return "";
  const auto most = static_cast<double>(std::max<std::int64_t>(1, std::ranges::max(data.histogram)));
  double all = 0;
  for (const std::int64_t count : data.histogram) all += static_cast<double>(count);
  const double step = (data.pixels.max - data.pixels.min) / static_cast<double>(data.histogram.size());
  Table table({">values from", ">share", ""});
  for (std::size_t i = 0; i < data.histogram.size(); ++i) {
    const auto count = static_cast<double>(data.histogram[i]);
    std::string bar;
    for (long k = std::lround(kWidest * count / most); k > 0; --k) bar += "█";
    table.add_row({fmt::format("{:.4g}", data.pixels.min + step * static_cast<double>(i)),
                   percent(count / std::max(all, 1.0)), bar});
  }
  return table.text();
}

}  // namespace

std::string to_text(const DataSummary& data) {
  std::string text = fmt::format("{} images of {}, {}, values {:g} to {:g}\n", format_count(data.samples),
                                 to_string(data.image), data.dtype, data.pixels.min, data.pixels.max);
  text += fmt::format("mean {:.4f}, standard deviation {:.4f} (per channel, raw values)\n",
                      fmt::join(data.pixels.mean, " "), fmt::join(data.pixels.std, " "));
  if (data.smallest.height > 0)
    text += fmt::format("pictures from {}×{} to {}×{}\n", data.smallest.height, data.smallest.width,
                        data.largest.height, data.largest.width);
  text += histogram_text(data);
  for (const Diagnostic& note : data.notes) text += fmt::format("note: {}\n", note.what);
  if (data.classes.empty()) return text;
  Table table({"class", ">images", ">share"});
  const auto all = static_cast<double>(std::max<std::int64_t>(data.samples, 1));
  const std::size_t shown = std::min(data.classes.size(), kMostListedClasses);
  for (std::size_t i = 0; i < shown; ++i) {
    const LabelCount& entry = data.classes[i];
    table.add_row({entry.name, format_count(entry.count), percent(static_cast<double>(entry.count) / all)});
  }
  text += table.text();
  if (shown < data.classes.size()) text += fmt::format("  … and {} more classes\n", data.classes.size() - shown);
  return text;
}

std::string to_text(const PackedData& packed) {
  std::string text, lines;
  for (const PackedSplit& split : packed.splits) {
    text += fmt::format("{}: {} samples as {} in {} shards, {}{}\n", split.name, format_count(split.samples),
                        split.kind, split.shards, format_bytes(split.bytes),
                        split.kept_shards > 0 ? fmt::format(" ({} were there)", split.kept_shards) : "");
    lines += fmt::format("{} = {{ pack = \"{}/{}\" }}\n", split.name, packed.folder, split.name);
  }
  return text + "in [data] of the config:\n" + lines;
}

std::string to_text(const ConvertedData& converted) {
  return fmt::format("{} images in {}\n", format_count(converted.samples), fmt::join(converted.files, ", "));
}

std::string to_text(const WrittenData& written) {
  return fmt::format("{} training and {} validation images of {} in {}\ntrain on them: snug train {}\n",
                     format_count(written.train), format_count(written.val), fmt::join(written.shape, "×"),
                     written.folder, written.config);
}

std::string to_text(const VersionReport& report) {
  std::string text = fmt::format("snug {}\n", report.version);
  Table table({"with", ""});
  for (const LibraryVersion& library : report.libraries) table.add_row({library.name, library.version});
  table.add_row({"compiler", report.compiler});
  table.add_row({"architectures", fmt::format("{}", fmt::join(report.architectures, ", "))});
  const std::string lines = table.text();
  return text + lines.substr(lines.find('\n') + 1);
}

std::string to_text(const EvalResult& result) {
  const bool classified = !result.per_class.empty() || result.accuracy > 0;
  std::string text = fmt::format("{} images, loss {:.4f}", format_count(result.samples), result.loss);
  if (classified) text += fmt::format(", accuracy {}", percent(result.accuracy));
  if (classified && result.per_class.size() > 5)
    text += fmt::format(", among the first five {}", percent(result.top5_accuracy));
  text += "\n";
  if (result.auc) text += fmt::format("area under the ROC curve {:.4f}\n", *result.auc);
  if (result.calibration)
    text += fmt::format("probabilities are off by {} on average (expected calibration error, {} bins)\n",
                        percent(result.calibration->expected_error), result.calibration->bins.size());
  if (result.per_class.empty()) return text;
  Table table({"class", ">precision", ">recall", ">F1", ">images"});
  const std::size_t shown = std::min(result.per_class.size(), kMostListedClasses);
  for (std::size_t i = 0; i < shown; ++i) {
    const ClassMetrics& metrics = result.per_class[i];
    table.add_row({metrics.name, percent(metrics.precision), percent(metrics.recall), percent(metrics.f1),
                   format_count(metrics.support)});
  }
  text += table.text();
  if (shown < result.per_class.size())
    text += fmt::format("  … and {} more classes (--json has them all)\n", result.per_class.size() - shown);
  const bool square = result.confusion.size() == result.per_class.size();
  if (square && result.per_class.size() <= kMostConfusionClasses) text += "\n" + confusion_text(result);
  return text;
}

}  // namespace snug
