#include "report/run_page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <tuple>

#include "base/file.h"
#include "base/text.h"
#include "report/html.h"
#include "report/page_parts.h"
#include "report/plan_page.h"
#include "report/runs.h"
#include "snug/version.h"
#include "train/safetensors.h"

namespace snug {

namespace {

constexpr std::size_t kMostMatrix = 20;  // classes: a larger matrix says nothing at a glance
constexpr std::size_t kMostPairs = 15;   // of classes that are taken for each other
constexpr std::size_t kMostLayers = 20;  // by time

std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

std::string name_of(const RunDetails& run) {
  const std::filesystem::path last = run.folder.filename();
  return (last.empty() ? run.folder.parent_path().filename() : last).string();
}

std::string section(std::string_view id, std::string_view title, const std::string& inside) {
  if (inside.empty()) return {};
  return fmt::format("<section aria-labelledby=\"{0}\"><h2 id=\"{0}\">{1}</h2>\n{2}</section>\n", id, title, inside);
}

bool ended_badly(const RunDetails& run) {
  return run.state == "diverged" || run.state == "failed" || run.state == "damaged";
}

std::string head(const RunDetails& run) {
  const std::string title = run.best ? fmt::format("{}: {}", name_of(run), best_text(run)) : name_of(run);
  std::string verdict = fmt::format("{}, {} epochs", run.state, epochs_text(run));
  if (run.best) verdict += fmt::format("; best after epoch {}", run.best_epoch);
  std::string problems;
  for (const std::string& problem : run.problems)
    problems += fmt::format("<p class=\"facts\">{}</p>\n", html_text(problem));
  return page_head(title, run_page_style()) +
         fmt::format("<header>\n<h1>{}</h1>\n<p class=\"verdict {}\">{}.</p>\n{}</header>\n<main>\n", html_text(title),
                     ended_badly(run) ? "bad" : "good", html_text(verdict), problems);
}

std::string cards(const RunDetails& run) {
  std::string text = "<dl class=\"cards\">\n";
  if (run.best) {
    const std::string best = best_text(run);  // "val_accuracy 91.2 %"
    text += card("best " + html_text(run.metric), best.substr(run.metric.size() + 1),
                 fmt::format("epoch {}", run.best_epoch));
  }
  text += card("epochs", epochs_text(run), "started " + started_text(run) + " UTC");
  if (run.seconds() > 0) text += card("time", format_seconds(run.seconds()), "from start to end, all starts");
  if (!run.epochs.empty())
    text += card("speed", format_count(std::llround(run.epochs.back().images_per_second)) + " img/s",
                 "training, last epoch");
  if (run.plan) {
    const PlanReport& plan = run.plan->plan;
    text += card("parameters", format_count(run.parameters()), run.model);
    text +=
        card("batch", format_count(plan.batch),
             run.config ? fmt::format("{} on {}", to_string(run.config->train.precision), plan.device) : plan.device);
    text += card("memory", format_bytes(run.done ? run.done->planned_peak_bytes : plan.total_bytes + plan.host_bytes),
                 run.done ? fmt::format("planned; measured peak {}", format_bytes(run.done->measured_peak_bytes))
                          : std::string("planned, host memory included"));
  }
  text += card("folder", format_bytes(run.bytes), run.folder.string());
  return text + "</dl>\n";
}

// ---- curves -------------------------------------------------------------------------------------------------------

template <class Value>
CurveSeries series_of(const RunDetails& run, std::string name, std::string_view ink, const Value& value) {
  CurveSeries series{.name = std::move(name), .ink = ink, .points = {}};
  for (const EpochEvent& epoch : run.epochs) {
    const std::optional<double> y = value(epoch);
    if (y) series.points.emplace_back(static_cast<double>(epoch.epoch), *y);
  }
  return series;
}

std::string curves_section(const RunDetails& run) {
  const auto curve = [&](std::string title, std::vector<CurveSeries> series) {
    std::erase_if(series, [](const CurveSeries& one) { return one.points.empty(); });
    return Curve{.title = std::move(title), .x_name = "epoch", .series = std::move(series)};
  };
  Curve loss = curve(
      "Loss", {series_of(run, "training", "first", [](const EpochEvent& e) { return std::optional(e.train_loss); }),
               series_of(run, "validation", "second", [](const EpochEvent& e) { return e.val_loss; })});
  Curve accuracy =
      curve("Accuracy",
            {series_of(run, "training", "first", [](const EpochEvent& e) { return std::optional(e.train_accuracy); }),
             series_of(run, "validation", "second", [](const EpochEvent& e) { return e.val_accuracy; })});
  accuracy.percent = true;
  Curve rate = curve("Learning rate",
                     {series_of(run, "rate", "first", [](const EpochEvent& e) { return std::optional(e.lr); })});
  Curve speed =
      curve("Images per second",
            {series_of(run, "img/s", "first", [](const EpochEvent& e) { return std::optional(e.images_per_second); })});
  rate.from_zero = speed.from_zero = true;
  for (Curve* shown : {&loss, &accuracy}) {
    shown->mark = run.best && run.epochs.size() > 1 ? static_cast<double>(run.best_epoch) : 0;
    shown->mark_name = "best";
  }
  Curve steps{.title = "Loss of single steps", .x_name = "step", .series = {{"loss", "first", {}}}};
  for (const StepEvent& step : run.steps)
    steps.series[0].points.emplace_back(static_cast<double>(step.step), step.loss);
  const bool mse = run.config && run.config->train.loss == Loss::mse;
  const std::string figures = curve_figure(loss) + (mse ? "" : curve_figure(accuracy)) + curve_figure(rate) +
                              curve_figure(speed) + (run.steps.size() > 1 ? curve_figure(steps) : "");
  return section("curves", "Curves", figures.empty() ? "" : "<div class=\"grid2\">\n" + figures + "</div>\n");
}

// ---- evaluation -----------------------------------------------------------------------------------------------------

std::string confusion_table(const EvalResult& result) {
  std::string text = "<div class=\"wide\"><table class=\"confusion\"><thead><tr><th scope=\"col\">is \\ taken for</th>";
  const bool upright = result.confusion.size() > 4;
  for (const ClassMetrics& metrics : result.per_class)
    text += fmt::format("<th scope=\"col\"{}>{}</th>", upright ? " class=\"name\"" : "", html_text(metrics.name));
  text += "</tr></thead><tbody>\n";
  for (std::size_t row = 0; row < result.confusion.size(); ++row) {
    text += fmt::format("<tr><th scope=\"row\">{}</th>", html_text(result.per_class[row].name));
    const auto all = static_cast<double>(std::max<std::int64_t>(result.per_class[row].support, 1));
    for (std::size_t column = 0; column < result.confusion.size(); ++column) {
      const std::int64_t count = result.confusion[row][column];
      text +=
          fmt::format("<td class=\"{}\" style=\"--p:{}\">{}</td>",
                      count == 0      ? "none"
                      : row == column ? "hit"
                                      : "miss",
                      short_number(0.75 * static_cast<double>(count) / all), count == 0 ? "·" : format_count(count));
    }
    text += "</tr>\n";
  }
  return text + "</tbody></table></div>\n";
}

/// Which classes are most often taken for which.
std::string pairs_table(const EvalResult& result) {
  std::vector<std::tuple<std::int64_t, std::size_t, std::size_t>> pairs;
  for (std::size_t row = 0; row < result.confusion.size(); ++row)
    for (std::size_t column = 0; column < result.confusion.size(); ++column)
      if (row != column && result.confusion[row][column] > 0)
        pairs.emplace_back(result.confusion[row][column], row, column);
  const auto shown = static_cast<std::ptrdiff_t>(std::min(pairs.size(), kMostPairs));
  std::partial_sort(pairs.begin(), pairs.begin() + shown, pairs.end(), [](const auto& a, const auto& b) {
    return std::get<0>(a) != std::get<0>(b) ? std::get<0>(a) > std::get<0>(b) : a < b;
  });
  std::string rows;
  for (auto pair = pairs.begin(); pair != pairs.begin() + shown; ++pair)
    rows += fmt::format("<tr><th scope=\"row\">{}</th><td class=\"text\">{}</td><td>{}</td></tr>\n",
                        html_text(result.per_class[std::get<1>(*pair)].name),
                        html_text(result.per_class[std::get<2>(*pair)].name), format_count(std::get<0>(*pair)));
  if (rows.empty()) return {};
  return "<div class=\"wide\"><table class=\"pairs\"><thead><tr><th>is</th><th class=\"text\">taken for</th><th>how "
         "often</th></tr></thead><tbody>\n" +
         rows + "</tbody></table></div>\n";
}

std::string classes_table(const EvalResult& result) {
  std::string rows;
  for (const ClassMetrics& metrics : result.per_class)
    rows += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                        html_text(metrics.name), percent(metrics.precision), percent(metrics.recall),
                        percent(metrics.f1), format_count(metrics.support));
  std::string table =
      "<div class=\"wide\"><table "
      "class=\"classes\"><thead><tr><th>class</th><th>precision</th><th>recall</th><th>F1</th>"
      "<th>images</th></tr></thead><tbody>\n" +
      rows + "</tbody></table></div>\n";
  if (result.per_class.size() <= kMostMatrix) return table;
  return fmt::format("<details><summary>All {} classes</summary>{}</details>\n", result.per_class.size(), table);
}

std::string calibration_figure(const Calibration& calibration) {
  Curve curve{.title = fmt::format("Calibration: off by {} on average", percent(calibration.expected_error)),
              .x_name = "sure of",
              .series = {{"as often right as sure", "soft", {{0, 0}, {1, 1}}}, {"right", "second", {}}},
              .from_zero = true,
              .percent = true,
              .x_low = 0,
              .x_high = 1};
  for (const CalibrationBin& bin : calibration.bins)
    if (bin.samples > 0) curve.series[1].points.emplace_back(bin.confidence, bin.accuracy);
  return curve_figure(curve);
}

std::string evaluation_section(const RunDetails& run) {
  if (!run.evaluation) return {};
  const EvalResult& result = run.evaluation->result;
  std::string text =
      fmt::format("<p class=\"facts\">{} images of {} after epoch {}: loss {:.4f}", format_count(result.samples),
                  html_text(run.evaluation->split), run.evaluation->epoch, result.loss);
  if (!result.per_class.empty()) text += fmt::format(", accuracy {}", percent(result.accuracy));
  if (result.per_class.size() > 5) text += fmt::format(", among the first five {}", percent(result.top5_accuracy));
  if (result.auc) text += fmt::format(", area under the ROC curve {:.4f}", *result.auc);
  text += ".</p>\n";
  if (!result.confusion.empty())
    text += result.confusion.size() <= kMostMatrix ? confusion_table(result) : pairs_table(result);
  std::string beside = result.per_class.empty() ? "" : "<div>" + classes_table(result) + "</div>\n";
  if (result.calibration) beside += calibration_figure(*result.calibration);
  if (!beside.empty()) text += "<div class=\"grid2\" style=\"margin-top:1.2rem\">\n" + beside + "</div>\n";
  return section("evaluation", "What it gets right", text);
}

/// The last two parts of a path: the folder often is the class.
std::string brief_where(const std::string& where) {
  const std::size_t last = where.rfind('/');
  if (last == std::string::npos || last == 0) return where;
  const std::size_t before = where.rfind('/', last - 1);
  return before == std::string::npos ? where : where.substr(before + 1);
}

std::string sample_entry(const ShownSample& sample, bool photograph) {
  const SampleOutcome& outcome = sample.outcome;
  std::string said;
  if (outcome.truth < 0) {
    said = fmt::format("<b>loss {:.4g}</b>", outcome.loss);
  } else {
    const bool right = outcome.truth == outcome.predicted;
    said = fmt::format("<b class=\"{}\">{}</b> {}{}", right ? "good" : "bad", html_text(sample.predicted),
                       percent(outcome.probability),
                       right ? std::string() : fmt::format("<br/>is {}", html_text(sample.truth)));
  }
  std::string picture;
  if (!sample.picture.empty())
    picture = fmt::format(R"(<img class="{}" src="data:image/png;base64,{}" alt="{}"/>)", photograph ? "photo" : "icon",
                          html_text(sample.picture), html_text(sample.where));
  return fmt::format("<li>{}{}<small>{}</small></li>\n", picture, said, html_text(brief_where(sample.where)));
}

std::string samples_section(std::string_view id, std::string_view title, const std::vector<ShownSample>& samples,
                            bool photographs) {
  std::string text;
  for (const ShownSample& sample : samples) text += sample_entry(sample, photographs);
  return section(id, title, text.empty() ? "" : "<ul class=\"samples\">\n" + text + "</ul>\n");
}

// ---- memory and time ------------------------------------------------------------------------------------------------

PlanPage plan_part(const StoredPlan& stored) {
  PlanPage page{.plan = stored.plan, .name = {}, .config = {}, .command = {}};
  page.buffers = stored.buffers;
  if (page.buffers.empty()) page.plan.steps.clear();  // a folder of an earlier version: no floor plan
  return page;
}

std::string time_section(const PlanReport& plan) {
  std::map<std::string, double> by_layer;
  double all = 0;
  for (const PlanStep& step : plan.steps) {
    if (step.queue != 0) continue;
    by_layer[step.layer] += step.seconds;
    all += step.seconds;
  }
  if (all <= 0) return {};
  std::vector<std::pair<double, std::string>> layers;
  layers.reserve(by_layer.size());
  for (const auto& [layer, seconds] : by_layer) layers.emplace_back(seconds, layer);
  std::ranges::sort(layers, std::greater());
  const std::size_t shown = std::min(layers.size(), kMostLayers);
  std::string text = fmt::format(
      "<p class=\"facts\">As the plan estimates it from this device's measured rates: {:.3f} ms a step, forward, "
      "backward and update together. snug bench model measures it.</p>\n<div class=\"times\">\n",
      1e3 * all);
  for (std::size_t i = 0; i < shown; ++i) {
    const auto& [seconds, layer] = layers[i];
    text += fmt::format("<span>{}</span><div><i style=\"width:{}%\"></i></div><span>{:.3f} ms, {}</span>\n",
                        layer.empty() ? "(no layer: loss, optimizer, statistics)" : html_text(layer),
                        short_number(100 * seconds / layers.front().first), 1e3 * seconds, percent(seconds / all));
  }
  text += "</div>\n";
  if (shown < layers.size()) text += fmt::format("<p class=\"note\">and {} layers more</p>\n", layers.size() - shown);
  return section("time", "Time by layer", text);
}

// ---- how it was made ------------------------------------------------------------------------------------------------

std::string start_text(const RunStart& start) {
  std::vector<std::string> versions;
  versions.reserve(start.versions.size());
  for (const auto& [name, version] : start.versions) versions.push_back(fmt::format("{} {}", name, version));
  std::string text;
  if (!start.command.empty()) text += fmt::format("<pre>{}</pre>\n", html_text(start.command));
  text += fmt::format("<p class=\"facts\">Started {} in {} on {} ({}, {}){}", html_text(start.started),
                      html_text(start.folder), html_text(start.machine), html_text(start.device),
                      start.threads > 0 ? fmt::format("{} threads", start.threads) : std::string("all cores"),
                      start.step > 0 ? fmt::format(" at step {}", format_count(start.step)) : std::string());
  if (!start.ended.empty())
    text +=
        fmt::format(", {} {} after {}", html_text(start.state), html_text(start.ended), format_seconds(start.seconds));
  return text + fmt::format(". With {}.</p>\n", html_text(fmt::format("{}", fmt::join(versions, ", "))));
}

std::string making_section(const RunDetails& run) {
  std::string text;
  for (const RunStart& start : run.record.starts) text += start_text(start);
  if (!run.config_text.empty())
    text += fmt::format("<details><summary>The config, every value resolved</summary><pre>{}</pre></details>\n",
                        html_text(run.config_text));
  return section("making", "How it was made", text);
}

std::string foot(const RunDetails& run) {
  return fmt::format(
      "</main>\n<footer>\n<p>{}, snug {}. This page is one file and loads nothing; <code>snug runs report</code> "
      "writes "
      "it anew.</p>\n</footer>\n{}</body>\n</html>\n",
      html_text(run.folder.string()), kVersion, run.plan ? plan_scripts(plan_part(*run.plan).plan) : "");
}

}  // namespace

std::string run_page(const RunDetails& run) {
  std::string text = head(run) + cards(run) + curves_section(run) + evaluation_section(run);
  if (run.evaluation) {
    constexpr std::int64_t kLargestIcon = 48;  // pixels: smaller pictures keep sharp pixels when they are enlarged
    const bool photographs = run.config && run.config->model.input[0] > kLargestIcon;
    text += samples_section("mistakes", "Worst mistakes", run.evaluation->mistakes, photographs);
    text += samples_section("samples", "Samples", run.evaluation->samples, photographs);
  }
  text += section("findings", "Findings", findings_list(run.findings));
  if (run.plan) text += time_section(run.plan->plan) + plan_sections(plan_part(*run.plan));
  return text + making_section(run) + foot(run);
}

void write_run_page(const std::filesystem::path& folder) {
  const std::string page = run_page(read_details(folder));
  guard_writing(folder, [&] { write_text(folder / "report.html", page); });
}

}  // namespace snug
