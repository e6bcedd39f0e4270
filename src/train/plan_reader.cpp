#include "train/plan_reader.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "snug/diagnostic.h"

namespace snug {

namespace {

using Json = nlohmann::json;

// `at` and `get_to` throw Json::exception for what is missing or of another type.

PlanBreakdown read_breakdown(const Json& json) {
  PlanBreakdown parts;
  json.at("driver").get_to(parts.driver);
  json.at("library").get_to(parts.library);
  json.at("weights").get_to(parts.weights);
  json.at("gradients").get_to(parts.gradients);
  json.at("optimizer").get_to(parts.optimizer);
  json.at("statistics").get_to(parts.statistics);
  json.at("activations").get_to(parts.activations);
  json.at("workspace").get_to(parts.workspace);
  json.at("input").get_to(parts.input);
  json.at("padding").get_to(parts.padding);
  return parts;
}

PlanPeak read_peak(const Json& json) {
  PlanPeak peak;
  json.at("step").get_to(peak.step);
  json.at("phase").get_to(peak.phase);
  json.at("layer").get_to(peak.layer);
  for (const Json& tensor : json.at("tensors"))
    peak.tensors.push_back({.name = tensor.at("name").get<std::string>(),
                            .layer = tensor.at("layer").get<std::string>(),
                            .role = tensor.at("role").get<std::string>(),
                            .bytes = tensor.at("bytes").get<std::int64_t>()});
  return peak;
}

PlanLayer read_layer(const Json& json) {
  PlanLayer layer;
  json.at("name").get_to(layer.name);
  json.at("output").get_to(layer.output);
  json.at("parameters").get_to(layer.parameters);
  json.at("flops").get_to(layer.flops);
  json.at("saved_bytes").get_to(layer.saved_bytes);
  json.at("workspace_bytes").get_to(layer.workspace_bytes);
  return layer;
}

PlanStep read_step(const Json& json) {
  PlanStep step;
  json.at("step").get_to(step.step);
  json.at("op").get_to(step.op);
  json.at("phase").get_to(step.phase);
  json.at("layer").get_to(step.layer);
  json.at("flops").get_to(step.flops);
  json.at("bytes").get_to(step.bytes);
  json.at("seconds").get_to(step.seconds);
  json.at("live_bytes").get_to(step.live_bytes);
  json.at("workspace_bytes").get_to(step.workspace_bytes);
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
  json.at("offset").get_to(buffer.offset);
  json.at("bytes").get_to(buffer.size_bytes);
  json.at("first").get_to(buffer.life.first);
  json.at("last").get_to(buffer.life.last);
  return buffer;
}

PlanReport read_report(const Json& json) {
  PlanReport plan;
  json.at("device").get_to(plan.device);
  json.at("device_bytes").get_to(plan.device_bytes);
  json.at("budget_bytes").get_to(plan.budget_bytes);
  json.at("fits").get_to(plan.fits);
  json.at("batch").get_to(plan.batch);
  json.at("micro_batch").get_to(plan.micro_batch);
  json.at("accumulation").get_to(plan.accumulation);
  json.at("max_batch").get_to(plan.max_batch);
  json.at("total_bytes").get_to(plan.total_bytes);
  plan.breakdown = read_breakdown(json.at("breakdown"));
  json.at("persistent_arena_bytes").get_to(plan.persistent_arena_bytes);
  json.at("transient_arena_bytes").get_to(plan.transient_arena_bytes);
  json.at("lower_bound_bytes").get_to(plan.lower_bound_bytes);
  json.at("allocated").at("persistent").get_to(plan.allocated.persistent);
  json.at("allocated").at("transient").get_to(plan.allocated.transient);
  json.at("allocated").at("input").get_to(plan.allocated.input);
  plan.peak = read_peak(json.at("peak"));
  json.at("host_bytes").get_to(plan.host_bytes);
  json.at("checkpoint_bytes").get_to(plan.checkpoint_bytes);
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
    return 0 <= buffer.life.first && buffer.life.first < buffer.life.last && buffer.life.last <= steps &&
           buffer.offset >= 0 && buffer.size_bytes >= 0;
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
  } catch (const Json::exception&) {  // told below
  }
  throw Error(Diagnostic{.code = "D617",
                         .where = where,
                         .what = "the file is not a plan as a run writes it",
                         .fix = "delete it: a run that goes on (--resume) writes a new one"});
}

}  // namespace snug
