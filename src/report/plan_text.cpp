// A plan for people: at most kMostLines lines, whatever it says.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "base/shell.h"
#include "base/text.h"
#include "planner/planner.h"
#include "report/plan_parts.h"
#include "report/reports.h"
#include "report/table.h"

namespace snug {

namespace {

constexpr std::size_t kMostLines = 30;
constexpr std::size_t kMostRemedies = 4;  // or one less and a line that counts the others
constexpr std::size_t kMostParts = 5;
constexpr std::size_t kMostTensors = 10;
constexpr std::size_t kLeastTensors = 2;
constexpr std::size_t kMostProcesses = 3;
constexpr std::size_t kMostNameColumns = 60;  // of a tensor; lines stay readable

constexpr double kNoticeable = 1.005;  // a slowdown that is not rounded away

using Lines = std::vector<std::string>;

void append(Lines& lines, const std::string& text) {
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
}

std::string cut(const std::string& name) {
  if (name.size() <= kMostNameColumns) return name;
  return "…" + name.substr(name.size() - kMostNameColumns + 1);
}

std::string headline(const PlanReport& plan, std::string_view name) {
  std::string text = name.empty() ? fmt::format("on {}: batch {}", plan.device, format_count(plan.batch))
                                  : fmt::format("{} on {}: batch {}", name, plan.device, format_count(plan.batch));
  if (plan.accumulation > 1)
    text += fmt::format(" in {} parts of {}", plan.accumulation, format_count(plan.micro_batch));
  text += plan.fits ? " fits" : " does not fit";
  return plan.tuned.empty() ? text : text + fmt::format(" ({})", plan.tuned);
}

/// Needed, available and the difference, under each other.
std::string verdict(const PlanReport& plan) {
  Table table({"", ">", ">", ""});
  const auto row = [&](const char* what, std::int64_t bytes, std::string note) {
    table.add_row({what, format_bytes(bytes), format_count(bytes) + " B", std::move(note)});
  };
  row("needed", plan.total_bytes, "");
  std::string device = fmt::format("the budget; the device has {}", format_bytes(plan.device_bytes));
  if (plan.free_bytes > 0) device += fmt::format(", {} of it free", format_bytes(plan.free_bytes));
  row("available", plan.budget_bytes, std::move(device));
  if (plan.total_bytes > plan.budget_bytes) {
    row("too much", plan.total_bytes - plan.budget_bytes, "");
  } else if (!plan.fits) {  // a bound of the arenas or of one step's scratch
    row("too much", plan.short_by_bytes, "by the bound of the arenas or of one step's scratch");
  }
  const std::string text = table.text();
  return text.substr(text.find('\n') + 1);  // no titles
}

std::string holders(const PlanReport& plan) {
  if (plan.processes.empty()) return {};
  std::vector<std::string> names;
  for (std::size_t i = 0; i < std::min(plan.processes.size(), kMostProcesses); ++i) {
    const PlanProcess& process = plan.processes[i];
    names.push_back(fmt::format("{} ({}) {}", process.name.empty() ? "process" : process.name, process.pid,
                                process.bytes > 0 ? format_bytes(process.bytes) : "unknown"));
  }
  if (plan.processes.size() > kMostProcesses)
    names.push_back(fmt::format("{} more", plan.processes.size() - kMostProcesses));
  return fmt::format("  held by others: {}\n", fmt::join(names, ", "));
}

std::string largest_batch(const PlanReport& plan) {
  if (plan.max_batch <= 0) return "  no batch fits, not even a single image at a time\n";
  return fmt::format("  largest batch that fits: {}{}\n", format_count(plan.max_batch),
                     plan.max_batch == kBatchLimit ? " (no larger one is looked for)" : "");
}

/// What takes a hundredth or more, the largest first; the rest in one row.
std::string breakdown_table(const PlanReport& plan) {
  std::vector<PlanPart> parts = plan_parts(plan);
  std::ranges::stable_sort(parts, std::greater{}, &PlanPart::bytes);
  const auto total = static_cast<double>(std::max<std::int64_t>(plan.total_bytes, 1));
  Table table({"part", ">size", ">share", "what it is"});
  const auto row = [&](std::string_view name, std::int64_t bytes, std::string_view meaning) {
    table.add_row({std::string(name), format_bytes(bytes),
                   fmt::format("{:.1f} %", 100 * static_cast<double>(bytes) / total), std::string(meaning)});
  };
  std::size_t shown = 0;
  std::vector<std::string_view> small;
  std::int64_t rest = 0;
  for (const PlanPart& part : parts) {
    if (shown < kMostParts && static_cast<double>(part.bytes) >= 0.01 * total) {
      ++shown;
      row(part.name, part.bytes, part.meaning);
    } else if (part.bytes > 0) {
      small.push_back(part.name);
      rest += part.bytes;
    }
  }
  if (!small.empty()) row("the rest", rest, fmt::format("{}", fmt::join(small, ", ")));
  return table.text();
}

std::string peak_line(const PlanReport& plan) {
  const PlanPeak& peak = plan.peak;
  std::string at = fmt::format("step {}", peak.step);
  if (std::ssize(plan.steps) > peak.step) at += fmt::format(" of {}", plan.steps.size());
  return fmt::format("memory peaks at {}, {}{}: {} alive in an arena of {}\n", at, phase_words(peak.phase),
                     peak.layer.empty() ? "" : " of layer " + peak.layer, format_bytes(plan.lower_bound_bytes),
                     format_bytes(plan.allocated.transient));
}

std::string tensors_table(const PlanPeak& peak, std::size_t rows) {
  Table table({"alive there (y: output, dx: gradient)", ">size", "role"});
  const bool all = peak.tensors.size() <= rows;
  const std::size_t shown = all ? peak.tensors.size() : rows - 1;
  std::int64_t rest = 0;
  for (std::size_t i = 0; i < peak.tensors.size(); ++i) {
    const PlanTensor& tensor = peak.tensors[i];
    if (i < shown) {
      table.add_row({cut(tensor.name), format_bytes(tensor.bytes), tensor.role});
    } else {
      rest += tensor.bytes;
    }
  }
  if (!all) table.add_row({fmt::format("{} smaller ones", peak.tensors.size() - shown), format_bytes(rest), ""});
  return table.text();
}

std::string remedies_text(const PlanReport& plan) {
  if (plan.fits) return {};
  std::string text;
  if (plan.remedies.empty()) {
    text =
        "no remedy: with every other setting that was planned (batch, strategy, precision, optimizer) it does not "
        "fit either\n";
  } else {
    Table table({"", ">", ">", ""});
    const std::size_t shown = plan.remedies.size() > kMostRemedies ? kMostRemedies - 1 : plan.remedies.size();
    for (std::size_t i = 0; i < shown; ++i) {
      const PlanRemedy& remedy = plan.remedies[i];
      const bool timed = plan.estimated_images_per_second > 0;
      table.add_row({as_options(remedy.change), "→ " + format_bytes(remedy.total_bytes),
                     timed ? fmt::format("{:.2f}× the time", remedy.estimated_slowdown) : "", remedy.effect});
    }
    const std::string rows = table.text();
    text = "what fits; each line was planned (put it into the config, or give it in place of --batch or --budget):\n";
    text += rows.substr(rows.find('\n') + 1);
    if (shown < plan.remedies.size()) text += fmt::format("  {} more with --json\n", plan.remedies.size() - shown);
  }
  if (!plan.fits_on.empty()) text += fmt::format("fits as it is on: {}\n", fmt::join(plan.fits_on, ", "));
  return text;
}

std::string closing_line(const PlanReport& plan) {
  const std::string moved =
      plan.offload_bytes == 0 ? "" : fmt::format(" and activations ({})", format_bytes(plan.offload_bytes));
  std::string text = fmt::format("besides: {} of host memory for data{}, {} of disk for checkpoints",
                                 format_bytes(plan.host_bytes), moved, format_bytes(plan.checkpoint_bytes));
  if (!plan.strategy.empty()) text += fmt::format("; used: {}", fmt::join(plan.strategy, ", "));
  if (plan.estimated_images_per_second > 0)
    text += fmt::format("; about {} img/s", format_count(static_cast<std::int64_t>(plan.estimated_images_per_second)));
  if (plan.estimated_slowdown > kNoticeable)
    text += fmt::format("; {:.2f}× the time with unlimited memory", plan.estimated_slowdown);
  return text + fmt::format("; planned in {:.2f} s\n", plan.seconds);
}

/// Of a GPU that is planned for: what its numbers rest on.
std::string device_lines(const PlanReport& plan) {
  if (plan.engines.empty()) return "";
  std::string text;
  if (!plan.estimated.empty()) text = fmt::format("estimated for this device: {}\n", fmt::join(plan.estimated, ", "));
  if (plan.engines == "bound") return text + "scratch of convolutions is bounded: no cuDNN here to ask\n";
  return text + fmt::format("scratch of convolutions as {} has it for this device\n", plan.engines);
}

}  // namespace

std::string to_text(const PlanReport& plan, std::string_view name) {
  Lines above;
  append(above, headline(plan, name) + "\n" + verdict(plan) + holders(plan) + largest_batch(plan) + "\n");
  append(above, breakdown_table(plan));
  above.emplace_back();
  if (const std::string device = device_lines(plan); !device.empty()) append(above, device);
  append(above, peak_line(plan));
  Lines below;
  if (const std::string remedies = remedies_text(plan); !remedies.empty()) {
    append(below, remedies);
    below.emplace_back();
  }
  append(below, closing_line(plan));
  const std::size_t used = above.size() + below.size() + 2;  // and the tensors' title and a free line
  const std::size_t room = kMostLines > used ? kMostLines - used : 0;
  if (!plan.peak.tensors.empty())
    append(above, tensors_table(plan.peak, std::clamp(room, kLeastTensors, kMostTensors)));
  above.emplace_back();
  return fmt::format("{}\n{}\n", fmt::join(above, "\n"), fmt::join(below, "\n"));
}

}  // namespace snug
