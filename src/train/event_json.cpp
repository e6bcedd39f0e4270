#include "train/event_json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <type_traits>

namespace snug {

namespace {

using Json = nlohmann::ordered_json;

Json breakdown_object(const PlanBreakdown& parts) {
  return {{"driver", parts.driver},           {"library", parts.library},     {"weights", parts.weights},
          {"gradients", parts.gradients},     {"optimizer", parts.optimizer}, {"statistics", parts.statistics},
          {"activations", parts.activations}, {"workspace", parts.workspace}, {"input", parts.input},
          {"padding", parts.padding}};
}

Json peak_object(const PlanPeak& peak) {
  Json tensors = Json::array();
  for (const PlanTensor& tensor : peak.tensors)
    tensors.push_back({{"name", tensor.name}, {"layer", tensor.layer}, {"role", tensor.role}, {"bytes", tensor.bytes}});
  return {{"step", peak.step}, {"phase", peak.phase}, {"layer", peak.layer}, {"tensors", std::move(tensors)}};
}

Json layers_array(const std::vector<PlanLayer>& layers) {
  Json array = Json::array();
  for (const PlanLayer& layer : layers) {
    Json engines = Json::array();
    for (const PlanEngine& engine : layer.engines)
      engines.push_back(
          {{"step", engine.step}, {"engine", engine.engine}, {"workspace_bytes", engine.workspace_bytes}});
    array.push_back({{"name", layer.name},
                     {"output", layer.output},
                     {"parameters", layer.parameters},
                     {"flops", layer.flops},
                     {"saved_bytes", layer.saved_bytes},
                     {"workspace_bytes", layer.workspace_bytes},
                     {"engine", std::move(engines)}});
  }
  return array;
}

Json steps_array(const std::vector<PlanStep>& steps) {
  Json array = Json::array();
  for (const PlanStep& step : steps)
    array.push_back({{"step", step.step},
                     {"op", step.op},
                     {"phase", step.phase},
                     {"layer", step.layer},
                     {"flops", step.flops},
                     {"bytes", step.bytes},
                     {"seconds", step.seconds},
                     {"live_bytes", step.live_bytes},
                     {"workspace_bytes", step.workspace_bytes},
                     {"algorithm", step.algorithm},
                     {"queue", step.queue}});
  return array;
}

Json buffers_array(std::span<const PlacedBuffer> buffers) {
  Json array = Json::array();
  for (const PlacedBuffer& buffer : buffers)
    array.push_back({{"tensors", buffer.tensors},
                     {"layer", buffer.layer},
                     {"role", to_string(buffer.role)},
                     {"offset", buffer.offset},
                     {"bytes", buffer.size_bytes},
                     {"first", buffer.life.first},
                     {"last", buffer.life.last}});
  return array;
}

Json processes_array(const std::vector<PlanProcess>& processes) {
  Json array = Json::array();
  for (const PlanProcess& process : processes)
    array.push_back({{"pid", process.pid}, {"name", process.name}, {"bytes", process.bytes}});
  return array;
}

/// Appends the fields of `plan` to `object`.
void add_plan(Json& object, const PlanReport& plan) {
  object["device"] = plan.device;
  object["device_bytes"] = plan.device_bytes;
  object["budget_bytes"] = plan.budget_bytes;
  object["fits"] = plan.fits;
  object["batch"] = plan.batch;
  object["micro_batch"] = plan.micro_batch;
  object["accumulation"] = plan.accumulation;
  object["max_batch"] = plan.max_batch;
  object["total_bytes"] = plan.total_bytes;
  object["breakdown"] = breakdown_object(plan.breakdown);
  object["persistent_arena_bytes"] = plan.persistent_arena_bytes;
  object["transient_arena_bytes"] = plan.transient_arena_bytes;
  object["lower_bound_bytes"] = plan.lower_bound_bytes;
  object["allocated"] = {{"persistent", plan.allocated.persistent},
                         {"transient", plan.allocated.transient},
                         {"input", plan.allocated.input},
                         {"data", plan.allocated.data}};
  object["data_bytes"] = plan.data_bytes;  // of breakdown.input: images that stay on the device
  object["peak"] = peak_object(plan.peak);
  object["host_bytes"] = plan.host_bytes;
  object["host_breakdown"] = {{"data", plan.host_bytes - plan.offload_bytes}, {"offload", plan.offload_bytes}};
  object["checkpoint_bytes"] = plan.checkpoint_bytes;
  object["strategy"] = plan.strategy;
  object["estimated_images_per_second"] = plan.estimated_images_per_second;
  object["estimated_slowdown"] = plan.estimated_slowdown;
  object["seconds"] = plan.seconds;
  object["layers"] = layers_array(plan.layers);
  if (!plan.tuned.empty()) object["tuned"] = plan.tuned;
  if (!plan.engines.empty()) object["engines"] = plan.engines;
  if (!plan.engines.empty()) object["estimated"] = plan.estimated;
  if (plan.fits) return;
  object["short_by_bytes"] = plan.short_by_bytes;
  Json remedies = Json::array();
  for (const PlanRemedy& remedy : plan.remedies)
    remedies.push_back({{"change", remedy.change},
                        {"total_bytes", remedy.total_bytes},
                        {"estimated_slowdown", remedy.estimated_slowdown},
                        {"effect", remedy.effect}});
  object["remedies"] = std::move(remedies);
  object["fits_on"] = plan.fits_on;
  object["free_bytes"] = plan.free_bytes;  // here alone: it changes from one moment to the next
  object["processes"] = processes_array(plan.processes);
}

void add_fields(Json& object, const PlanEvent& event) {
  object["event"] = "plan";
  add_plan(object, event.plan);
}

void add_fields(Json& object, const StepEvent& event) {
  object = {{"event", "step"}, {"step", event.step}, {"loss", event.loss}, {"lr", event.lr}};
}

void add_fields(Json& object, const EpochEvent& event) {
  object = {{"event", "epoch"},
            {"epoch", event.epoch},
            {"train_loss", event.train_loss},
            {"train_accuracy", event.train_accuracy}};
  if (event.val_loss) object["val_loss"] = *event.val_loss;
  if (event.val_accuracy) object["val_accuracy"] = *event.val_accuracy;
  object["images_per_second"] = event.images_per_second;
  object["lr"] = event.lr;
  if (!event.loss_scale) return;
  object["loss_scale"] = *event.loss_scale;
  object["skipped_steps"] = event.skipped_steps;
}

void add_fields(Json& object, const FindingEvent& event) {
  const Diagnostic& finding = event.finding;
  object = {{"event", "finding"},     {"code", finding.code}, {"severity", to_string(finding.severity)},
            {"where", finding.where}, {"what", finding.what}, {"fix", finding.fix}};
}

void add_fields(Json& object, const DoneEvent& event) {
  object = {{"event", "done"},
            {"epochs", event.epochs},
            {"best_val_accuracy", event.best_val_accuracy},
            {"planned_peak_bytes", event.planned_peak_bytes},
            {"measured_peak_bytes", event.measured_peak_bytes},
            {"step_allocations", event.step_allocations},
            {"checkpoint", event.checkpoint},
            {"interrupted", event.interrupted},
            {"arena_bytes", event.arena_bytes}};
}

/// Paths and names may hold bytes that are not UTF-8; a log line must not fail for them.
std::string dump(const Json& object, int indent = -1) {
  return object.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string event_json(const TrainEvent& event) {
  return std::visit(
      [](const auto& fields) -> std::string {
        if constexpr (std::is_same_v<std::decay_t<decltype(fields)>, ProgressEvent>) {
          return {};
        } else {
          Json object;
          add_fields(object, fields);
          return dump(object);
        }
      },
      event);
}

std::string plan_json(const PlanReport& plan, int indent, std::span<const PlacedBuffer> buffers) {
  Json object;
  add_plan(object, plan);
  object["steps"] = steps_array(plan.steps);
  if (!buffers.empty()) object["buffers"] = buffers_array(buffers);
  return dump(object, indent);
}

std::string metrics_csv_header() {
  return "epoch,train_loss,train_accuracy,val_loss,val_accuracy,images_per_second,lr\n";
}

std::string metrics_csv_line(const EpochEvent& event) {
  const auto optional = [](const std::optional<double>& value) { return value ? fmt::format("{}", *value) : ""; };
  return fmt::format("{},{},{},{},{},{},{}\n", event.epoch, event.train_loss, event.train_accuracy,
                     optional(event.val_loss), optional(event.val_accuracy), event.images_per_second, event.lr);
}

}  // namespace snug
