#include "report/runs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/text.h"
#include "config/toml.h"
#include "data/findings.h"
#include "report/table.h"
#include "train/event_json.h"

namespace snug {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kLongestValue = 40;  // of a config's key in a table

std::string dump(const Json& object) { return object.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string name_of(const RunOverview& run) {
  const std::filesystem::path last = run.folder.filename();
  return (last.empty() ? run.folder.parent_path().filename() : last).string();
}

std::string metric_text(std::string_view metric, double value) {
  return metric.ends_with("accuracy") ? fmt::format("{:.2f} %", 100 * value) : fmt::format("{:.4f}", value);
}

Json overview_object(const RunOverview& run) {
  Json object{{"run", name_of(run)},
              {"folder", run.folder.string()},
              {"state", run.state},
              {"started", run.started()},
              {"seconds", run.seconds()},
              {"epochs", run.epochs.empty() ? 0 : run.epochs.back().epoch},
              {"planned_epochs", run.config ? run.config->train.epochs : 0},
              {"metric", run.metric},
              {"best", run.best ? Json(*run.best) : Json()},
              {"best_epoch", run.best_epoch},
              {"model", run.model},
              {"bytes", run.bytes}};
  if (!run.problems.empty()) object["problems"] = run.problems;
  return object;
}

Json findings_array(std::span<const Diagnostic> findings) {
  Json array = Json::array();
  for (const Diagnostic& finding : findings)
    array.push_back({{"code", finding.code},
                     {"severity", to_string(finding.severity)},
                     {"where", finding.where},
                     {"what", finding.what},
                     {"fix", finding.fix}});
  return array;
}

/// Dotted keys with their values as TOML; tables are taken apart, lists are not.
void flatten(const config::Value& value, const std::string& path, std::map<std::string, std::string>& keys) {
  if (value.kind != config::Value::Kind::table) {
    keys[path] = config::to_text(value);
    return;
  }
  for (const config::Member& member : value.members)
    flatten(member.value, path.empty() ? member.key : path + "." + member.key, keys);
}

std::map<std::string, std::string> keys_of(const RunDetails& run) {
  std::map<std::string, std::string> keys;
  config::Findings ignored;
  if (const auto root = config::parse_toml(run.config_text, "config.toml", ignored)) flatten(*root, "", keys);
  return keys;
}

double mean_rate(const RunOverview& run) {
  double sum = 0;
  for (const EpochEvent& epoch : run.epochs) sum += epoch.images_per_second;
  return run.epochs.empty() ? 0 : sum / static_cast<double>(run.epochs.size());
}

/// What runs are compared by; an empty text where a run does not have it.
using Result = std::pair<std::string_view, std::string (*)(const RunDetails&)>;
const EpochEvent* last_epoch(const RunDetails& run) { return run.epochs.empty() ? nullptr : &run.epochs.back(); }

constexpr Result kResults[] = {
    {"state", [](const RunDetails& run) { return run.state; }},
    {"started", [](const RunDetails& run) { return started_text(run); }},
    {"time", [](const RunDetails& run) { return run.seconds() > 0 ? format_seconds(run.seconds()) : std::string(); }},
    {"epochs", [](const RunDetails& run) { return epochs_text(run); }},
    {"best", [](const RunDetails& run) { return run.best ? best_text(run) : std::string(); }},
    {"of epoch", [](const RunDetails& run) { return run.best ? std::to_string(run.best_epoch) : std::string(); }},
    {"last train_loss",
     [](const RunDetails& run) {
       const EpochEvent* last = last_epoch(run);
       return last != nullptr ? metric_text("loss", last->train_loss) : std::string();
     }},
    {"last train_accuracy",
     [](const RunDetails& run) {
       const EpochEvent* last = last_epoch(run);
       return last != nullptr ? metric_text("accuracy", last->train_accuracy) : std::string();
     }},
    {"last val_loss",
     [](const RunDetails& run) {
       const EpochEvent* last = last_epoch(run);
       return last != nullptr && last->val_loss ? metric_text("loss", *last->val_loss) : std::string();
     }},
    {"last val_accuracy",
     [](const RunDetails& run) {
       const EpochEvent* last = last_epoch(run);
       return last != nullptr && last->val_accuracy ? metric_text("accuracy", *last->val_accuracy) : std::string();
     }},
    {"images per second",
     [](const RunDetails& run) {
       return run.epochs.empty() ? std::string() : format_count(static_cast<std::int64_t>(mean_rate(run)));
     }},
    {"parameters", [](const RunDetails& run) { return run.plan ? format_count(run.parameters()) : std::string(); }},
    {"batch", [](const RunDetails& run) { return run.plan ? format_count(run.plan->plan.batch) : std::string(); }},
    {"device", [](const RunDetails& run) { return run.plan ? run.plan->plan.device : std::string(); }},
    {"memory, planned",
     [](const RunDetails& run) { return run.plan ? format_bytes(run.plan->plan.total_bytes) : std::string(); }},
    {"memory, measured peak",
     [](const RunDetails& run) { return run.done ? format_bytes(run.done->measured_peak_bytes) : std::string(); }},
    {"findings", [](const RunDetails& run) { return std::to_string(run.findings.size()); }},
    {"folder's size", [](const RunDetails& run) { return format_bytes(run.bytes); }},
};

Json rows_object(const std::vector<RunComparison::Row>& rows) {
  Json object = Json::object();
  for (const RunComparison::Row& row : rows) {
    Json values = Json::array();
    for (const std::string& value : row.values) values.push_back(value.empty() ? Json() : Json(value));
    object[row.name] = std::move(values);
  }
  return object;
}

std::string rows_text(std::string_view title, const std::vector<std::string>& runs,
                      const std::vector<RunComparison::Row>& rows) {
  std::vector<std::string> titles{std::string(title)};
  titles.insert(titles.end(), runs.begin(), runs.end());
  Table table(std::move(titles));
  for (const RunComparison::Row& row : rows) {
    std::vector<std::string> cells{row.name};
    for (const std::string& value : row.values) cells.push_back(value.empty() ? "–" : shorten(value, kLongestValue));
    table.add_row(std::move(cells));
  }
  return table.text();
}

std::string starts_text(const RunRecord& record) {
  std::string text;
  for (const RunStart& start : record.starts) {
    text += fmt::format("\nstarted {} on {}{}{}\n", start.started, start.machine, start.step > 0 ? " at step " : "",
                        start.step > 0 ? format_count(start.step) : "");
    if (!start.command.empty()) text += fmt::format("  {}\n", start.command);
    text += fmt::format("  in {}, on {}, {}\n", start.folder, start.device,
                        start.threads > 0 ? fmt::format("{} threads", start.threads) : std::string("all cores"));
    std::vector<std::string> versions;
    versions.reserve(start.versions.size());
    for (const auto& [name, version] : start.versions) versions.push_back(fmt::format("{} {}", name, version));
    text += fmt::format("  with {}\n", fmt::join(versions, ", "));
    if (!start.ended.empty())
      text += fmt::format("  {} {} after {}\n", start.state, start.ended, format_seconds(start.seconds));
  }
  return text;
}

std::string epochs_table(const RunDetails& run) {
  constexpr std::size_t kMostEpochs = 12;  // the last ones; metrics.csv has all
  if (run.epochs.empty()) return "no epoch has ended\n";
  Table table({">epoch", ">train loss", ">accuracy", ">val loss", ">accuracy", ">img/s", ">rate", ""});
  const std::size_t first = run.epochs.size() > kMostEpochs ? run.epochs.size() - kMostEpochs : 0;
  for (std::size_t i = first; i < run.epochs.size(); ++i) {
    const EpochEvent& epoch = run.epochs[i];
    table.add_row({std::to_string(epoch.epoch), metric_text("loss", epoch.train_loss),
                   metric_text("accuracy", epoch.train_accuracy),
                   epoch.val_loss ? metric_text("loss", *epoch.val_loss) : "–",
                   epoch.val_accuracy ? metric_text("accuracy", *epoch.val_accuracy) : "–",
                   format_count(static_cast<std::int64_t>(epoch.images_per_second)), fmt::format("{:.3g}", epoch.lr),
                   run.best && epoch.epoch == run.best_epoch ? "best" : ""});
  }
  return table.text();
}

}  // namespace

std::string best_text(const RunOverview& run) {
  return run.best ? fmt::format("{} {}", run.metric, metric_text(run.metric, *run.best)) : "–";
}

std::string epochs_text(const RunOverview& run) {
  const std::int64_t done = run.epochs.empty() ? 0 : run.epochs.back().epoch;
  return run.config ? fmt::format("{}/{}", done, run.config->train.epochs) : fmt::format("{}/?", done);
}

std::string started_text(const RunOverview& run) {
  std::string text = run.started().substr(0, 16);
  std::ranges::replace(text, 'T', ' ');
  return text;
}

RunComparison compare_runs(std::span<const RunDetails> runs) {
  RunComparison comparison;
  for (const RunDetails& run : runs) comparison.runs.push_back(name_of(run));
  for (const auto& [name, value_of] : kResults) {
    RunComparison::Row row{.name = std::string(name), .values = {}};
    for (const RunDetails& run : runs) row.values.push_back(value_of(run));
    const bool known = std::ranges::any_of(row.values, [](const std::string& value) { return !value.empty(); });
    if (known) comparison.results.push_back(std::move(row));
  }
  std::map<std::string, std::vector<std::string>> keys;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    for (const auto& [key, value] : keys_of(runs[i])) {
      std::vector<std::string>& values = keys[key];
      values.resize(runs.size());
      values[i] = value;
    }
  }
  for (const auto& [key, values] : keys) {
    if (std::ranges::count(values, values.front()) != std::ssize(values)) comparison.keys.push_back({key, values});
  }
  return comparison;
}

