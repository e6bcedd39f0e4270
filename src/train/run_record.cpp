#include "train/run_record.h"

#include <fmt/format.h>
#include <array>
#include <nlohmann/json.hpp>

#include <unistd.h>

#include "snug/diagnostic.h"
#include "train/stored_json.h"

namespace snug {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;

Json start_object(const RunStart& start) {
  Json versions = Json::object();
  for (const auto& [name, version] : start.versions) versions[name] = version;
  return {{"started", start.started}, {"ended", start.ended},     {"state", start.state},
          {"seconds", start.seconds}, {"command", start.command}, {"folder", start.folder},
          {"machine", start.machine}, {"device", start.device},   {"model", start.model},
          {"threads", start.threads}, {"step", start.step},       {"versions", versions}};
}

/// Throws std::exception.
RunStart read_start(const Json& json) {
  RunStart start;
  json.at("started").get_to(start.started);
  json.at("ended").get_to(start.ended);
  json.at("state").get_to(start.state);
  json.at("seconds").get_to(start.seconds);
  json.at("command").get_to(start.command);
  json.at("folder").get_to(start.folder);
  json.at("machine").get_to(start.machine);
  json.at("device").get_to(start.device);
  json.at("model").get_to(start.model);
  start.threads = whole_number(json.at("threads"));
  start.step = whole_number(json.at("step"));
  for (const auto& [name, version] : json.at("versions").items())
    start.versions.emplace_back(name, version.get<std::string>());
  return start;
}

}  // namespace

std::string run_record_json(const RunRecord& record) {
  Json starts = Json::array();
  for (const RunStart& start : record.starts) starts.push_back(start_object(start));
  const Json object{{"format", kFormat}, {"starts", std::move(starts)}};
  return object.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

RunRecord read_run_record(std::string_view text, const std::string& where) {
  try {
    const Json json = Json::parse(text);
    RunRecord record;
    if (whole_number(json.at("format")) == kFormat) {
      for (const Json& start : json.at("starts")) record.starts.push_back(read_start(start));
      return record;
    }
  } catch (const std::exception&) {  // told below
  }
  throw Error(Diagnostic{.code = "D616",
                         .where = where,
                         .what = "the file does not say how a run was started, as this version writes it",
                         .fix = fmt::format("rm {}   # a run that goes on (--resume) writes a new one", where)});
}

std::string time_text(std::time_t time) {
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : std::string();
}

}  // namespace snug
