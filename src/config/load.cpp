#include <algorithm>
#include <array>
#include <fstream>
#include <optional>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "config/overrides.h"
#include "config/search.h"
#include "config/sections.h"
#include "config/table_reader.h"
#include "config/toml.h"
#include "snug/config.h"

namespace snug::config {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMakeConfig = "snug data synth --out shapes   # writes data and shapes/config.toml";
constexpr std::string_view kSampleData = "[data]\ntrain = { synthetic = \"shapes\", count = 4000 }";
constexpr std::string_view kSampleModel =
    "[model]\ninput = [28, 28, 1]\nlayers = [ { flatten = true }, { dense = 10 } ]";

/// A config that exists, with a name like the one that is sought or the same elsewhere.
std::optional<std::string> existing_like(const fs::path& path) {
  if (const auto near = nearest_file(path, fs::path()); near && *near != path.string()) {
    if (const auto found = find_file(*near, fs::path())) return found->string();
  }
  if (const auto found = find_file(path.filename(), fs::path())) return found->string();
  return std::nullopt;
}

/// The one config of a folder, if there is just one.
std::optional<std::string> config_in(const fs::path& folder) {
  std::vector<std::string> configs;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->path().extension() == ".toml") configs.push_back(entry->path().string());
    if (configs.size() > 1) return std::nullopt;
  }
  return configs.empty() ? std::nullopt : std::optional(configs.front());
}

/// The whole file, or a finding. Reads pipes as well as files.
std::optional<std::string> read_file(const fs::path& path, Findings& findings) {
  const Position where{path.string(), 0, 0};
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) {
    const auto near = existing_like(path);
    findings.error("C001", where, fmt::format("there is no config {}", in_quotes(path.filename().string())),
                   near ? fmt::format("did you mean {}?", *near) : std::string(kMakeConfig));
    return std::nullopt;
  }
  if (fs::is_directory(status)) {
    const auto inside = config_in(path);
    findings.error("C001", where, fmt::format("{} is a folder, not a config", in_quotes(path.filename().string())),
                   inside
                       ? fmt::format("did you mean {}?", *inside)
                       : fmt::format("name a config; its data's folder is an option: --data-root {}", path.string()));
    return std::nullopt;
  }
  std::ifstream file(path, std::ios::binary);
  std::string text;
  char chunk[1 << 16];
  // One byte more than allowed is enough to see that a file is too large.
  while (file && text.size() <= kLargestFileBytes) {
    file.read(chunk, sizeof chunk);
    text.append(chunk, static_cast<std::size_t>(file.gcount()));
  }
  if (file.is_open() && !file.bad()) return text;
  findings.error("C001", where, "the config cannot be read", fmt::format("chmod u+r {}", path.string()));
  return std::nullopt;
}

/// The [model] table of a model file: the only thing that may stand in one.
std::optional<Value> read_model_file(const fs::path& path, Findings& findings) {
  const auto text = read_file(path, findings);
  if (!text) return std::nullopt;
  auto root = parse_toml(*text, path.string(), findings);
  if (!root) return std::nullopt;
  for (const Member& member : root->members) {
    if (member.key == "model") continue;
    findings.error("C015", member.where,
                   fmt::format("a model file holds [model] alone, and this one has {}", in_quotes(member.key)),
                   fmt::format("move {} into the config that uses the model", shortened(member.key, 60)));
  }
  Member* model = root->find("model");
  if (model == nullptr || model->value.kind != Value::Kind::table) {
    findings.error("C015", model == nullptr ? root->where : model->value.where, "the model file has no table [model]",
                   std::string(kSampleModel));
    return std::nullopt;
  }
  if (const Member* file = model->value.find("file")) {
    findings.error("C015", file->where, "a model file cannot name another model file", std::string(kSampleModel));
    return std::nullopt;
  }
  return std::move(model->value);
}

/// Puts the model file that [model] names in its place; what the config says besides wins.
void include_model_file(Value& root, const fs::path& folder, Findings& findings) {
  Member* model = root.find("model");
  if (model == nullptr || model->value.kind != Value::Kind::table) return;
  const Member* file = model->value.find("file");
  if (file == nullptr || file->value.kind != Value::Kind::text || file->value.text.empty()) return;
  if (const Member* layers = model->value.find("layers")) {
    findings.error("C011", layers->where,
                   fmt::format("model.layers and model.file = {} exclude each other", in_quotes(file->value.text)),
                   "leave out file, or layers");
    return;
  }
  const auto path = find_file(file->value.text, folder);
  if (!path) {
    const auto near = nearest_file(file->value.text, folder);
    findings.error(
        "C001", file->value.where,
        fmt::format("there is no model file {} beside the config or in {} folders of installed configs",
                    in_quotes(file->value.text), installed_folders().size()),
        line_for(file->value.where, "model.file", near ? string_text(*near) : std::string("\"models/resnet18.toml\"")));
    return;
  }
  auto included = read_model_file(*path, findings);
  if (!included) return;
  for (Member& member : model->value.members) {
    if (Member* own = included->find(member.key)) {
      *own = std::move(member);
    } else {
      included->members.push_back(std::move(member));
    }
  }
  model->value = std::move(*included);
}

