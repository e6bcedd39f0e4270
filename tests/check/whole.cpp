#include "check/whole.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <system_error>

#include "base/rng.h"

namespace snug::test {

DataFolder::DataFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "snug-check-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category(), name);
  path_ = name;
}

DataFolder::~DataFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void DataFolder::text(const std::string& name, const std::string& content) const {
  const std::filesystem::path path = path_ / name;
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

int pixel_of(std::int64_t element, std::int64_t first_sample) {
  const std::int64_t sample = first_sample + element / kImage;
  const std::int64_t channel = element % 3;
  const std::int64_t number = sample % kClasses;
  const bool bright = number == 3 ? channel != 1 : channel == number;
  const auto noise =
      static_cast<int>(philox(7, static_cast<std::uint64_t>(first_sample * kImage + element), 0)[0] % 80);
  return (bright ? 150 : 20) + noise;
}

void write_split(const DataFolder& folder, const std::string& name, std::int64_t samples, std::int64_t first) {
  write_array<std::uint8_t>(folder / (name + "-x.npy"), "|u1", {samples, kSide, kSide, 3},
                            [&](std::int64_t i) { return static_cast<std::uint8_t>(pixel_of(i, first)); });
  write_array<std::int64_t>(folder / (name + "-y.npy"), "<i8", {samples},
                            [&](std::int64_t i) { return (first + i) % kClasses; });
}

std::vector<Diagnostic> Outcome::faults() const {
  std::vector<Diagnostic> list;
  std::ranges::copy_if(findings, std::back_inserter(list),
                       [](const Diagnostic& finding) { return finding.severity != Severity::note; });
  return list;
}

const Diagnostic* Outcome::find(std::string_view code) const {
  const auto found = std::ranges::find(findings, code, &Diagnostic::code);
  return found == findings.end() ? nullptr : &*found;
}

Outcome check_file(const std::string& path, const CheckDepth& depth) {
  Outcome outcome;
  std::vector<Diagnostic>& findings = outcome.findings;
  const auto append = [&](const std::vector<Diagnostic>& more) {
    findings.insert(findings.end(), more.begin(), more.end());
  };
  try {
    const Config config = load_config(path);
    append(config.warnings);
    const Graph graph = build_graph(config.model, findings);
    append(check_config(config, graph));
    std::optional<Splits> splits;
    try {
      splits = open_data(config.data, config.model.input, config.train.seed);
    } catch (const Error& error) {
      append(error.findings());
    }
    if (splits && splits->train) name_classes(findings, *splits->train);
    if (splits) append(check_data(config, *splits, graph, {.full = depth.full}));
    if (splits && depth.measured && !has_errors(findings)) {
      append(measure(config, make_setup(config, graph, *splits), {.deep = depth.deep, .threads = 1}));
    }
  } catch (const Error& error) {
    append(error.findings());
  }
  order_by_place(findings);
  outcome.exit_code = exit_code(findings);
  return outcome;
}

namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// The end of a value that begins at `at`: a comma or brace outside of brackets and quotes, or the line's end.
std::size_t end_of_value(const std::string& line, std::size_t at) {
  int depth = 0;
  bool quoted = false;
  for (; at < line.size(); ++at) {
    const char c = line[at];
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    if ((c == ',' || c == '}' || c == ']' || c == '#') && depth == 0) break;
    if (c == '[' || c == '{') ++depth;
    if (c == ']' || c == '}') --depth;
  }
  while (at > 0 && line[at - 1] == ' ') --at;
  return at;
}

/// Replaces "key = …" in a line; true when it is there.
bool replace_value(std::string& line, const std::string& key, const std::string& assignment) {
  for (std::size_t at = line.find(key + " ="); at != std::string::npos; at = line.find(key + " =", at + 1)) {
    const bool whole = at == 0 || line[at - 1] == ' ' || line[at - 1] == '{';
    if (!whole) continue;
    const std::size_t end = end_of_value(line, at + key.size() + 2);
    line.replace(at, end - at, assignment);
    return true;
  }
  return false;
}

}  // namespace

std::string pasted(const std::string& text, const Diagnostic& finding) {
  const std::size_t comment = std::min(finding.fix.find("   #"), finding.fix.size());
  std::string assignment = finding.fix.substr(0, comment);
  if (const std::size_t other = assignment.find(", or "); other != std::string::npos) assignment.resize(other);
  const std::string note = finding.fix.substr(comment);
  std::vector<std::string> lines = lines_of(text);
  // file:line:column of the config, or a place in the data.
  std::size_t line = 0;
  const std::size_t toml = finding.where.find(".toml:");
  if (toml != std::string::npos) line = static_cast<std::size_t>(std::atoi(finding.where.c_str() + toml + 6));
  const bool in_config = line >= 1 && line <= lines.size();
  std::string table = "data";
  for (std::size_t i = 0; in_config && i < line; ++i) {
    if (lines[i].starts_with('[') && lines[i].ends_with(']') && lines[i].size() > 2) {
      table = lines[i].substr(1, lines[i].size() - 2);
    }
  }
  if (const std::size_t named = note.find("in ["); named != std::string::npos) {
    table = note.substr(named + 4, note.find(']', named) - named - 4);
  }
  if (assignment.starts_with('{')) {  // a layer
    if (in_config) {
      const std::size_t begin = lines[line - 1].find('{');
      lines[line - 1] = lines[line - 1].substr(0, begin) + assignment + ",";
    }
  } else {
    const std::string key = assignment.substr(0, assignment.find(" ="));
    bool done = in_config && replace_value(lines[line - 1], key, assignment);
    for (std::string& other : lines)
      done = done || (other.starts_with(key + " =") && replace_value(other, key, assignment));
    if (!done && in_config && table == "model" && lines[line - 1].find('{') != std::string::npos) {
      std::string& layer = lines[line - 1];
      layer = layer.substr(0, layer.rfind('}')) + ", " + assignment + " }" + (layer.ends_with(',') ? "," : "");
      done = true;
    }
    const auto header = std::ranges::find(lines, "[" + table + "]");
    if (!done && header != lines.end()) lines.insert(header + 1, assignment);
  }
  std::string out;
  for (const std::string& each : lines) out += each + "\n";
  return out;
}

}  // namespace snug::test
