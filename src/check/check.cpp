#include "check/check.h"

#include <algorithm>
#include <string_view>
#include <tuple>

#include <fmt/format.h>

#include "base/text.h"
#include "check/families.h"
#include "check/place.h"

namespace snug {

Place place_of(std::string_view where) {
  if (where.ends_with(']')) {
    const std::size_t bracket = where.rfind('[');
    if (bracket == std::string_view::npos) return {where};
    const auto record = parse_integer(where.substr(bracket + 1, where.size() - bracket - 2));
    return record ? Place{where.substr(0, bracket), *record} : Place{where};
  }
  const std::size_t column = where.rfind(':');
  if (column == std::string_view::npos || column == 0) return {where};
  const std::size_t line = where.rfind(':', column - 1);
  if (line == std::string_view::npos) return {where};
  const auto first = parse_integer(where.substr(line + 1, column - line - 1));
  const auto second = parse_integer(where.substr(column + 1));
  return first && second ? Place{where.substr(0, line), *first, *second} : Place{where};
}

void name_classes(std::vector<Diagnostic>& findings, const Dataset& train) {
  constexpr std::string_view kProposed = "{ dense = 10 }";
  const DatasetInfo& info = train.info();
  const std::int64_t classes = info.labels == LabelKind::rows ? info.label_width : std::ssize(info.classes);
  if (classes < 2) return;
  for (Diagnostic& finding : findings) {
    const std::size_t at = finding.fix.find(kProposed);
    if (at != std::string::npos) finding.fix.replace(at, kProposed.size(), fmt::format("{{ dense = {} }}", classes));
  }
}

void order_by_place(std::vector<Diagnostic>& findings) {
  std::ranges::stable_sort(findings, {}, [](const Diagnostic& finding) { return place_of(finding.where); });
}

std::vector<Diagnostic> check_config(const Config& config, const Graph& graph, const Processor& processor) {
  Findings findings;
  const FaultyTables& faulty = config.faulty;
  if (!faulty.data) check_support(config, processor, findings);
  if (!faulty.model && !faulty.loss) check_loss(config, graph, findings);
  if (!faulty.model) check_layers(graph, findings);
  if (!faulty.train) check_training(config, graph, processor, findings);
  order_by_place(findings);
  return findings;
}

std::vector<Diagnostic> check_data(const Config& config, const Splits& splits, const Graph& graph,
                                   const CheckEffort& effort) {
  Findings findings;
  for (Diagnostic& note : notes_of(splits)) findings.push_back(std::move(note));
  const std::vector<Look> looks = look_at_splits(splits, effort.full);
  check_pixels(config, looks, findings);
  const std::size_t before = findings.size();
  if (!config.faulty.loss) check_labels_of(config, splits, graph, findings);
  const bool sound_labels = !config.faulty.loss && findings.size() == before;
  // What rests on labels is looked at once they are what the loss takes.
  if (sound_labels) check_classes(config, splits, graph, findings);
  const bool constant = std::ranges::any_of(looks, &Look::constant);
  if (!constant) check_copies(config, looks, findings);
  if (!config.faulty.train) check_samples(config, splits, graph, findings);
  order_by_place(findings);
  return findings;
}

}  // namespace snug
