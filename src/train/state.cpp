#include "train/state.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/ensure.h"
#include "lowering/lowering.h"
#include "train/safetensors_header.h"
#include "train/stored_json.h"

namespace snug {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kFormatKey = "snug.state_format";
constexpr std::string_view kStateKey = "snug.state";
constexpr std::string_view kChecksumKey = "snug.crc32";

struct KeptTensor {
  std::string name;
  std::int64_t elements = 0;
  Shape shape;
};

/// Every tensor that lives from step to step, by name (the order in the file).
std::vector<KeptTensor> kept_tensors(const Graph& graph, const TensorStore& tensors) {
  std::vector<KeptTensor> kept;
  for (const Parameter* parameter : all_parameters(graph))
    for (const std::string_view prefix : {std::string_view(), state_prefix::kMomentum, state_prefix::kFirstMoment,
                                          state_prefix::kSecondMoment, state_prefix::kAverage}) {
      std::string name = std::string(prefix) + parameter->name;
      const std::int64_t elements = tensors.elements(name);
      if (elements > 0) kept.push_back({std::move(name), elements, parameter->shape});
    }
  std::ranges::sort(kept, {}, &KeptTensor::name);
  return kept;
}

std::uint32_t add_crc(std::uint32_t crc, std::span<const std::byte> bytes) {
  return static_cast<std::uint32_t>(::crc32_z(crc, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
}

std::string to_json(const TrainState& s) {
  Json json{{"step", s.step},
            {"epoch", s.epoch},
            {"steps_per_epoch", s.steps_per_epoch},
            {"batch", s.batch},
            {"samples", s.samples},
            {"seed", s.seed},
            {"totals", s.totals},
            {"last_lr", s.last_lr},
            {"epoch_seconds", s.epoch_seconds},
            {"best_step", s.best_step},
            {"best_epoch", s.best_epoch},
            {"best_val_accuracy", s.best_val_accuracy},
            {"stale_epochs", s.stale_epochs},
            {"log_bytes", s.log_bytes},
            {"metrics_bytes", s.metrics_bytes},
            {"events_file", s.events.file},
            {"events_bytes", s.events.bytes},
            {"finished", s.finished},
            {"engines", s.engines}};
  if (s.scaling[LossScale::scale] > 0) {
    json["scaling"] = s.scaling;
    json["skipped_before"] = s.skipped_before;
  }
  if (s.best) json["best"] = *s.best;
  if (s.monitored) json["monitored"] = *s.monitored;
  return json.dump();
}

/// Whether a run can stand there.
bool is_sound(const TrainState& s) {
  const bool in_epoch =
      s.epoch <= s.step / s.steps_per_epoch && (s.step + s.steps_per_epoch - 1) / s.steps_per_epoch <= s.epoch + 1;
  return in_epoch && s.best_step <= s.step && s.best_epoch <= s.epoch && s.events.file.find('/') == std::string::npos;
}

/// Throws std::exception for what is missing, of another type, or no count where one belongs.
TrainState from_json(const std::string& text) {
  const Json json = Json::parse(text);
  TrainState s;
  s.step = whole_number(json.at("step"));
  s.epoch = whole_number(json.at("epoch"));
  s.steps_per_epoch = whole_number(json.at("steps_per_epoch"), 1);
  s.batch = whole_number(json.at("batch"), 1);
  s.samples = whole_number(json.at("samples"), 1);
  s.seed = json.at("seed").get_ref<const Json::number_unsigned_t&>();
  json.at("totals").get_to(s.totals);
  json.at("last_lr").get_to(s.last_lr);
  json.at("epoch_seconds").get_to(s.epoch_seconds);
  s.best_step = whole_number(json.at("best_step"), -1);
  s.best_epoch = whole_number(json.at("best_epoch"));
  json.at("best_val_accuracy").get_to(s.best_val_accuracy);
  s.stale_epochs = whole_number(json.at("stale_epochs"));
  s.log_bytes = whole_number(json.at("log_bytes"));
  s.metrics_bytes = whole_number(json.at("metrics_bytes"));
  json.at("finished").get_to(s.finished);
  if (json.contains("events_file")) {
    json.at("events_file").get_to(s.events.file);
    s.events.bytes = whole_number(json.at("events_bytes"));
  }
  if (json.contains("scaling")) {
    json.at("scaling").get_to(s.scaling);
    json.at("skipped_before").get_to(s.skipped_before);
  }
  if (json.contains("engines")) json.at("engines").get_to(s.engines);
  if (json.contains("best")) s.best = json.at("best").get<double>();
  if (json.contains("monitored")) s.monitored = json.at("monitored").get<double>();
  if (!is_sound(s)) throw std::out_of_range("no state");
  return s;
}

/// A state that cannot be read is lost; the weights beside it are not.
std::string begin_anew(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.parent_path();
  return fmt::format("snug train {} --out {}-again --init {}", (folder / "config.toml").string(), folder.string(),
                     (folder / "last.safetensors").string());
}

[[noreturn]] void reject(const std::filesystem::path& path, std::string what) {
  throw Error(Diagnostic{.code = "D604", .where = path.string(), .what = std::move(what), .fix = begin_anew(path)});
}

/// The file, or what stands against it in words of a run's state.
SafetensorsFile open_state(const std::filesystem::path& path) {
  try {
    return SafetensorsFile(path);
  } catch (const Error& error) {
    std::vector<Diagnostic> findings = error.findings();
    for (Diagnostic& finding : findings) finding.fix = begin_anew(path);
    throw Error(std::move(findings));
  }
}

}  // namespace

void write_state(const std::filesystem::path& path, const Graph& graph, TensorStore& tensors, const TrainState& state) {
  const std::string text = to_json(state);
  std::uint32_t crc = add_crc(0, std::as_bytes(std::span(text)));
  std::vector<TensorSource> sources;
  for (const KeptTensor& kept : kept_tensors(graph, tensors)) {
    crc = add_crc(crc, std::as_bytes(tensors.read(kept.name)));
    sources.push_back({.name = kept.name,
                       .shape = {kept.shape.extents().begin(), kept.shape.extents().end()},
                       .bytes = [&tensors, name = kept.name] { return std::as_bytes(tensors.read(name)); }});
  }
  Metadata metadata;
  metadata[std::string(kFormatKey)] = std::to_string(kStateFormat);
  metadata[std::string(kStateKey)] = text;
  metadata[std::string(kChecksumKey)] = fmt::format("{:08x}", crc);
  write_safetensors(path, std::move(sources), metadata);
}

TrainState read_state(const SafetensorsView& view, const std::filesystem::path& path) {
  const Metadata& metadata = view.metadata;
  const auto format = metadata.find(kFormatKey);
  const auto text = metadata.find(kStateKey);
  const auto checksum = metadata.find(kChecksumKey);
  if (format == metadata.end() || text == metadata.end() || checksum == metadata.end())
    reject(path, "the file is not the state of a run");
  if (format->second != std::to_string(kStateFormat))
    reject(path,
           fmt::format("the state has format {}, this version reads {}", short_name(format->second), kStateFormat));
  std::uint32_t crc = add_crc(0, std::as_bytes(std::span(text->second)));
  for (const SafeTensor& tensor : view.tensors) crc = add_crc(crc, tensor.bytes);
  if (checksum->second != fmt::format("{:08x}", crc))
    reject(path,
           fmt::format("the state is damaged: its checksum is {:08x}, it says {}", crc, short_name(checksum->second)));
  try {
    return from_json(text->second);
  } catch (const std::exception&) {
    reject(path, "the state's fields are not what this version writes");
  }
}

StateFile::StateFile(const std::filesystem::path& path)
    : path_(path), file_(open_state(path)), state_(read_state(file_.view(), path)) {}

void StateFile::restore(const Graph& graph, TensorStore& tensors) const {
  const std::vector<KeptTensor> kept = kept_tensors(graph, tensors);
  const auto differ = [&](std::string what) {
    throw Error(
        Diagnostic{.code = "T621",
                   .where = path_.string(),
                   .what = std::move(what),
                   .fix = fmt::format("snug train {} --out {} --resume", (path_.parent_path() / "config.toml").string(),
                                      path_.parent_path().string())});
  };
  std::vector<float> values;
  const auto largest = std::ranges::max_element(kept, {}, &KeptTensor::elements);
  if (largest != kept.end()) values.reserve(static_cast<std::size_t>(largest->elements));
  for (const KeptTensor& own : kept) {
    const SafeTensor* stored = file_.find(own.name);
    if (stored == nullptr) differ(fmt::format("the run needs {}, which the state does not hold", short_name(own.name)));
    if (!std::ranges::equal(stored->shape, own.shape.extents()) || stored->dtype != "F32")
      differ(fmt::format("{} has {} values in the state, {} in this run", short_name(own.name), stored->elements(),
                         own.elements));
    values.resize(static_cast<std::size_t>(own.elements));
    read_floats(*stored, values);
    tensors.write(own.name, values);
  }
  if (file_.view().tensors.size() != kept.size())
    differ(fmt::format("the state holds {} tensors, this run has {}", file_.view().tensors.size(), kept.size()));
}

bool is_finished_run(const std::filesystem::path& path) {
  try {
    return StateFile(path).state().finished;
  } catch (const Error&) {
    return false;
  }
}

std::map<std::string, std::string> engines_of(const PlanReport& plan) {
  std::map<std::string, std::string> engines;
  for (const PlanLayer& layer : plan.layers) {
    for (const PlanEngine& engine : layer.engines) {  // several where the batch is done in parts of two sizes
      std::string& names = engines[layer.name + " " + engine.step];
      names += (names.empty() ? "" : " + ") + engine.engine;
    }
  }
  return engines;
}

std::optional<Diagnostic> changed_engines(const std::map<std::string, std::string>& saved,
                                          const std::map<std::string, std::string>& now,
                                          const std::filesystem::path& path) {
  if (saved.empty()) return std::nullopt;
  std::size_t others = 0;
  const std::pair<const std::string, std::string>* first = nullptr;
  for (const auto& one : now) {
    const auto known = saved.find(one.first);
    if (known != saved.end() && known->second == one.second) continue;
    if (others++ == 0) first = &one;
  }
  if (others == 0) return std::nullopt;
  const auto known = saved.find(first->first);
  const auto cut = [](const std::string& name) { return name.substr(0, 26); };  // three of them in one line
  return Diagnostic{.code = "T623",
                    .severity = Severity::warning,
                    .where = path.string(),
                    .what = fmt::format("{} of {} products have other engines than before ({}: {}, was {}): other bits",
                                        others, now.size(), cut(first->first), cut(first->second),
                                        known == saved.end() ? "none" : cut(known->second)),
                    .fix = "snug version   # equal bits need the processor or GPU, threads and libraries of the start"};
}

}  // namespace snug
