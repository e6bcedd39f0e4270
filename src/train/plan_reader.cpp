#include "train/plan_reader.h"

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "snug/diagnostic.h"
#include "train/stored_json.h"

namespace snug {

namespace {

using Json = nlohmann::json;

// `at`, `get_to` and `whole_number` throw std::exception for what is missing or of another type.

PlanBreakdown read_breakdown(const Json& json) {
  PlanBreakdown parts;
  parts.driver = whole_number(json.at("driver"));
  parts.library = whole_number(json.at("library"));
  parts.weights = whole_number(json.at("weights"));
  parts.gradients = whole_number(json.at("gradients"));
  parts.optimizer = whole_number(json.at("optimizer"));
  parts.statistics = whole_number(json.at("statistics"));
  parts.activations = whole_number(json.at("activations"));
  parts.workspace = whole_number(json.at("workspace"));
  parts.input = whole_number(json.at("input"));
  parts.padding = whole_number(json.at("padding"));
  return parts;
}

PlanPeak read_peak(const Json& json) {
  PlanPeak peak;
  peak.step = whole_number(json.at("step"));
  json.at("phase").get_to(peak.phase);
  json.at("layer").get_to(peak.layer);
  for (const Json& tensor : json.at("tensors"))
    peak.tensors.push_back({.name = tensor.at("name").get<std::string>(),
                            .layer = tensor.at("layer").get<std::string>(),
                            .role = tensor.at("role").get<std::string>(),
                            .bytes = whole_number(tensor.at("bytes"))});
  return peak;
}

PlanLayer read_layer(const Json& json) {
  PlanLayer layer;
  json.at("name").get_to(layer.name);
  for (const Json& extent : json.at("output")) layer.output.push_back(whole_number(extent));
  layer.parameters = whole_number(json.at("parameters"));
  layer.flops = whole_number(json.at("flops"));
  layer.saved_bytes = whole_number(json.at("saved_bytes"));
  layer.workspace_bytes = whole_number(json.at("workspace_bytes"));
  return layer;
}

PlanStep read_step(const Json& json) {
  PlanStep step;
  step.step = whole_number(json.at("step"));
  json.at("op").get_to(step.op);
  json.at("phase").get_to(step.phase);
  json.at("layer").get_to(step.layer);
  step.flops = whole_number(json.at("flops"));
  step.bytes = whole_number(json.at("bytes"));
  json.at("seconds").get_to(step.seconds);
  step.live_bytes = whole_number(json.at("live_bytes"));
  step.workspace_bytes = whole_number(json.at("workspace_bytes"));
  return step;
}

Role role_of(std::string_view name) {
  for (const Role role :
       {Role::weight, Role::master, Role::optimizer, Role::statistic, Role::gradient, Role::workspace, Role::input}) {
    if (to_string(role) == name) return role;
  }
  return Role::activation;
}

PlacedBuffer read_buffer(const Json& json) {
  PlacedBuffer buffer;
  json.at("tensors").get_to(buffer.tensors);
  json.at("layer").get_to(buffer.layer);
  buffer.role = role_of(json.at("role").get<std::string>());
  buffer.offset = whole_number(json.at("offset"));
  buffer.size_bytes = whole_number(json.at("bytes"));
  buffer.life.first = whole_number(json.at("first"));
  buffer.life.last = whole_number(json.at("last"));
  return buffer;
}

PlanReport read_report(const Json& json) {
  PlanReport plan;
  json.at("device").get_to(plan.device);
  plan.device_bytes = whole_number(json.at("device_bytes"));
  plan.budget_bytes = whole_number(json.at("budget_bytes"));
  json.at("fits").get_to(plan.fits);
  plan.batch = whole_number(json.at("batch"));
  plan.micro_batch = whole_number(json.at("micro_batch"));
  plan.accumulation = whole_number(json.at("accumulation"));
  plan.max_batch = whole_number(json.at("max_batch"));
  plan.total_bytes = whole_number(json.at("total_bytes"));
  plan.breakdown = read_breakdown(json.at("breakdown"));
  plan.persistent_arena_bytes = whole_number(json.at("persistent_arena_bytes"));
  plan.transient_arena_bytes = whole_number(json.at("transient_arena_bytes"));
  plan.lower_bound_bytes = whole_number(json.at("lower_bound_bytes"));
  plan.allocated.persistent = whole_number(json.at("allocated").at("persistent"));
  plan.allocated.transient = whole_number(json.at("allocated").at("transient"));
  plan.allocated.input = whole_number(json.at("allocated").at("input"));
  if (json.contains("data_bytes")) {  // runs before images could stay on the device have none
    plan.allocated.data = whole_number(json.at("allocated").at("data"));
    plan.data_bytes = whole_number(json.at("data_bytes"));
  }
  plan.peak = read_peak(json.at("peak"));
  plan.host_bytes = whole_number(json.at("host_bytes"));
  plan.checkpoint_bytes = whole_number(json.at("checkpoint_bytes"));
  json.at("strategy").get_to(plan.strategy);
  json.at("estimated_images_per_second").get_to(plan.estimated_images_per_second);
  json.at("estimated_slowdown").get_to(plan.estimated_slowdown);
  for (const Json& layer : json.at("layers")) plan.layers.push_back(read_layer(layer));
  for (const Json& step : json.at("steps")) plan.steps.push_back(read_step(step));
  return plan;
}

/// Whether every buffer lives in steps that are there.
bool agree(const StoredPlan& stored) {
  const std::int64_t steps = std::ssize(stored.plan.steps);
  return std::ranges::all_of(stored.buffers, [&](const PlacedBuffer& buffer) {
    return buffer.life.first < buffer.life.last && buffer.life.last <= steps;
  });
}

}  // namespace

StoredPlan read_plan(std::string_view text, const std::string& where) {
  try {
    const Json json = Json::parse(text);
    StoredPlan stored{.plan = read_report(json), .buffers = {}};
    if (json.contains("buffers"))
      for (const Json& buffer : json.at("buffers")) stored.buffers.push_back(read_buffer(buffer));
    if (agree(stored)) return stored;
  } catch (const std::exception&) {  // told below
  }
  throw Error(Diagnostic{.code = "D617",
                         .where = where,
                         .what = "the file is not a plan as a run writes it",
                         .fix = fmt::format("rm {}   # a run that goes on (--resume) writes a new one", where)});
}

}  // namespace snug
