#include "train/run_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>
#include <tuple>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/text.h"
#include "train/metrics.h"
#include "train/state.h"

namespace snug {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

/// Reads a part of a folder; what stands against it is kept, shortly.
template <class Read>
void attempt(RunOverview& run, const char* file, const Read& read) {
  try {
    read(run.folder / file);
  } catch (const Error& error) {
    const Diagnostic& found = error.findings().front();
    run.problems.push_back(fmt::format("{}: {}", file, found.what));
    const auto same = [&](const Diagnostic& other) { return other.code == found.code && other.where == found.where; };
    if (std::ranges::none_of(run.unreadable, same)) {
      run.unreadable.push_back(found);
      run.unreadable.back().severity = Severity::warning;  // the rest of the folder is read
    }
  } catch (const std::system_error& error) {
    run.problems.push_back(fmt::format("{}: {}", file, error.code().message()));
  } catch (const std::exception& error) {
    run.problems.push_back(fmt::format("{}: {}", file, error.what()));
  }
}

/// Whether a process holds the folder as a training does.
bool is_held(const fs::path& folder) {
  const File opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return opened.get() >= 0 && ::flock(opened.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

std::string model_of(const RunOverview& run) {
  if (!run.record.starts.empty() && !run.record.starts.back().model.empty()) return run.record.starts.back().model;
  return run.config ? fmt::format("{} layers", run.config->model.layers.size()) : std::string();
}

std::vector<std::string_view> parts_of(std::string_view line) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t comma = line.find(',');
    parts.push_back(line.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    line.remove_prefix(comma + 1);
  }
}

std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

/// A line of metrics.csv; nothing for one that was cut off.
std::optional<EpochEvent> read_epoch(std::string_view line) {
  const std::vector<std::string_view> parts = parts_of(line);
  if (parts.size() != 7) return std::nullopt;
  const auto epoch = parse_integer(parts[0]);
  const auto loss = parse_number(parts[1]);
  const auto accuracy = parse_number(parts[2]);
  const auto speed = parse_number(parts[5]);
  const auto rate = parse_number(parts[6]);
  if (!epoch || !loss || !accuracy || !speed || !rate) return std::nullopt;
  return EpochEvent{.epoch = *epoch,
                    .train_loss = *loss,
                    .train_accuracy = *accuracy,
                    .val_loss = parse_number(parts[3]),
                    .val_accuracy = parse_number(parts[4]),
                    .images_per_second = *speed,
                    .lr = *rate};
}

void read_metrics(RunOverview& run, const fs::path& path) {
  const std::string file = read_text(path);
  std::string_view text = file;
  take_line(text);  // the titles
  while (!text.empty()) {
    if (auto epoch = read_epoch(take_line(text))) run.epochs.push_back(*epoch);
  }
}

void find_best(RunOverview& run) {
  if (!run.config) return;
  run.metric = best_metric(run.config->train.loss, run.config->data.val || run.config->data.val_split > 0);
  for (const EpochEvent& epoch : run.epochs) {
    const auto value = metric_value(epoch, run.metric);
    if (!value || !improves(run.metric, *value, run.best)) continue;
    run.best = *value;
    run.best_epoch = epoch.epoch;
  }
}

/// What the folder says of itself, else what can be seen.
std::string state_of(const RunOverview& run) {
  const bool ended = !run.record.starts.empty() && !run.record.starts.back().state.empty();
  if (!ended && is_held(run.folder)) return "running";
  if (!run.config) return "damaged";
  if (ended) return run.record.starts.back().state;
  std::error_code ignored;
  const fs::path state = run.folder / "last.state";
  return fs::exists(state, ignored) && is_finished_run(state) ? "finished" : "interrupted";
}

std::int64_t size_of(const fs::path& folder) {
  std::int64_t bytes = 0;
  std::error_code ignored;
  for (const auto& entry : fs::recursive_directory_iterator(folder, ignored)) {
    std::error_code unknown;
    const auto size = entry.is_regular_file(unknown) ? entry.file_size(unknown) : 0;
    if (!unknown) bytes += static_cast<std::int64_t>(size);
  }
  return bytes;
}

void read_into(RunOverview& run, const fs::path& folder) {
  if (!is_run_folder(folder)) {
    throw Error({.code = "C920",
                 .where = folder.string(),
                 .what = fmt::format("{} is not the folder of a run", folder.string().substr(0, 100)),
                 .fix = "snug runs   # lists those in runs/; those elsewhere: snug runs --dir FOLDER"});
  }
  run.folder = folder;
  attempt(run, "config.toml", [&](const fs::path& path) { run.config = load_config(path); });
  attempt(run, "metrics.csv", [&](const fs::path& path) { read_metrics(run, path); });
  attempt(run, "run.json", [&](const fs::path& path) { run.record = read_run_record(read_text(path), path.string()); });
  run.model = model_of(run);
  find_best(run);
  run.bytes = size_of(folder);
  run.state = state_of(run);
}

// ---- log.jsonl: lines that are none (the last of a killed run) are passed over
// ---------------------------------------

double number_of(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number() ? found->get<double>() : std::nan("");
}

std::string text_of(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::int64_t count_of(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

Severity severity_of(std::string_view name) {
  return name == "error" ? Severity::error : name == "warning" ? Severity::warning : Severity::note;
}

void read_event(RunDetails& run, const Json& event) {
  const std::string kind = text_of(event, "event");
  if (kind == "step") {
    run.steps.push_back(
        {.step = count_of(event, "step"), .loss = number_of(event, "loss"), .lr = number_of(event, "lr")});
  } else if (kind == "finding") {
    Diagnostic finding{.code = text_of(event, "code"),
                       .severity = severity_of(text_of(event, "severity")),
                       .where = text_of(event, "where"),
                       .what = text_of(event, "what"),
                       .fix = text_of(event, "fix")};
    // Every start of a run that was resumed tells it.
    const bool told = std::ranges::any_of(run.findings, [&](const Diagnostic& other) {
      return std::tie(other.code, other.where, other.what) == std::tie(finding.code, finding.where, finding.what);
    });
    if (!told) run.findings.push_back(std::move(finding));
  } else if (kind == "done") {
    run.done = DoneEvent{.epochs = count_of(event, "epochs"),
                         .best_val_accuracy = number_of(event, "best_val_accuracy"),
                         .planned_peak_bytes = count_of(event, "planned_peak_bytes"),
                         .measured_peak_bytes = count_of(event, "measured_peak_bytes"),
                         .step_allocations = count_of(event, "step_allocations"),
                         .arena_bytes = count_of(event, "arena_bytes"),
                         .checkpoint = text_of(event, "checkpoint")};
  }
}

void read_log(RunDetails& run, const fs::path& path) {
  const std::string file = read_text(path);
  std::string_view text = file;
  while (!text.empty()) {
    const Json event = Json::parse(take_line(text), nullptr, false);
    if (event.is_object()) read_event(run, event);
  }
}

}  // namespace

std::string RunOverview::started() const {
  if (!record.starts.empty()) return record.starts.front().started;
  struct stat facts {};
  const fs::path config_file = folder / "config.toml";
  const fs::path& oldest = ::stat(config_file.c_str(), &facts) == 0 ? config_file : folder;
  return ::stat(oldest.c_str(), &facts) == 0 ? time_text(facts.st_mtime) : std::string();
}

double RunOverview::seconds() const {
  double sum = 0;
  for (const RunStart& start : record.starts) sum += start.seconds;
  return sum;
}

std::int64_t RunDetails::parameters() const {
  std::int64_t count = 0;
  if (plan)
    for (const PlanLayer& layer : plan->plan.layers) count += layer.parameters;
  return count;
}

bool is_run_folder(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) return false;
  return std::ranges::any_of(std::array{"run.json", "log.jsonl", "last.state", "last.safetensors", "plan.json"},
                             [&](const char* file) { return fs::exists(folder / file, ignored); });
}

RunOverview read_overview(const fs::path& folder) {
  RunOverview run;
  read_into(run, folder);
  return run;
}

RunDetails read_details(const fs::path& folder) {
  RunDetails run;
  read_into(run, folder);
  attempt(run, "config.toml", [&](const fs::path& path) { run.config_text = read_text(path); });
  attempt(run, "plan.json", [&](const fs::path& path) { run.plan = read_plan(read_text(path), path.string()); });
  attempt(run, "log.jsonl", [&](const fs::path& path) { read_log(run, path); });
  std::error_code ignored;
  if (fs::exists(folder / "evaluation.json", ignored))
    attempt(run, "evaluation.json",
            [&](const fs::path& path) { run.evaluation = read_run_evaluation(read_text(path), path.string()); });
  std::ranges::sort(run.problems);
  run.problems.erase(std::ranges::unique(run.problems).begin(), run.problems.end());
  return run;
}

std::vector<RunOverview> list_runs(const fs::path& folder) {
  std::vector<std::pair<std::string, RunOverview>> found;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    if (!is_run_folder(entry.path())) continue;
    RunOverview run = read_overview(entry.path());
    std::string started = run.started();
    found.emplace_back(std::move(started), std::move(run));
  }
  std::ranges::sort(found, [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second.folder > b.second.folder;
  });
  std::vector<RunOverview> runs;
  runs.reserve(found.size());
  for (auto& [started, run] : found) runs.push_back(std::move(run));
  return runs;
}

}  // namespace snug
