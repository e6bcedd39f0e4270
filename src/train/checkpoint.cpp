#include "train/checkpoint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/ensure.h"
#include "lowering/lowering.h"
#include "train/safetensors_header.h"
#include "train/stored_json.h"

namespace snug {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kFormatKey = "snug.format";
constexpr std::string_view kConfigKey = "snug.config";
constexpr std::string_view kInfoKey = "snug.info";

[[noreturn]] void reject(const std::string& where, std::string what, std::string fix) {
  throw Error(Diagnostic{.code = "D603", .where = where, .what = std::move(what), .fix = std::move(fix)});
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  return fmt::format("({})", fmt::join(std::span(shape).first(std::min<std::size_t>(shape.size(), 5)), ", "));
}

Diagnostic mismatch(const std::filesystem::path& path, bool spared, std::string what) {
  if (spared)
    return {.code = "T612",
            .severity = Severity::note,
            .where = path.string(),
            .what = std::move(what),
            .fix = "nothing to do: the last layer keeps its own initial values"};
  return {.code = "T611",
          .where = path.string(),
          .what = std::move(what),
          .fix = "use weights of this very model, or give its layers the file's names with name = \"…\""};
}

/// "layer1.0" of "layer1.0.weight".
std::string_view path_of(std::string_view name) { return name.substr(0, std::min(name.rfind('.'), name.size())); }

/// Why the file does not have this parameter as the model needs it, or nothing.
std::optional<std::string> misfit(const SafetensorsFile& file, const Parameter& parameter) {
  const std::vector<std::int64_t> shape = checkpoint_shape(parameter);
  const SafeTensor* stored = file.find(parameter.name);
  const std::string name = short_name(parameter.name);
  if (stored == nullptr) return fmt::format("the file has no tensor {} {}", name, shape_text(shape));
  if (stored->shape != shape)
    return fmt::format("tensor {} is {} in the file, {} in the model", name, shape_text(stored->shape),
                       shape_text(shape));
  if (!is_floating(*stored))
    return fmt::format("tensor {} holds {}, the model needs floating numbers", name, short_name(stored->dtype));
  return std::nullopt;
}

/// Throws std::exception for what is missing or cannot be meant.
CheckpointInfo read_info(const std::string& text) {
  constexpr double kLargestInteger = 18446744073709551615.0;  // of any type that pixels can have
  const Json json = Json::parse(text);
  CheckpointInfo info;
  info.classes = json.at("classes").get<std::vector<std::string>>();
  info.scaling = {.divisor = json.at("divisor").get<double>(),
                  .mean = json.at("mean").get<std::vector<double>>(),
                  .inverse_std = json.at("inverse_std").get<std::vector<double>>()};
  info.integer_max = json.at("integer_max").get<double>();
  info.batch = whole_number(json.at("batch"), 1);
  info.epoch = whole_number(json.at("epoch"));
  info.step = whole_number(json.at("step"));
  info.metric = json.at("metric").get<std::string>();
  if (json.contains("best")) info.best = json.at("best").get<double>();
  const bool sound = info.scaling.divisor > 0 && info.scaling.mean.size() == info.scaling.inverse_std.size() &&
                     info.integer_max >= 0 && info.integer_max <= kLargestInteger;
  if (!sound) throw std::out_of_range("no scaling");
  return info;
}

}  // namespace

Metadata to_metadata(const CheckpointInfo& info) {
  Json json{{"classes", info.classes},
            {"divisor", info.scaling.divisor},
            {"mean", info.scaling.mean},
            {"inverse_std", info.scaling.inverse_std},
            {"integer_max", info.integer_max},
            {"batch", info.batch},
            {"epoch", info.epoch},
            {"step", info.step},
            {"metric", info.metric}};
  if (info.best) json["best"] = *info.best;
  Metadata metadata;
  metadata["format"] = "pt";  // of the tensors' order, for other programs
  metadata[std::string(kFormatKey)] = std::to_string(kCheckpointFormat);
  metadata[std::string(kConfigKey)] = info.config;
  metadata[std::string(kInfoKey)] = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  return metadata;
}

