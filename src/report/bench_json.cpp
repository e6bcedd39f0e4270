// JSON of `bench` and `tune`. Keys of the contract first, what is more after them.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "report/bench.h"
#include "report/findings.h"

namespace snug {

namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json& object) { return object.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json conditions_json(const Conditions& c) {
  Json libraries = Json::object();
  for (const LibraryVersion& library : c.libraries) libraries[library.name] = library.version;
  Json object{{"device", c.device},       {"processor", c.processor}, {"cores", c.cores},       {"threads", c.threads},
              {"clock_mhz", c.clock_mhz}, {"load", c.load},           {"system", c.system},     {"version", c.version},
              {"commit", c.commit},       {"compiler", c.compiler},   {"libraries", libraries}, {"date", c.date},
              {"command", c.command}};
  if (c.gpu_clock_mhz > 0) object["gpu_clock_mhz"] = c.gpu_clock_mhz;
  return object;
}

double share(double limit_ms, double ms) { return ms > 0 ? limit_ms / ms : 0; }

void add_cost(Json& object, const BenchCost& cost, double ms) {
  object["flops"] = cost.flops;
  object["bytes"] = cost.bytes;
  object["limit_ms"] = cost.limit_ms();
  object["limit_share"] = share(cost.limit_ms(), ms);
  object["bound"] = to_string(cost.bound());
}

Json layer_json(const BenchLayer& layer) {
  Json object{{"name", layer.name}, {"forward_ms", layer.forward_ms}, {"backward_ms", layer.backward_ms}};
  add_cost(object, layer.cost, layer.ms());
  object["ms"] = layer.ms();
  return object;
}

Json layers_json(const BenchReport& report) {
  Json layers = Json::array();
  for (const BenchLayer& layer : report.layers) layers.push_back(layer_json(layer));
  return layers;
}

Json kinds_json(const BenchReport& report) {
  Json kinds = Json::array();
  for (const BenchKind& kind : report.kinds) {
    kinds.push_back({{"kind", kind.name}, {"steps", kind.steps}, {"ms", kind.ms}});
    add_cost(kinds.back(), kind.cost, kind.ms);
  }
  return kinds;
}

Json limits_json(const BenchReport& report) {
  return {{"flops_per_second", report.limits.flops_per_second},
          {"memory_bytes_per_second", report.limits.memory_bytes_per_second},
          {"cache_bytes_per_second", report.limits.cache_bytes_per_second},
          {"cache_bytes", report.limits.cache_bytes},
          {"raised", report.raised}};
}

Json point_json(const TunedPoint& point) {
  return {{"batch", point.batch},
          {"micro_batch", point.micro_batch},
          {"images_per_second", point.images_per_second},
          {"precision", point.precision},
          {"low", point.low},
          {"high", point.high},
          {"samples", point.samples},
          {"planned_bytes", point.planned_bytes},
          {"measured_bytes", point.measured_bytes}};
}

Json largest_json(const LargestBatch& largest) {
  Json rate;  // null where it was not measured
  if (largest.images_per_second) rate = *largest.images_per_second;
  return {{"batch", largest.batch},
          {"micro_batch", largest.micro_batch},
          {"images_per_second", rate},
          {"precision", largest.precision},
          {"planned_bytes", largest.planned_bytes}};
}

}  // namespace

std::string to_json(const DeviceBench& bench) {
  Json copies = Json::array(), products = Json::array();
  for (const CopyFigure& copy : bench.copies)
    copies.push_back({{"what", copy.what},
                      {"bytes", copy.bytes},
                      {"bytes_per_second", copy.bytes_per_second},
                      {"median_bytes_per_second", copy.median_bytes_per_second}});
  for (const ProductFigure& product : bench.products)
    products.push_back({{"type", product.type},
                        {"shape", product.shape},
                        {"flops_per_second", product.flops_per_second},
                        {"median_flops_per_second", product.median_flops_per_second}});
  return dump({{"bench", "device"},
               {"device", bench.conditions.device},
               {"copies", std::move(copies)},
               {"products", std::move(products)},
               {"least_seconds", bench.least_seconds},
               {"interrupted", bench.interrupted},
               {"conditions", conditions_json(bench.conditions)}});
}

