#include "report/prediction_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/text.h"
#include "data/contact_sheet.h"
#include "data/sample_pictures.h"
#include "report/csv.h"
#include "report/table.h"

namespace snug {

namespace {

constexpr std::size_t kRanks = 3;           // classes in the table
constexpr std::size_t kOutputs = 5;         // numbers of a network without classes
constexpr std::ptrdiff_t kLeastFile = 20;   // columns that a file's name keeps before a class goes
constexpr std::ptrdiff_t kLeastClass = 6;   // and a class's name in the end
constexpr std::int64_t kLongestSide = 256;  // pixels of a picture on the sheet

/// How much of the table is shown.
struct Extent {
  std::size_t ranks = kRanks, file = std::string::npos, name = std::string::npos;
};

std::string percent(double fraction) { return fmt::format("{:.1f} %", 100 * fraction); }

std::string outputs_of(const Prediction& prediction) {
  std::string text;
  for (std::size_t i = 0; i < std::min(kOutputs, prediction.logits.size()); ++i)
    text += fmt::format("{}{:.4g}", i == 0 ? "" : "  ", prediction.logits[i]);
  return text + (prediction.logits.size() > kOutputs ? "  …" : "");
}

std::string table_of(std::span<const Prediction> predictions, const Extent& extent) {
  static constexpr std::array<const char*, kRanks> kTitles{"class", "then", "then"};
  const bool classified = !predictions.front().top.empty();
  std::vector<std::string> titles{"file"};
  for (std::size_t rank = 0; classified && rank < extent.ranks; ++rank) {
    titles.emplace_back(kTitles[rank]);
    titles.emplace_back(rank == 0 ? ">probability" : ">");
  }
  if (!classified) titles.emplace_back("outputs");
  const std::size_t columns = titles.size();
  Table table(std::move(titles));
  for (const Prediction& prediction : predictions) {
    std::vector<std::string> cells{cut_front(printable(prediction.file), extent.file)};
    for (std::size_t rank = 0; rank < std::min(extent.ranks, prediction.top.size()); ++rank) {
      cells.push_back(cut_back(printable(prediction.top[rank].first), extent.name));
      cells.push_back(percent(prediction.top[rank].second));
    }
    if (!classified) cells.push_back(outputs_of(prediction));
    cells.resize(columns);
    table.add_row(std::move(cells));
  }
  return table.text();
}

/// The end of a path in at most `letters`, with the folders that fit whole.
std::string path_end(const std::string& path, std::size_t letters) {
  if (path.size() <= letters) return path;
  const std::string end = path.substr(path.size() - letters);
  return end.substr(end.find('/') + 1);  // all of it where there is none
}

std::ptrdiff_t widest_line(std::string_view text) {
  std::size_t widest = 0;
  for (; !text.empty(); text.remove_prefix(text.find('\n') + 1))
    widest = std::max(widest, display_width(text.substr(0, text.find('\n'))));
  return static_cast<std::ptrdiff_t>(widest);
}

}  // namespace

std::string predictions_text(std::span<const Prediction> predictions, std::size_t width) {
  if (predictions.empty()) return {};
  std::size_t longest_file = 0, longest_name = 0;
  for (const Prediction& prediction : predictions) {
    longest_file = std::max(longest_file, display_width(prediction.file));
    for (const auto& [label, probability] : prediction.top) longest_name = std::max(longest_name, display_width(label));
  }
  Extent extent{.ranks = std::clamp<std::size_t>(predictions.front().top.size(), 1, kRanks)};
  const auto too_wide = [&](const std::string& text) { return widest_line(text) - static_cast<std::ptrdiff_t>(width); };
  for (; extent.ranks > 0; --extent.ranks) {
    const std::string text = table_of(predictions, extent);
    if (width == 0 || too_wide(text) <= 0) return text;
    const std::ptrdiff_t left = static_cast<std::ptrdiff_t>(longest_file) - too_wide(text);
    if (left < kLeastFile) continue;
    extent.file = static_cast<std::size_t>(left);
    return table_of(predictions, extent);
  }
  extent = {.ranks = 1, .file = kLeastFile};
  const std::ptrdiff_t left = static_cast<std::ptrdiff_t>(longest_name) - too_wide(table_of(predictions, extent));
  extent.name = static_cast<std::size_t>(std::max(kLeastClass, left));
  return table_of(predictions, extent);
}

std::string predictions_csv(std::span<const Prediction> predictions) {
  std::string text = "file,class,probability\n";
  for (const Prediction& prediction : predictions) {
    text +=
        fmt::format("{},{},{:.6f}\n", csv_field(prediction.file), csv_field(prediction.label), prediction.probability);
  }
  return text;
}

Picture predictions_sheet(const PredictedImages& images) {
  std::vector<SheetEntry> entries;
  for (std::size_t i = 0; i < images.pictures.size(); ++i) {
    const Prediction& prediction = images.predictions[i];
    entries.push_back({thumbnail(images.pictures[i], kLongestSide), {}});
    const std::string verdict =
        prediction.top.empty() ? outputs_of(prediction)
                               : fmt::format("{} {:.0f}%", printable(prediction.label), 100 * prediction.probability);
    entries.back().text = verdict + "\n" + path_end(printable(prediction.file), sheet_letters(entries.front().picture));
  }
  return contact_sheet(entries);
}

}  // namespace snug