void collect_positions(const Value& value, const std::string& path, std::map<std::string, Position, std::less<>>& out) {
  if (!path.empty()) out.emplace(path, value.where);
  if (path == "model.layers") return;  // layers know their places themselves
  const std::string prefix = path.empty() ? "" : path + ".";
  for (const Member& member : value.members) collect_positions(member.value, prefix + member.key, out);
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    collect_positions(value.items[i], prefix + std::to_string(i), out);
  }
}

/// The run's name is a folder's name too.
void check_name(const TableReader& reader, Config& out) {
  reader.read("name", out.name);
  const bool slash = out.name.find_first_of("/\\") != std::string::npos;
  const bool control = std::ranges::any_of(out.name, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  const bool is_long = out.name.size() > 100;  // file systems end at 255 bytes
  if (!slash && !control && !is_long && !out.name.starts_with('.')) return;
  reader.findings().error("C016", reader.has("name") ? reader.find("name")->where : reader.table().where,
                          fmt::format("name = {} ({} bytes) cannot be a folder's name: no '/', no '.' in front, "
                                      "at most 100 bytes",
                                      in_quotes(out.name), out.name.size()),
                          "name = \"mnist\"");
}

/// Whether the loss is the one that is meant: read as it is written, or left out.
bool is_loss_sound(const TableReader& root) {
  const Value* train = root.find("train");
  Findings told;
  return train != nullptr && !TableReader(*train, "train", "train", told).doubtful("loss");
}

/// Whether the data is what is meant: its only faults, `errors` of them, are keys that nobody knows, and none of these
/// was meant for one that says what is read.
bool is_data_sound(const Value& data, std::size_t errors) {
  constexpr std::array<std::string_view, 5> kOfTheRun{"shuffle", "drop_last", "workers", "cache", "balance"};
  Findings told;
  const std::vector<std::string> meant = TableReader(data, "data", "data", told).slips();
  return meant.size() == errors && std::ranges::all_of(meant, [&](const std::string& key) {
           return key.empty() || std::ranges::find(kOfTheRun, key) != kOfTheRun.end();
         });
}

void read_root(const Value& root, const DataFolders& data_folders, bool model_only, Config& out, Findings& findings) {
  std::size_t errors = findings.errors();
  const auto failed = [&] { return findings.errors() != std::exchange(errors, findings.errors()); };
  const TableReader reader(root, "top", "", findings);
  check_name(reader, out);
  out.faulty.other = failed();
  // A whole config may be given where a model is enough; then it is checked as a whole.
  const bool required = !model_only;
  if (const Value* data = reader.find("data")) {
    read_data(*data, data_folders, required, out.data, findings);
  } else if (required && !reader.has("data")) {
    findings.error("C008", root.where, "the config has no [data] with \"train\"", std::string(kSampleData));
  }
  const std::size_t before = errors;
  const Value* const data = reader.find("data");
  out.faulty.data = failed() && (data == nullptr || !is_data_sound(*data, errors - before));
  out.faulty.other |= errors > before;
  out.faulty.data |= required && data == nullptr;
  if (const Value* model = reader.find("model")) {
    read_model(*model, out.model, findings);
  } else if (!reader.has("model") && !reader.doubtful("model")) {
    findings.error("C008", root.where, "the config has no [model] with \"input\" and \"layers\"",
                   std::string(kSampleModel));
  }
  out.faulty.model = failed() || reader.find("model") == nullptr;
  if (const Value* train = reader.find("train")) read_train(*train, out.train, findings);
  out.faulty.train = failed() || reader.doubtful("train");
  out.faulty.loss = out.faulty.train && !is_loss_sound(reader);
  if (const Value* memory = reader.find("memory")) read_memory(*memory, out.memory, findings);
  out.faulty.other |= failed();
}

Config build(std::optional<Value> root, const fs::path& file, const ConfigOptions& options, Findings& findings) {
  Config out{.name = file.has_stem() ? file.stem().string() : "run", .file = file.string()};
  bool failed = true;
  if (root) {
    apply_overrides(options.set, *root, findings);
    failed = findings.has_errors();
    include_model_file(*root, file.parent_path(), findings);
    const bool no_model = findings.has_errors();
    read_root(*root, {file.parent_path(), options.data_root}, options.model_only, out, findings);
    out.faulty.model |= no_model;
    collect_positions(*root, "", out.positions);
    failed = failed || (findings.has_errors() && !options.keep_faulty);
  }
  std::vector<Diagnostic> all = findings.take();
  if (failed) throw Error(std::move(all));
  out.warnings = std::move(all);
  return out;
}

}  // namespace

}  // namespace snug::config

namespace snug {

Config load_config(const std::filesystem::path& path, const ConfigOptions& options) {
  config::Findings findings;
  findings.source(path.string());
  const auto text = config::read_file(path, findings);
  std::optional<config::Value> root;
  if (text) root = config::parse_toml(*text, path.string(), findings);
  return config::build(std::move(root), path, options, findings);
}

Config parse_config(std::string_view text, const std::filesystem::path& file, const ConfigOptions& options) {
  config::Findings findings;
  findings.source(file.string());
  return config::build(config::parse_toml(text, file.string(), findings), file, options, findings);
}

}  // namespace snug
