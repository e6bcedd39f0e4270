// The curve of `tune` in a terminal.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.h"
#include "report/bench.h"
#include "report/table.h"

namespace snug {

namespace {

std::string rate_text(double images_per_second) {
  return images_per_second < 100 ? fmt::format("{:.1f}", images_per_second)
                                 : format_count(std::llround(images_per_second));
}

/// A bar of eighths of a column.
std::string bar(double share, std::size_t columns) {
  static constexpr std::array<std::string_view, 8> kEighths{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const auto eighths =
      static_cast<std::size_t>(std::lround(std::clamp(share, 0.0, 1.0) * 8 * static_cast<double>(columns)));
  std::string text;
  for (std::size_t i = 0; i < eighths / 8; ++i) text += "█";
  return text + std::string(kEighths[eighths % 8]);
}

std::string spread_text(const TunedPoint& point) {
  if (point.samples < 3 || point.images_per_second <= 0) return "once";
  return fmt::format("±{:.1f} %", 50 * (point.high - point.low) / point.images_per_second);
}

std::string mark_of(const TuneReport& report, std::size_t i) {
  std::string mark;
  if (i == report.best) mark = "knee";
  if (i == report.fastest) mark += mark.empty() ? "fastest" : ", fastest";
  const TunedPoint& point = report.curve[i];
  const LargestBatch& largest = report.largest;
  if (point.batch == largest.batch && point.micro_batch == largest.micro_batch && point.precision == largest.precision)
    mark += mark.empty() ? "largest" : ", largest";
  return mark.empty() ? mark : "◀ " + mark;
}

std::string curve_table(const TuneReport& report) {
  constexpr std::size_t kColumns = 32;
  const bool precisions = std::ranges::any_of(
      report.curve, [&](const TunedPoint& point) { return point.precision != report.curve[0].precision; });
  const bool parts =
      std::ranges::any_of(report.curve, [](const TunedPoint& point) { return point.batch != point.micro_batch; });
  std::vector<std::string> titles{">batch", ">img/s", "", ">spread", ">memory", ""};
  if (parts) titles.insert(titles.begin() + 1, ">in parts of");
  if (precisions) titles.insert(titles.begin(), "precision");
  Table table(std::move(titles));
  const double most = report.curve[report.fastest].images_per_second;
  for (std::size_t i = 0; i < report.curve.size(); ++i) {
    const TunedPoint& point = report.curve[i];
    std::vector<std::string> cells{format_count(point.batch),
                                   rate_text(point.images_per_second),
                                   pad_right(bar(most > 0 ? point.images_per_second / most : 0, kColumns), kColumns),
                                   spread_text(point),
                                   format_bytes(point.planned_bytes),
                                   mark_of(report, i)};
    if (parts) cells.insert(cells.begin() + 1, format_count(point.micro_batch));
    if (precisions) cells.insert(cells.begin(), point.precision);
    table.add_row(std::move(cells));
  }
  return table.text();
}

std::string pick_line(const char* what, const TunedPoint& point, const TuneReport& report) {
  const double fastest = report.curve[report.fastest].images_per_second;
  std::string text = fmt::format("  {:<8} batch {}", what, format_count(point.batch));
  if (point.micro_batch != point.batch) text += fmt::format(" in parts of {}", format_count(point.micro_batch));
  text += fmt::format(", {}: {} img/s", point.precision, rate_text(point.images_per_second));
  if (fastest > 0) text += fmt::format(", {:.0f} % of the fastest", 100 * point.images_per_second / fastest);
  return text + fmt::format(", {}\n", format_bytes(point.planned_bytes));
}

std::string largest_line(const TuneReport& report) {
  const LargestBatch& largest = report.largest;
  std::string text = fmt::format("  {:<8} batch {}", "largest", format_count(largest.batch));
  if (largest.images_per_second) {
    text += fmt::format(": {} img/s", rate_text(*largest.images_per_second));
  } else {
    text += ": fits, and was not run (it would have taken long)";
  }
  return text + fmt::format(", {} of {}\n", format_bytes(largest.planned_bytes), format_bytes(report.budget_bytes));
}

std::string data_text(const WithData& data) {
  std::string text =
      fmt::format("  alone {} img/s, with your data {}", rate_text(data.alone), rate_text(data.with_data));
  text += fmt::format(" (the loader by itself {}, {} workers)", rate_text(data.loader), data.workers);
  return text + (data.input_bound ? ": input-bound\n    " + data.advice + "\n" : "\n");
}

}  // namespace

std::string to_text(const TuneReport& report) {
  const Conditions& c = report.conditions;
  std::string text = fmt::format("{} on {} ({}, {} threads)\n", report.model, report.device, c.processor, c.threads);
  text += curve_table(report);
  text += pick_line("knee", report.curve[report.best], report);
  text += pick_line("fastest", report.curve[report.fastest], report);
  text += largest_line(report);
  if (report.data) text += data_text(*report.data);
  for (const std::string& remark : report.remarks) text += fmt::format("  {}\n", remark);
  text += fmt::format("  {:.0f} s", report.seconds);
  if (report.end == "time")
    text += fmt::format(": the time limit of {:.0f} s came before the end of the curve", report.time_limit_seconds);
  if (report.end == "interrupted") text += ": interrupted, this is what was measured";
  if (report.end == "failed") text += ": the device failed, this is what was measured";
  text += "\n";
  if (!report.stored.empty()) text += fmt::format("  kept for `snug train` with batch = \"auto\": {}\n", report.stored);
  for (const std::string& file : report.files) text += fmt::format("  curve: {}\n", file);
  return text;
}

}  // namespace snug
