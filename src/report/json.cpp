// The contract's JSON objects. Keys stand in the contract's order; what this version adds comes after them.
#include <nlohmann/json.hpp>

#include "report/reports.h"
#include "train/evaluation.h"

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
  Json object{{"devices", std::move(devices)}, {"profiles", std::move(profiles)}};
  if (!report.remark.empty()) object["remark"] = report.remark;
  return dump(object);
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

std::string to_json(const VersionReport& report) {
  Json libraries = Json::object();
  for (const LibraryVersion& library : report.libraries) libraries[library.name] = library.version;
  return dump({{"version", report.version},
               {"compiler", report.compiler},
               {"libraries", std::move(libraries)},
               {"architectures", report.architectures}});
}

std::string to_json(const EvalResult& result) { return eval_json(result); }

std::string to_json(const Prediction& prediction) {
  Json top = Json::array();
  for (const auto& [label, probability] : prediction.top) top.push_back(Json::array({label, probability}));
  Json object{{"file", prediction.file},
              {"class", prediction.label},
              {"probability", prediction.probability},
              {"top", std::move(top)}};
  if (prediction.top.empty()) object["outputs"] = prediction.logits;  // mse: numbers and no class
  return dump(object);
}

}  // namespace snug