std::string runs_json(std::span<const RunOverview> runs) {
  Json array = Json::array();
  for (const RunOverview& run : runs) array.push_back(overview_object(run));
  return dump({{"runs", std::move(array)}});
}

std::string runs_text(std::span<const RunOverview> runs, const std::string& folder) {
  if (runs.empty()) return fmt::format("no runs in {}; snug train CONFIG makes one\n", folder);
  Table table({"run", "started (UTC)", "state", ">epochs", "best", "model", ">size"});
  for (const RunOverview& run : runs)
    table.add_row({name_of(run), started_text(run), run.state, epochs_text(run), best_text(run),
                   run.model.empty() ? "–" : run.model, format_bytes(run.bytes)});
  std::string text = table.text();
  for (const RunOverview& run : runs)
    for (const std::string& problem : run.problems) text += fmt::format("  {}: {}\n", name_of(run), problem);
  return text;
}

std::string run_json(const RunDetails& run) {
  Json object = overview_object(run);
  object["record"] = Json::parse(run_record_json(run.record))["starts"];
  object["config"] = run.config_text;
  if (run.plan) {
    const PlanReport& plan = run.plan->plan;
    object["plan"] = {{"device", plan.device},
                      {"batch", plan.batch},
                      {"total_bytes", plan.total_bytes},
                      {"host_bytes", plan.host_bytes},
                      {"parameters", run.parameters()}};
  }
  Json metrics = Json::array();
  for (const EpochEvent& epoch : run.epochs) metrics.push_back(Json::parse(event_json(epoch)));
  object["metrics"] = std::move(metrics);
  object["findings"] = findings_array(run.findings);
  if (run.done) object["done"] = Json::parse(event_json(*run.done));
  if (run.evaluation) object["evaluation"] = Json::parse(eval_json(run.evaluation->result));
  return dump(object);
}