std::string to_json(const BenchReport& report) {
  Json object{{"device", report.device},
              {"model", report.model},
              {"batch", report.batch},
              {"precision", report.precision},
              {"images_per_second", report.images_per_second},
              {"ms_per_step", report.step.median},
              {"flops_per_second", report.flops_per_second},
              {"flops_share", report.flops_share},
              {"bytes_per_second", report.bytes_per_second},
              {"bytes_share", report.bytes_share},
              {"planned_bytes", report.planned_bytes},
              {"measured_bytes", report.measured_bytes},
              {"layers", layers_json(report)},
              {"kinds", kinds_json(report)},
              {"update", layer_json(report.update)},
              {"layers_ms", report.layers_ms},
              {"limits", limits_json(report)},
              {"images_per_second_p5", report.images_per_second_p5},
              {"images_per_second_p95", report.images_per_second_p95},
              {"ms_per_step_p5", report.step.p5},
              {"ms_per_step_p95", report.step.p95},
              {"steps", report.step.milliseconds.size()},
              {"interrupted", report.interrupted},
              {"threads", report.threads},
              {"bench", report.bench},
              {"start_up",
               {{"seconds", report.start.seconds},
                {"plan_seconds", report.start.plan_seconds},
                {"memory_seconds", report.start.memory_seconds},
                {"first_step_seconds", report.start.first_step_seconds}}},
              {"conditions", conditions_json(report.conditions)},
              {"times_ms", report.step.milliseconds}};
  object["limit_ms"] = report.cost.limit_ms();
  object["limit_share"] = share(report.cost.limit_ms(), report.step.median);
  if (report.joules_per_step) object["joules_per_step"] = *report.joules_per_step;
  return dump(object);
}

std::string to_json(const LoaderBench& bench) {
  return dump({{"bench", "loader"},
               {"device", bench.conditions.device},
               {"data", bench.data},
               {"batch", bench.batch},
               {"images_per_second", bench.images_per_second},
               {"bytes_per_second", bench.bytes_per_second},
               {"workers", bench.workers},
               {"samples", bench.samples},
               {"image_bytes", bench.image_bytes},
               {"batches", bench.batches},
               {"seconds", bench.seconds},
               {"first_batch_seconds", bench.first_batch_seconds},
               {"interrupted", bench.interrupted},
               {"ms_per_batch", bench.batch_time.median},
               {"ms_per_batch_p5", bench.batch_time.p5},
               {"ms_per_batch_p95", bench.batch_time.p95},
               {"conditions", conditions_json(bench.conditions)},
               {"times_ms", bench.batch_time.milliseconds}});
}

std::string to_json(const Comparison& c) {
  constexpr std::array<const char*, 3> kChanges{"none", "faster", "slower"};
  return dump({{"bench", c.bench},
               {"what", c.what},
               {"change", kChanges[static_cast<std::size_t>(c.change)]},
               {"ratio", c.ratio},
               {"low", c.low},
               {"high", c.high},
               {"interval", c.share},
               {"threshold", c.threshold},
               {"before_ms_per_image", c.before},
               {"after_ms_per_image", c.after},
               {"runs", {c.runs_before, c.runs_after}},
               {"times", {c.times_before, c.times_after}},
               {"planned_bytes", {c.bytes_before, c.bytes_after}},
               {"differences", c.differences}});
}

