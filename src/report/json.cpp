// The contract's JSON objects. Keys stand in the contract's order; what this version adds comes after them.
#include <nlohmann/json.hpp>

#include "report/reports.h"

namespace snug {

namespace {

using Json = nlohmann::ordered_json;

/// File names may hold bytes that are not UTF-8; output must not fail for them.
std::string dump(const Json& object) { return object.dump(-1, ' ', false, Json::error_handler_t::replace); }

/// Whole numbers without ".0", as minima and maxima of integer data are.
Json number(double value) {
  const auto whole = static_cast<std::int64_t>(value);
  if (value > -9e15 && value < 9e15 && static_cast<double>(whole) == value) return whole;
  return value;
}

}  // namespace

std::string to_json(const SummaryReport& report) {
  Json layers = Json::array();
  for (const SummaryLayer& layer : report.layers) {
    layers.push_back({{"name", layer.name},
                      {"type", layer.type},
                      {"output", layer.output},
                      {"parameters", layer.parameters},
                      {"flops", layer.flops}});
  }
  return dump({{"name", report.name},
               {"input", report.input},
               {"parameters", report.parameters},
               {"flops_forward", report.flops_forward},
               {"layers", std::move(layers)}});
}

std::string to_json(const DevicesReport& report) {
  Json devices = Json::array();
  for (const DeviceEntry& device : report.devices) {
    Json processes = Json::array();
    for (const DeviceProcess& process : device.processes)
      processes.push_back({{"pid", process.pid}, {"name", process.name}, {"bytes", process.bytes}});
    devices.push_back({{"id", device.id},
                       {"name", device.name},
                       {"total_bytes", device.total_bytes},
                       {"free_bytes", device.free_bytes},
                       {"processes", std::move(processes)}});
  }
  Json profiles = Json::array();
  for (const ProfileEntry& profile : report.profiles) {
    profiles.push_back({{"name", profile.name},
                        {"device", profile.device},
                        {"total_bytes", profile.total_bytes},
                        {"compute_capability", profile.compute_capability}});
  }
  return dump({{"devices", std::move(devices)}, {"profiles", std::move(profiles)}});
}

std::string to_json(const DataSummary& data) {
  Json classes = Json::array();
  for (const LabelCount& entry : data.classes) classes.push_back({{"name", entry.name}, {"count", entry.count}});
  Json json{{"samples", data.samples},        {"shape", data.image.extents()},  {"dtype", data.dtype},
            {"min", number(data.pixels.min)}, {"max", number(data.pixels.max)}, {"mean", data.pixels.mean},
            {"std", data.pixels.std},         {"classes", std::move(classes)}};
  if (!data.histogram.empty()) json["histogram"] = data.histogram;
  if (data.smallest.height > 0) {
    json["smallest"] = {data.smallest.height, data.smallest.width};
    json["largest"] = {data.largest.height, data.largest.width};
  }
  return dump(json);
}

std::string to_json(const PackedData& packed) {
  Json splits = Json::array();
  for (const PackedSplit& split : packed.splits)
    splits.push_back({{"name", split.name},
                      {"kind", split.kind},
                      {"samples", split.samples},
                      {"shards", split.shards},
                      {"kept_shards", split.kept_shards},
                      {"bytes", split.bytes}});
  return dump({{"folder", packed.folder}, {"splits", std::move(splits)}});
}

std::string to_json(const ConvertedData& converted) {
  return dump({{"samples", converted.samples}, {"files", converted.files}});
}

std::string to_json(const WrittenData& written) {
  return dump({{"folder", written.folder},
               {"config", written.config},
               {"train", written.train},
               {"val", written.val},
               {"shape", written.shape}});
}

namespace {

double share(double limit_ms, double ms) { return ms > 0 ? limit_ms / ms : 0; }

Json layers_json(const BenchReport& report) {
  Json layers = Json::array();
  for (const BenchLayer& layer : report.layers) {
    layers.push_back({{"name", layer.name},
                      {"forward_ms", layer.forward_ms},
                      {"backward_ms", layer.backward_ms},
                      {"flops", layer.cost.flops},
                      {"bytes", layer.cost.bytes},
                      {"limit_ms", layer.cost.limit_ms},
                      {"limit_share", share(layer.cost.limit_ms, layer.forward_ms + layer.backward_ms)}});
  }
  return layers;
}

Json kinds_json(const BenchReport& report) {
  Json kinds = Json::array();
  for (const BenchKind& kind : report.kinds) {
    kinds.push_back({{"kind", kind.name},
                     {"steps", kind.steps},
                     {"ms", kind.ms},
                     {"flops", kind.cost.flops},
                     {"bytes", kind.cost.bytes},
                     {"limit_ms", kind.cost.limit_ms},
                     {"limit_share", share(kind.cost.limit_ms, kind.ms)}});
  }
  return kinds;
}

}  // namespace

std::string to_json(const BenchReport& report) {
  return dump({{"device", report.device},
               {"model", report.model},
               {"batch", report.batch},
               {"precision", report.precision},
               {"images_per_second", report.images_per_second},
               {"ms_per_step", report.ms_per_step},
               {"flops_per_second", report.flops_per_second},
               {"flops_share", report.flops_share},
               {"bytes_per_second", report.bytes_per_second},
               {"bytes_share", report.bytes_share},
               {"planned_bytes", report.planned_bytes},
               {"measured_bytes", report.measured_bytes},
               {"layers", layers_json(report)},
               {"kinds", kinds_json(report)},
               {"peak_flops_per_second", report.peak_flops_per_second},
               {"peak_bytes_per_second", report.peak_bytes_per_second},
               {"limit_ms", report.limit_ms},
               {"limit_share", share(report.limit_ms, report.ms_per_step)},
               {"images_per_second_p5", report.images_per_second_p5},
               {"images_per_second_p95", report.images_per_second_p95},
               {"ms_per_step_p5", report.ms_per_step_p5},
               {"ms_per_step_p95", report.ms_per_step_p95},
               {"update_ms", report.update_ms},
               {"steps", report.steps},
               {"threads", report.threads}});
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

std::string to_json(const VersionReport& report) {
  Json libraries = Json::object();
  for (const LibraryVersion& library : report.libraries) libraries[library.name] = library.version;
  return dump({{"version", report.version},
               {"compiler", report.compiler},
               {"libraries", std::move(libraries)},
               {"architectures", report.architectures}});
}

std::string to_json(const EvalResult& result) {
  Json classes = Json::array();
  for (const ClassMetrics& metrics : result.per_class) {
    classes.push_back({{"name", metrics.name},
                       {"precision", metrics.precision},
                       {"recall", metrics.recall},
                       {"f1", metrics.f1},
                       {"support", metrics.support}});
  }
  return dump({{"loss", result.loss},
               {"accuracy", result.accuracy},
               {"top5_accuracy", result.top5_accuracy},
               {"samples", result.samples},
               {"confusion", result.confusion},
               {"per_class", std::move(classes)}});
}

std::string to_json(const Prediction& prediction) {
  Json top = Json::array();
  for (const auto& [label, probability] : prediction.top) top.push_back(Json::array({label, probability}));
  return dump({{"file", prediction.file},
               {"class", prediction.label},
               {"probability", prediction.probability},
               {"top", std::move(top)}});
}

}  // namespace snug