std::string run_text(const RunDetails& run) {
  std::string text = fmt::format("{}: {}, {} epochs, best {}{}\n", run.folder.string(), run.state, epochs_text(run),
                                 best_text(run), run.best ? fmt::format(" (epoch {})", run.best_epoch) : "");
  for (const std::string& problem : run.problems) text += fmt::format("  problem: {}\n", problem);
  text += starts_text(run.record) + "\n" + epochs_table(run);
  if (run.plan) {
    const PlanReport& plan = run.plan->plan;
    text += fmt::format("\n{}: {} parameters, batch {} on {}, {} planned", run.model, format_count(run.parameters()),
                        format_count(plan.batch), plan.device, format_bytes(plan.total_bytes));
    if (run.done) text += fmt::format(", {} measured at the peak", format_bytes(run.done->measured_peak_bytes));
    text += "\n";
  }
  if (!run.findings.empty()) text += "\n";
  for (const Diagnostic& finding : run.findings) text += to_string(finding) + "\n";
  return text + fmt::format("\nconfig.toml:\n{}", run.config_text);
}

std::string comparison_json(const RunComparison& comparison) {
  return dump({{"runs", comparison.runs},
               {"results", rows_object(comparison.results)},
               {"config", rows_object(comparison.keys)}});
}

std::string report_json(const std::string& page) { return dump({{"report", page}}); }

std::string comparison_text(const RunComparison& comparison) {
  const std::string results = rows_text("", comparison.runs, comparison.results);
  if (comparison.keys.empty()) return results + "\ntheir configs are the same\n";
  return results + "\n" + rows_text("config, where it differs", comparison.runs, comparison.keys);
}

}  // namespace snug