CheckpointInfo checkpoint_info(const Metadata& metadata, const std::string& where) {
  const auto format = metadata.find(kFormatKey);
  const auto config = metadata.find(kConfigKey);
  const auto text = metadata.find(kInfoKey);
  if (format == metadata.end() || config == metadata.end() || text == metadata.end())
    reject(where, "the file holds weights alone: no config, classes or scaling are in its metadata",
           "name best.safetensors or last.safetensors of a run; such weights are for train --init");
  if (format->second != std::to_string(kCheckpointFormat))
    reject(where,
           fmt::format("the checkpoint has format {}, this version reads {}", short_name(format->second),
                       kCheckpointFormat),
           "use the version of the program that wrote it");
  try {
    CheckpointInfo info = read_info(text->second);
    info.config = config->second;
    return info;
  } catch (const std::exception&) {
    reject(where, fmt::format("{} in the metadata is not what this version writes", kInfoKey),
           "take another checkpoint of the run: this one was changed");
  }
}

void write_checkpoint(const std::filesystem::path& path, const Graph& graph, TensorStore& tensors, bool averages,
                      const CheckpointInfo& info, std::vector<float>& buffer) {
  std::vector<TensorSource> sources;
  for (const Parameter* parameter : all_parameters(graph)) {
    const auto bytes = [parameter, averages, &tensors, &buffer] {
      std::span<const float> values;
      if (averages) values = tensors.read(std::string(state_prefix::kAverage) + parameter->name);
      if (values.empty()) values = tensors.read(parameter->name);
      ensure(values.size() <= buffer.size(), "the buffer holds the largest parameter");
      const std::span<float> stored = std::span(buffer).first(values.size());
      to_checkpoint_order(*parameter, values, stored);
      return std::as_bytes(stored);
    };
    sources.push_back({.name = parameter->name, .shape = checkpoint_shape(*parameter), .bytes = bytes});
  }
  write_safetensors(path, std::move(sources), to_metadata(info));
}

std::vector<Diagnostic> compare_weights(const SafetensorsFile& file, const std::filesystem::path& path,
                                        const Graph& graph, bool spare_last_layer) {
  std::vector<Diagnostic> findings;
  std::vector<std::string> names;
  const std::vector<std::string> last = last_layer_parameters(graph);
  const auto spared = [&](const std::string& name) {
    return spare_last_layer && std::ranges::find(last, name) != last.end();
  };
  for (const Parameter* parameter : all_parameters(graph)) {
    names.push_back(parameter->name);
    if (auto problem = misfit(file, *parameter))
      findings.push_back(mismatch(path, spared(parameter->name), std::move(*problem)));
  }
  std::ranges::sort(names);
  for (const SafeTensor& stored : file.view().tensors) {
    if (std::ranges::binary_search(names, stored.name) || stored.name.ends_with("num_batches_tracked")) continue;
    // What the file's last layer has besides (a bias) goes with that layer.
    const bool of_last = spare_last_layer && std::ranges::any_of(last, [&](const std::string& name) {
                           return path_of(name) == path_of(stored.name);
                         });
    findings.push_back(mismatch(path, of_last,
                                fmt::format("the file's tensor {} {} has no place in the model",
                                            short_name(stored.name), shape_text(stored.shape))));
  }
  return findings;
}

std::vector<Diagnostic> load_weights(const SafetensorsFile& file, const std::filesystem::path& path, const Graph& graph,
                                     TensorStore& tensors, bool spare_last_layer) {
  std::vector<float> stored, values;
  for (const Parameter* parameter : all_parameters(graph)) {
    if (misfit(file, *parameter)) continue;
    const SafeTensor& tensor = *file.find(parameter->name);
    stored.resize(static_cast<std::size_t>(tensor.elements()));
    values.resize(stored.size());
    read_floats(tensor, stored);
    from_checkpoint_order(*parameter, stored, values);
    tensors.write(parameter->name, values);
  }
  return compare_weights(file, path, graph, spare_last_layer);
}

std::filesystem::path find_checkpoint(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored)) return path;
  for (const char* name : {"best.safetensors", "last.safetensors"})
    if (std::filesystem::exists(path / name, ignored)) return path / name;
  throw Error(Diagnostic{.code = "C603",
                         .where = path.string(),
                         .what = "the folder holds neither best.safetensors nor last.safetensors",
                         .fix = "name a run folder that saved a checkpoint, or a .safetensors file"});
}

}  // namespace snug
