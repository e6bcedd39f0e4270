#include "cli/plan_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/shell.h"
#include "cli/output_file.h"
#include "report/plan_parts.h"
#include "snug/diagnostic.h"

namespace snug {

PlanFiles::PlanFiles(const Arguments& arguments) {
  const auto report = arguments.text("report");
  if (report && report == arguments.text("timeline"))
    throw Error({.code = "C909",
                 .where = "--timeline " + *report,
                 .what = fmt::format("'{}' cannot be written: it is the report's", report->substr(0, 80)),
                 .fix = "--timeline plan.csv   # in a folder that exists"});
  open_output(arguments, "report", "plan.html", page_);
  open_output(arguments, "timeline", "plan.csv", timeline_);
}

void PlanFiles::write(const Config& config, const Arguments& arguments, const Plan& plan, PlanPage page) {
  if (timeline_) {
    timeline_->write(timeline_csv(plan.report.steps));
    timeline_->commit();
  }
  if (!page_) return;
  page.plan = plan.report;
  page.name = config.name;
  page.config = config.file;
  page.command = command_line("plan", arguments);
  if (const PlannedProgram* program = training_program(plan)) page.buffers = placed_buffers(*program);
  page_->write(plan_page(page));
  page_->commit();
}

std::vector<std::int64_t> shown_batches(std::int64_t batch, std::int64_t max_batch) {
  constexpr std::int64_t kParts = 6;
  const std::int64_t most = std::min(std::max(batch, max_batch) + std::max(batch, max_batch) / 4 + 1, kBatchLimit);
  std::set<std::int64_t> sizes{1, std::max<std::int64_t>(1, batch / 2), batch, std::min(2 * batch, most)};
  for (std::int64_t part = 1; part <= kParts; ++part) sizes.insert(std::max<std::int64_t>(1, most * part / kParts));
  if (max_batch > 0) sizes.insert({max_batch, std::min(max_batch + 1, kBatchLimit)});
  return {sizes.begin(), sizes.end()};
}

std::string command_line(std::string_view command, const Arguments& arguments) {
  std::string line = fmt::format("snug {}", command);
  for (const std::string& word : arguments.positional()) line += " " + shell_word(word);
  for (const auto& [name, value] : arguments.options()) {
    line += " --" + name;
    if (!value.empty()) line += " " + shell_word(value);
  }
  return line;
}

}  // namespace snug
