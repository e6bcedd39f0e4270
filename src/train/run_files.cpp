#include "train/run_files.h"

#include <exception>
#include <utility>

#include "planner/plan_steps.h"
#include "train/event_json.h"

namespace snug {

namespace {

constexpr const char* kLast = "last.safetensors";
constexpr const char* kBest = "best.safetensors";
constexpr const char* kRecord = "run.json";

/// Whether the checkpoint was written at `step`.
bool is_of_step(const std::filesystem::path& path, std::int64_t step) {
  try {
    return checkpoint_info(SafetensorsFile(path).metadata(), path.string()).step == step;
  } catch (const Error&) {
    return false;
  }
}

std::string plan_text(const Plan& plan) {
  const PlannedProgram* program = training_program(plan);
  const std::vector<PlacedBuffer> buffers = program == nullptr ? std::vector<PlacedBuffer>() : placed_buffers(*program);
  return plan_json(plan.report, 2, buffers) + "\n";
}

/// Of the starts before this one; what cannot be read is forgotten.
RunRecord record_of(const std::filesystem::path& path) {
  try {
    return read_run_record(read_text(path), path.string());
  } catch (const std::exception&) {
    return {};
  }
}

/// Removes what killed writes left: "last.state.tmp123".
void remove_temporaries(const std::filesystem::path& folder) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const std::string extension = entry.path().extension().string();
    if (extension.starts_with(".tmp") && extension.find_first_not_of("0123456789", 4) == std::string::npos)
      std::filesystem::remove(entry.path(), ignored);
  }
}

}  // namespace

RunFiles::RunFiles(const RunChoice& choice, const Config& config, const Plan& plan, const TrainState& state,
                   RunStart start)
    : folder_(make_run_folder(choice, config.name)),
      lock_(folder_),
      log_(folder_ / "log.jsonl"),
      metrics_(folder_ / "metrics.csv"),
      events_(folder_, state.events, state.step) {
  remove_temporaries(folder_);
  log_.cut(state.log_bytes);
  metrics_.cut(state.metrics_bytes);
  if (metrics_.size_bytes() == 0) metrics_.append(metrics_csv_header());
  guard_writing(folder_, [&] {
    write_text(folder_ / "config.toml", to_toml(config));
    write_text(folder_ / "plan.json", plan_text(plan));
  });
  record_ = record_of(folder_ / kRecord);
  record_.starts.push_back(std::move(start));
  guard_writing(folder_, [&] { write_text(folder_ / kRecord, run_record_json(record_)); });
}

void RunFiles::write_evaluation(const RunEvaluation& evaluation) const {
  guard_writing(folder_, [&] { write_text(folder_ / "evaluation.json", run_evaluation_json(evaluation) + "\n"); });
}

void RunFiles::end(std::string_view state, double seconds) {
  RunStart& start = record_.starts.back();
  start.state = state;
  start.ended = time_text();
  start.seconds = seconds;
  guard_writing(folder_, [&] { write_text(folder_ / kRecord, run_record_json(record_)); });
}

void RunFiles::log(const TrainEvent& event) {
  const std::string line = event_json(event);
  if (!line.empty()) log_.append(line + "\n");
  if (const auto* epoch = std::get_if<EpochEvent>(&event)) metrics_.append(metrics_csv_line(*epoch));
}

void RunFiles::save(TrainState& state, const Weights& weights, CheckpointInfo info) {
  log_.sync();
  metrics_.sync();
  events_.sync();
  state.log_bytes = log_.size_bytes();
  state.metrics_bytes = metrics_.size_bytes();
  state.events = events_.mark();
  write_state(folder_ / "last.state", weights.graph, weights.tensors, state);
  derive(state, weights, info, true, state.best_step == state.step);
}

void RunFiles::repair(const TrainState& state, const Weights& weights, CheckpointInfo info) const {
  const bool last = !is_of_step(folder_ / kLast, state.step);
  const bool best = state.best_step == state.step && !is_of_step(folder_ / kBest, state.step);
  derive(state, weights, info, last, best);
}

void RunFiles::derive(const TrainState& state, const Weights& weights, CheckpointInfo& info, bool last,
                      bool best) const {
  info.step = state.step;
  info.epoch = state.epoch;
  info.best = state.best;
  if (best) write_checkpoint(folder_ / kBest, weights.graph, weights.tensors, true, info, weights.buffer);
  if (last) write_checkpoint(folder_ / kLast, weights.graph, weights.tensors, false, info, weights.buffer);
}

std::filesystem::path RunFiles::checkpoint() const {
  std::error_code ignored;
  return folder_ / (std::filesystem::exists(folder_ / kBest, ignored) ? kBest : kLast);
}

}  // namespace snug
