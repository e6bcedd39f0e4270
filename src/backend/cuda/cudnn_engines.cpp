#include "backend/cuda/cudnn_engines.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/ensure.h"
#include "snug/diagnostic.h"

namespace snug::cudnn {

namespace {

/// What is known of an engine with its settings, as the heuristics list it.
struct Listed {
  std::int64_t index = 0, workspace_bytes = 0;
  bool tensor_core = false, compiled_at_run_time = false;
  std::size_t place = 0;  ///< in the heuristics' list
};

/// "62{2=9,24=6}": the engine's number and the settings that differ from nothing.
std::string name_of(const Library& library, const Object& configuration, std::int64_t index) {
  constexpr std::size_t kMostKnobs = 24;  // more than any engine has; the library does not say how many there are
  std::vector<Object> choices;
  for (std::size_t i = 0; i < kMostKnobs; ++i) choices.emplace_back(library, BACKEND_KNOB_CHOICE);
  const std::size_t got = configuration.get(ATTR_ENGINECFG_KNOB_CHOICES, choices);
  std::string settings;
  for (std::size_t i = 0; i < got; ++i) {
    const auto knob = choices[i].enums(ATTR_KNOB_CHOICE_KNOB_TYPE, TYPE_KNOB_TYPE, 1);
    const auto value = choices[i].integer(ATTR_KNOB_CHOICE_KNOB_VALUE);
    if (knob.size() != 1 || !value) continue;
    settings += fmt::format("{}{}={}", settings.empty() ? "" : ",", knob[0], *value);
  }
  return settings.empty() ? std::to_string(index) : fmt::format("{}{{{}}}", index, settings);
}

bool holds(const std::vector<int>& notes, int note) { return std::ranges::find(notes, note) != notes.end(); }

/// What an engine with these numerical notes computes is what was asked for.
bool may_compute(const Convolution& c, const std::vector<int>& notes) {
  if (holds(notes, NUMERICAL_NOTE_NONDETERMINISTIC)) return false;             // equal runs have equal bits
  if (holds(notes, NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION)) return false;  // sums are in fp32
  if (c.dtype != DType::f32 || c.tf32) return true;
  return !holds(notes, NUMERICAL_NOTE_TENSOR_CORE) && !holds(notes, NUMERICAL_NOTE_DOWN_CONVERT_INPUTS) &&
         !holds(notes, NUMERICAL_NOTE_WINOGRAD) && !holds(notes, NUMERICAL_NOTE_FFT);
}

/// Scratch that every plan can spare.
constexpr std::int64_t kLittle = 1 << 20;

/// The number from which on engines may use clusters: those of sm_90 and later stand behind the older ones. Seen to: 62
/// (forward), 65 (weights), 67 (data) in 16 bits; their kin in tf32 are 67, 68, 71 and 76.
constexpr std::int64_t kFirstClusterEngine = 62;
/// Convolutions with a bias have numbers of their own, in the same order: 41 is what 62 is without, 51 (tf32) 67.
constexpr std::int64_t kFirstClusterEngineWithBias = 41;

std::optional<Listed> look_at(const Library& library, const Object& configuration, const Convolution& c,
                              const DeviceSheet& sheet) {
  constexpr std::int64_t kMostNotes = 16;  // more than there are kinds of them
  std::vector<Object> engine;
  engine.emplace_back(library, BACKEND_ENGINE);
  if (configuration.get(ATTR_ENGINECFG_ENGINE, engine) != 1) return std::nullopt;
  const auto index = engine[0].integer(ATTR_ENGINE_GLOBAL_INDEX);
  const auto workspace = configuration.integer(ATTR_ENGINECFG_WORKSPACE_SIZE);
  const std::vector<int> notes = engine[0].enums(ATTR_ENGINE_NUMERICAL_NOTE, TYPE_NUMERICAL_NOTE, kMostNotes);
  if (!index || !workspace || *workspace < 0 || !may_compute(c, notes)) return std::nullopt;
  const std::vector<int> behaviour = engine[0].enums(ATTR_ENGINE_BEHAVIOR_NOTE, TYPE_BEHAVIOR_NOTE, kMostNotes);
  Listed listed{.index = *index,
                .workspace_bytes = *workspace,
                .tensor_core = holds(notes, NUMERICAL_NOTE_TENSOR_CORE),
                .compiled_at_run_time = holds(behaviour, BEHAVIOR_NOTE_RUNTIME_COMPILATION)};
  const std::int64_t first_cluster = c.bias ? kFirstClusterEngineWithBias : kFirstClusterEngine;
  if (has_clusters(sheet.capability) && listed.tensor_core && listed.index >= first_cluster) {
    listed.workspace_bytes = std::max(listed.workspace_bytes, cluster_workspace_bytes(sheet));
  }
  return listed;
}

}  // namespace

std::int64_t cluster_workspace_bytes(const DeviceSheet& sheet) {
  constexpr std::int64_t kTileBytes = 128 << 10;   // 128 × 256 sums in fp32
  constexpr std::int64_t kCounterBytes = 4 << 10;  // of what is done; the largest seen was smaller
  return sheet.multiprocessors * kTileBytes + kCounterBytes;
}

EngineQuery::EngineQuery(const Library& library, const DeviceSheet& sheet)
    : library_(library), sheet_(sheet), properties_(library, BACKEND_DEVICEPROP) {
  const std::string json = sheet_json(sheet);
  properties_.set(ATTR_DEVICEPROP_JSON_REPRESENTATION, TYPE_CHAR, static_cast<std::int64_t>(json.size()), json.data());
  if (properties_.finalize()) return;
  throw Error({.code = "G910",
               .where = library.path().string(),
               .what = fmt::format("cuDNN {} cannot plan for {}: {}", library.version(), sheet.name,
                                   library.last_error().substr(0, 80)),
               .fix = "SNUG_CUDNN=none   # plans with bounds instead of cuDNN's answers"});
}

std::vector<Engine> EngineQuery::engines(const Convolution& c) const {
  const Problem problem(library_, c, {.properties = &properties_});
  if (!problem.sound()) return {};
  // Where all that is ranked asks for much, the engines that always work are behind it, with little or none.
  std::vector<Engine> engines;
  for (const HeuristicMode mode : {HEUR_MODE_A, HEUR_MODE_FALLBACK}) {
    // An engine for everything is slower than a good one with a sweep for the bias behind it.
    if (mode == HEUR_MODE_FALLBACK && (c.bias || c.relu)) break;
    for (const RankedEngine& ranked : rank_engines(problem, sheet_, mode)) {
      if (engines.empty() || ranked.engine.workspace_bytes < engines.back().workspace_bytes)
        engines.push_back(ranked.engine);
    }
    if (!engines.empty() && engines.back().workspace_bytes <= kLittle) break;
  }
  return engines;
}

std::vector<RankedEngine> rank_engines(const Problem& problem, const DeviceSheet& sheet, HeuristicMode mode) {
  const Library& library = problem.library();
  std::vector<Object> configurations = problem.configurations(mode);
  std::vector<Listed> listed;
  for (std::size_t i = 0; i < configurations.size(); ++i) {
    const Convolution& c = problem.convolution();
    const std::optional<Listed> entry = look_at(library, configurations[i], c, sheet);
    if (!entry.has_value()) continue;
    if (entry->compiled_at_run_time && (c.bias || c.relu)) continue;  // those of the bias alone are ready made
    listed.push_back(*entry);
    listed.back().place = i;
  }
  // What is compiled already starts at once and takes no memory for its module. Convolutions in groups keep cuDNN's own
  // order: what it has ready for them treats every group as a convolution of its own, or pads it to a dense one.
  const bool in_groups = problem.convolution().w[3] != problem.convolution().x[3];
  if (!in_groups) {
    std::ranges::stable_sort(listed, {}, &Listed::compiled_at_run_time);
  }
  std::vector<RankedEngine> engines;
  for (const Listed& entry : listed) {
    Object& configuration = configurations[entry.place];
    Engine engine{name_of(library, configuration, entry.index), entry.workspace_bytes};
    engines.push_back({std::move(engine), std::move(configuration)});
  }
  return engines;
}

}  // namespace snug::cudnn