std::string to_json(const TuneReport& report) {
  Json curve = Json::array();
  for (const TunedPoint& point : report.curve) curve.push_back(point_json(point));
  const auto at = [&](std::size_t i) { return i < report.curve.size() ? point_json(report.curve[i]) : Json(nullptr); };
  Json object{{"device", report.device},
              {"best", at(report.best)},
              {"fastest", at(report.fastest)},
              {"largest", largest_json(report.largest)},
              {"curve", std::move(curve)},
              {"model", report.model},
              {"end", report.end},
              {"seconds", report.seconds},
              {"time_limit_seconds", report.time_limit_seconds},
              {"budget_bytes", report.budget_bytes},
              {"remarks", report.remarks},
              {"files", report.files},
              {"stored", report.stored},
              {"conditions", conditions_json(report.conditions)}};
  if (report.data)
    object["with_data"] = {
        {"alone_images_per_second", report.data->alone},   {"images_per_second", report.data->with_data},
        {"loader_images_per_second", report.data->loader}, {"workers", report.data->workers},
        {"input_bound", report.data->input_bound},         {"advice", report.data->advice}};
  if (!report.findings.empty()) object["findings"] = Json::parse(findings_json(report.findings))["findings"];
  return dump(object);
}

std::string ready_json(const BenchReport& report) {
  return dump({{"ready", true},
               {"device", report.device},
               {"model", report.model},
               {"batch", report.batch},
               {"precision", report.precision},
               {"threads", report.threads},
               {"planned_bytes", report.planned_bytes}});
}

std::string turn_json(const std::vector<double>& milliseconds) { return dump({{"ms", milliseconds}}); }

// ---- reading ----------------------------------------------------------------------------------------------------

namespace {

[[noreturn]] void throw_unread(const std::string& file, const std::string& why) {
  throw Error({.code = "C931",
               .where = file,
               .what = fmt::format("no result of `bench model`, `bench op` or `bench loader`: {}", why.substr(0, 80)),
               .fix = "snug bench model CONFIG --json > A.json"});
}

std::string text_of(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

/// What should be equal for two results to be comparable.
std::vector<std::pair<std::string, std::string>> conditions_of(const Json& run) {
  std::vector<std::pair<std::string, std::string>> list;
  for (const char* key : {"model", "data", "batch", "precision", "workers"})
    if (run.contains(key)) list.emplace_back(key, text_of(run[key]));
  const Json conditions = run.value("conditions", Json::object());
  for (const char* key : {"device", "processor", "cores", "threads", "system", "compiler"})
    if (conditions.contains(key)) list.emplace_back(key, text_of(conditions[key]));
  const Json libraries = conditions.value("libraries", Json::object());
  for (const auto& [name, version] : libraries.items()) list.emplace_back(name, text_of(version));
  return list;
}

void add_run(BenchRuns& runs, const Json& run, const std::string& file) {
  const auto batch = run.at("batch").get<std::int64_t>();
  std::vector<double> times = run.at("times_ms").get<std::vector<double>>();
  if (times.empty() || batch < 1) throw_unread(file, "it has no times");
  for (double& time : times) {
    if (!(time > 0)) throw_unread(file, "a time is not above 0");
    time /= static_cast<double>(batch);
  }
  const auto bench = run.at("bench").get<std::string>();
  std::string what = run.contains("model") ? run["model"].get<std::string>() : run.at("data").get<std::string>();
  if (!runs.milliseconds.empty() && (runs.bench != bench || runs.what != what || runs.batch != batch))
    throw_unread(file, fmt::format("its lines are of different things, {} and {}", runs.what, what));
  if (runs.milliseconds.empty()) {
    runs.bench = bench;
    runs.what = std::move(what);
    runs.batch = batch;
    runs.planned_bytes = run.value("planned_bytes", std::int64_t{0});
    runs.conditions = conditions_of(run);
  }
  runs.milliseconds.push_back(std::move(times));
}

}  // namespace

BenchRuns read_bench(std::string_view text, const std::string& file) {
  BenchRuns runs;
  try {
    if (Json::accept(text)) {  // one run, however it is laid out
      add_run(runs, Json::parse(text), file);
      text = {};
    }
    while (!text.empty()) {
      const std::string_view line = text.substr(0, text.find('\n'));
      text.remove_prefix(std::min(text.size(), line.size() + 1));
      if (line.find_first_not_of(" \t\r") != std::string_view::npos) add_run(runs, Json::parse(line), file);
    }
  } catch (const Json::exception& error) {
    throw_unread(file, error.what());
  }
  if (runs.milliseconds.empty()) throw_unread(file, "it is empty");
  return runs;
}

}  // namespace snug
