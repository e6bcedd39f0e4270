#include "report/plan_page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "report/csv.h"
#include "report/html.h"
#include "report/page_parts.h"
#include "report/plan_parts.h"
#include "snug/version.h"

namespace snug {

namespace {

/// A cell that sorts by a number and shows something for people.
std::string number_cell(std::int64_t value, const std::string& text) {
  return fmt::format(R"(<td data-v="{}">{}</td>)", value, text);
}
std::string bytes_cell(std::int64_t bytes) { return number_cell(bytes, bytes == 0 ? "–" : format_bytes(bytes)); }

/// "56.6 M" of 56,623,104 FLOP.
std::string short_count(std::int64_t count) {
  static constexpr std::array kUnits{"", " k", " M", " G", " T"};
  auto value = static_cast<double>(count);
  std::size_t unit = 0;
  for (; value >= 1000 && unit + 1 < kUnits.size(); ++unit) value /= 1000;
  return count == 0 ? "–" : fmt::format("{:.3g}{}", value, kUnits[unit]);
}

std::string head(const PlanPage& page) {
  const PlanReport& plan = page.plan;
  const std::string title = fmt::format("{} on {}: batch {} {}", page.name, plan.device, format_count(plan.batch),
                                        plan.fits ? "fits" : "does not fit");
  return page_head(title, "") +
         fmt::format("<header>\n<h1>{}</h1>\n<p class=\"verdict {}\">{}</p>\n</header>\n<main>\n", html_text(title),
                     plan.fits ? "good" : "bad",
                     plan.fits ? fmt::format("{} needed, {} available: fits, with {} to spare.",
                                             format_bytes(plan.total_bytes), format_bytes(plan.budget_bytes),
                                             format_bytes(plan.budget_bytes - plan.total_bytes))
                               : fmt::format("{} needed, {} available: {} too much.", format_bytes(plan.total_bytes),
                                             format_bytes(plan.budget_bytes), format_bytes(plan.short_by_bytes)));
}

std::string cards(const PlanReport& plan) {
  std::string text = "<dl class=\"cards\">\n";
  text += card("needed", format_bytes(plan.total_bytes), format_count(plan.total_bytes) + " bytes");
  text += card("budget", format_bytes(plan.budget_bytes), fmt::format("device: {}", format_bytes(plan.device_bytes)));
  text += card("batch", format_count(plan.batch),
               plan.accumulation > 1 ? fmt::format("{} parts of {}", plan.accumulation, format_count(plan.micro_batch))
                                     : std::string("in one piece"));
  text += card("largest batch", plan.max_batch > 0 ? format_count(plan.max_batch) : "none", "that fits in one piece");
  text += card("peak", fmt::format("step {}", plan.peak.step),
               plan.peak.layer.empty() ? std::string(phase_words(plan.peak.phase))
                                       : fmt::format("{} of {}", phase_words(plan.peak.phase), plan.peak.layer));
  if (plan.estimated_images_per_second > 0)
    text += card("speed",
                 fmt::format("{} img/s", format_count(static_cast<std::int64_t>(plan.estimated_images_per_second))),
                 fmt::format("estimated; {:.2f}× the time with unlimited memory", plan.estimated_slowdown));
  text += card("host memory", format_bytes(plan.host_bytes),
               plan.offload_bytes > 0 ? "for data and activations, beside the total" : "for data, beside the total");
  text += card("checkpoints", format_bytes(plan.checkpoint_bytes), "on the disk");
  if (!plan.strategy.empty())
    text += card("used", fmt::format("{}", fmt::join(plan.strategy, ", ")), "ways to fit more");
  return text + "</dl>\n";
}

std::string findings_section(const PlanPage& page) {
  const PlanReport& plan = page.plan;
  if (page.findings.empty() && plan.remedies.empty() && plan.processes.empty() && plan.fits) return {};
  std::string text = "<section aria-labelledby=\"found\"><h2 id=\"found\">What to know and what to do</h2>\n";
  text += findings_list(page.findings);
  if (!plan.processes.empty()) {
    text += "<p>Others that hold memory of the device:</p>\n<ul>\n";
    for (const PlanProcess& process : plan.processes)
      text += fmt::format("<li>{} (process {}): {}</li>\n", html_text(process.name), process.pid,
                          process.bytes > 0 ? format_bytes(process.bytes) : "unknown");
    text += "</ul>\n";
  }
  if (!plan.remedies.empty()) {
    text +=
        "<p>What fits; each was planned:</p>\n<div class=\"wide\"><table class=\"remedies\"><thead><tr><th>change of "
        "the config</th><th>total</th>"
        "<th>time</th><th>effect</th></tr></thead><tbody>\n";
    for (const PlanRemedy& remedy : plan.remedies)
      text += fmt::format("<tr><td><code>{}</code></td><td>{}</td><td>{:.2f}×</td><td>{}</td></tr>\n",
                          html_text(remedy.change), format_bytes(remedy.total_bytes), remedy.estimated_slowdown,
                          html_text(remedy.effect));
    text += "</tbody></table></div>\n";
  } else if (!plan.fits) {
    text += "<p>No change was found that keeps the model and fits.</p>\n";
  }
  return text + "</section>\n";
}

/// The colour of a part in the pictures.
std::string_view part_class(std::string_view name) {
  if (name == "activations") return "activation";
  if (name == "gradients") return "gradient";
  if (name == "weights") return "weight";
  if (name == "statistics") return "statistic";
  if (name == "images") return "input";
  return name;
}

std::string breakdown_section(const PlanReport& plan) {
  const auto total = static_cast<double>(std::max<std::int64_t>(plan.total_bytes, 1));
  std::string bar = "<div class=\"bar\" aria-hidden=\"true\">";
  std::string rows;
  for (const PlanPart& part : plan_parts(plan)) {
    const double share = 100 * static_cast<double>(part.bytes) / total;
    if (part.bytes > 0)
      bar += fmt::format("<i class=\"{}\" style=\"flex-grow:{}\" title=\"{}: {}\"></i>", part_class(part.name),
                         part.bytes, part.name, format_bytes(part.bytes));
    rows += fmt::format(
        "<tr><th scope=\"row\"><i class=\"{}\"></i>{}</th><td data-bytes=\"{}\">{}</td><td>{:.1f} %</td>"
        "<td class=\"text\">{}</td></tr>\n",
        part_class(part.name), part.name, part.bytes, format_bytes(part.bytes), share, part.meaning);
  }
  return "<section aria-labelledby=\"parts\"><h2 id=\"parts\">Where the bytes go</h2>\n" + bar +
         "</div>\n<div class=\"wide\"><table class=\"breakdown\"><thead><tr><th>part</th><th>size</th><th>share</th>"
         "<th class=\"text\">what it is</th></tr></thead><tbody>\n" +
         rows +
         fmt::format(
             "</tbody><tfoot><tr><th scope=\"row\">total</th><td data-total=\"{}\">{}</td><td></td>"
             "<td class=\"text\">{} bytes</td></tr></tfoot></table></div></section>\n",
             plan.total_bytes, format_bytes(plan.total_bytes), format_count(plan.total_bytes));
}

std::string peak_table(const PlanReport& plan) {
  std::string rows;
  for (const PlanTensor& tensor : plan.peak.tensors)
    rows += fmt::format(
        "<tr><th scope=\"row\">{}</th><td class=\"text\">{}</td><td class=\"text\">{}</td>"
        "<td data-bytes=\"{}\">{}</td></tr>\n",
        html_text(tensor.name), html_text(tensor.layer), tensor.role, tensor.bytes, format_bytes(tensor.bytes));
  return fmt::format(
      "<details><summary>The {} tensors alive at the peak, {} in all</summary><div class=\"wide\">"
      "<table class=\"peak\"><thead><tr><th>tensor</th><th class=\"text\">layer</th>"
      "<th class=\"text\">role</th><th>size</th></tr></thead><tbody>\n{}</tbody></table></div></details>\n",
      plan.peak.tensors.size(), format_bytes(plan.lower_bound_bytes), rows);
}

std::string floor_section(const PlanPage& page) {
  return figure(
             "floor", "Floor plan of the step",
             "<div class=\"tools\"><label>find <input id=\"find\" type=\"search\" placeholder=\"tensor or layer\"/>"
             "</label><span class=\"buttons\"><button type=\"button\" id=\"smaller\" aria-label=\"smaller\">−</button>"
             "<button type=\"button\" id=\"larger\" aria-label=\"larger\">+</button></span></div>\n" +
                 floor_plan(page) +
                 "<p class=\"readout\" id=\"buffer\" role=\"status\">Point at a block, or tap it, to see what it "
                 "is.</p>\n",
             "Each block is a buffer: its place in the arena upwards, the steps in which it lives to the right. Blocks "
             "over each other share no byte; blocks beside each other use the same bytes one after the other.") +
         peak_table(page.plan) + "</section>\n";
}

std::string phases_table(std::span<const PlanStep> steps) {
  struct Highest {
    std::int64_t steps = 0;
    const PlanStep* at = nullptr;
  };
  std::vector<std::pair<std::string, Highest>> phases;
  for (const PlanStep& step : steps) {
    auto found = std::ranges::find(phases, step.phase, &std::pair<std::string, Highest>::first);
    if (found == phases.end()) found = phases.insert(phases.end(), {step.phase, {}});
    Highest& highest = found->second;
    ++highest.steps;
    if (highest.at == nullptr || step.live_bytes > highest.at->live_bytes) highest.at = &step;
  }
  std::string rows;
  for (const auto& [phase, highest] : phases)
    rows += fmt::format(
        "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td class=\"text\">{} {}</td></tr>\n", phase,
        highest.steps, format_bytes(highest.at->live_bytes), highest.at->step, html_text(highest.at->op),
        html_text(highest.at->layer));
  return "<details><summary>The highest step of each phase</summary><div class=\"wide\"><table "
         "class=\"phase-peaks\"><thead><tr>"
         "<th>phase</th><th>steps</th><th>most alive</th><th>at step</th><th class=\"text\">which "
         "is</th></tr></thead><tbody>\n" +
         rows + "</tbody></table></div></details>\n";
}

std::string memory_section(const PlanPage& page) {
  const PlanReport& plan = page.plan;
  return figure("memory", "Memory over the step",
                memory_curve(page) +
                    "<p class=\"readout\" id=\"step\" role=\"status\">Point at a step, or tap it, to see what it "
                    "does.</p>\n",
                fmt::format("Everything that is taken of the device, step by step. The budget is {}.",
                            format_bytes(plan.budget_bytes))) +
         phases_table(plan.steps) + "</section>\n";
}

std::string batch_section(const PlanPage& page) {
  if (page.batches.empty()) return {};
  std::string rows;
  for (const BatchPoint& point : page.batches)
    rows += fmt::format("<tr class=\"{}\"><th scope=\"row\">{}{}</th><td>{}</td><td class=\"text\">{}</td></tr>\n",
                        point.batch == page.plan.batch ? "chosen" : "", format_count(point.batch),
                        point.batch == page.plan.batch ? " (this plan)" : "", format_bytes(point.total_bytes),
                        point.fits ? "fits" : "does not fit");
  return figure("batch", "Bytes by batch size", batch_curve(page),
                "Every point was planned exactly; the line between them only joins them.") +
         "<div class=\"wide\"><table class=\"batches\"><thead><tr><th>batch</th><th>total</th><th class=\"text\">"
         "verdict</th></tr></thead><tbody>\n" +
         rows + "</tbody></table></div></section>\n";
}

/// What the training program moves and needs for a layer, over all phases.
struct LayerWork {
  std::int64_t bytes = 0;
  double seconds = 0;
};

std::string layers_section(const PlanReport& plan) {
  std::map<std::string_view, LayerWork> work;
  double seconds = 0;
  for (const PlanStep& step : plan.steps) {
    work[step.layer].bytes += step.bytes;
    work[step.layer].seconds += step.seconds;
    seconds += step.seconds;
  }
  const bool timed = seconds > 0;
  std::string rows;
  for (const PlanLayer& layer : plan.layers) {
    const LayerWork& done = work[layer.name];
    rows += fmt::format("<tr><th scope=\"row\">{}</th><td class=\"text\">{}</td>", html_text(layer.name),
                        fmt::join(layer.output, "×"));
    rows += number_cell(layer.parameters, layer.parameters == 0 ? "–" : format_count(layer.parameters));
    rows += number_cell(layer.flops, short_count(layer.flops)) + bytes_cell(done.bytes) +
            bytes_cell(layer.saved_bytes) + bytes_cell(layer.workspace_bytes);
    if (timed)
      rows += number_cell(static_cast<std::int64_t>(done.seconds * 1e9), fmt::format("{:.3f}", 1e3 * done.seconds));
    rows += "</tr>\n";
  }
  const auto title = [](std::string_view text, std::string_view kind = "") {
    return fmt::format("<th{}><button type=\"button\">{}</button></th>", kind, text);
  };
  return "<section aria-labelledby=\"layers\"><h2 id=\"layers\">Layers</h2>\n<div class=\"wide\"><table "
         "class=\"layers\" "
         "id=\"layer-table\"><thead><tr>" +
         title("layer") + title("output", " class=\"text\"") + title("parameters") + title("forward FLOP") +
         title("moved") + title("kept") + title("workspace") + (timed ? title("ms, estimated") : "") +
         "</tr></thead><tbody>\n" + rows +
         "</tbody></table></div>\n<p class=\"note\">Moved: bytes to and from memory in the whole step. Kept: outputs "
         "that wait "
         "for the backward pass. Workspace: the most that one of its steps takes. A title sorts by its "
         "column.</p></section>\n";
}

/// Steps for the script: [op, phase, layer, live bytes, workspace]. Markup in names is escaped as JSON does it.
std::string steps_data(std::span<const PlanStep> steps) {
  using Json = nlohmann::json;
  Json rows = Json::array();
  for (const PlanStep& step : steps)
    rows.push_back({step.op, step.phase, step.layer, step.live_bytes, step.workspace_bytes});
  std::string text;
  for (const char c : rows.dump(-1, ' ', false, Json::error_handler_t::replace)) {
    if (c == '<' || c == '>' || c == '&') {
      text += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      text += c;
    }
  }
  return "<script type=\"application/json\" id=\"steps\">" + text + "</script>\n";
}

std::string foot(const PlanPage& page) {
  return fmt::format(
      "</main>\n<footer>\n<p><code>{}</code></p>\n<p>Config {} ({}), device {}, snug {}. This page is one file and "
      "loads "
      "nothing.</p>\n</footer>\n{}</body>\n</html>\n",
      html_text(page.command), html_text(page.config), html_text(page.name), html_text(page.plan.device), kVersion,
      plan_scripts(page.plan));
}

}  // namespace

std::string plan_scripts(const PlanReport& plan) {
  return steps_data(plan.steps) + fmt::format("<script>\n//<![CDATA[\n{}//]]>\n</script>\n", page_script());
}

std::string plan_sections(const PlanPage& page) {
  const bool has_steps = !page.plan.steps.empty();
  return breakdown_section(page.plan) + (has_steps ? floor_section(page) + memory_section(page) : "") +
         batch_section(page) + layers_section(page.plan);
}

std::string plan_page(const PlanPage& page) {
  return head(page) + cards(page.plan) + findings_section(page) + plan_sections(page) + foot(page);
}

std::string timeline_csv(std::span<const PlanStep> steps) {
  std::string text = "step,phase,op,layer,algorithm,live_bytes,arena_bytes,workspace_bytes,flops,bytes,seconds\n";
  for (const PlanStep& step : steps)
    text += fmt::format("{},{},{},{},{},{},{},{},{},{},{:.9g}\n", step.step, step.phase, step.op, csv_field(step.layer),
                        csv_field(step.algorithm), step.live_bytes, step.arena_bytes, step.workspace_bytes, step.flops,
                        step.bytes, step.seconds);
  return text;
}

}  // namespace snug
