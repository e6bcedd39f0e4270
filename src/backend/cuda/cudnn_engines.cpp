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
  const Object* configuration = nullptr;
};

DataType data_type(DType dtype) {
  switch (dtype) {
    case DType::bf16: return DATA_BFLOAT16;
    case DType::f16: return DATA_HALF;
    default: ensure(dtype == DType::f32, "convolutions are in fp32, bf16 or fp16"); return DATA_FLOAT;
  }
}

/// n, h, w, c or k, h, w, c as cuDNN counts axes (n, c, h, w), with the strides that leave channels innermost.
Object tensor(const Library& library, const Convolution& c, const std::array<std::int64_t, 4>& extents,
              std::int64_t id) {
  const auto [n, h, w, channels] = extents;
  const std::array dimensions{n, channels, h, w};
  const std::array strides{h * w * channels, std::int64_t{1}, w * channels, channels};
  Object object(library, BACKEND_TENSOR);
  object.set_enum(ATTR_TENSOR_DATA_TYPE, TYPE_DATA_TYPE, data_type(c.dtype));
  object.set(ATTR_TENSOR_DIMENSIONS, dimensions);
  object.set(ATTR_TENSOR_STRIDES, strides);
  object.set(ATTR_TENSOR_UNIQUE_ID, id);
  object.set(ATTR_TENSOR_BYTE_ALIGNMENT, c.alignment);
  return object;
}

Object window(const Library& library, const Window& window) {
  Object object(library, BACKEND_CONVOLUTION);
  object.set_enum(ATTR_CONVOLUTION_COMP_TYPE, TYPE_DATA_TYPE, DATA_FLOAT);
  object.set_enum(ATTR_CONVOLUTION_CONV_MODE, TYPE_CONVOLUTION_MODE, CROSS_CORRELATION);
  object.set(ATTR_CONVOLUTION_SPATIAL_DIMS, std::int64_t{2});
  object.set(ATTR_CONVOLUTION_DILATIONS, window.dilation);
  object.set(ATTR_CONVOLUTION_FILTER_STRIDES, window.stride);
  object.set(ATTR_CONVOLUTION_PRE_PADDINGS, window.pad_begin);
  object.set(ATTR_CONVOLUTION_POST_PADDINGS, window.pad_end);
  return object;
}

/// The attributes of one kind of operation, in the order alpha, beta, window, x, w, y.
struct OperationNames {
  Descriptor type;
  std::array<Attribute, 6> attributes;
};

OperationNames names_of(ConvolutionKind kind) {
  switch (kind) {
    case ConvolutionKind::forward:
      return {BACKEND_OPERATION_CONVOLUTION_FORWARD,
              {ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
               ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, ATTR_OPERATION_CONVOLUTION_FORWARD_X,
               ATTR_OPERATION_CONVOLUTION_FORWARD_W, ATTR_OPERATION_CONVOLUTION_FORWARD_Y}};
    case ConvolutionKind::backward_data:
      return {BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA,
              {ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
               ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
               ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY}};
    case ConvolutionKind::backward_weights: break;
  }
  return {BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER,
          {ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
           ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
           ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY}};
}

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
                .compiled_at_run_time = holds(behaviour, BEHAVIOR_NOTE_RUNTIME_COMPILATION),
                .configuration = &configuration};
  if (has_clusters(sheet.capability) && listed.tensor_core && listed.index >= kFirstClusterEngine) {
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
  Object x = tensor(library_, c, c.x, 1);
  Object w = tensor(library_, c, c.w, 2);
  Object y = tensor(library_, c, c.y, 3);
  Object convolution = window(library_, c.window);
  if (!x.finalize() || !w.finalize() || !y.finalize() || !convolution.finalize()) return {};
  const OperationNames names = names_of(c.kind);
  Object operation(library_, names.type);
  operation.set(names.attributes[0], 1.0F);
  operation.set(names.attributes[1], 0.0F);
  const std::array<const Object*, 4> parts{&convolution, &x, &w, &y};
  for (std::size_t i = 0; i < parts.size(); ++i) operation.set(names.attributes[i + 2], *parts[i]);
  if (!operation.finalize()) return {};
  Object graph(library_, BACKEND_OPERATIONGRAPH);
  graph.set(ATTR_OPERATIONGRAPH_OPS, operation);
  if (!graph.finalize()) return {};

  // Where all that is ranked asks for much, the engines that always work are behind it, with little or none.
  std::vector<Engine> engines = ranked(c, graph, HEUR_MODE_A);
  if (!engines.empty() && engines.back().workspace_bytes <= kLittle) return engines;
  for (Engine& engine : ranked(c, graph, HEUR_MODE_FALLBACK)) {
    if (engines.empty() || engine.workspace_bytes < engines.back().workspace_bytes) {
      engines.push_back(std::move(engine));
    }
  }
  return engines;
}

std::vector<Engine> EngineQuery::ranked(const Convolution& c, const Object& graph, HeuristicMode mode) const {
  Object heuristic(library_, BACKEND_ENGINEHEUR);
  heuristic.set(ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
  heuristic.set_enum(ATTR_ENGINEHEUR_MODE, TYPE_HEUR_MODE, mode);
  heuristic.set(ATTR_ENGINEHEUR_DEVICEPROP, properties_);
  if (!heuristic.finalize()) return {};
  std::vector<Object> configurations;
  const std::size_t count = heuristic.count(ATTR_ENGINEHEUR_RESULTS);
  for (std::size_t i = 0; i < count; ++i) configurations.emplace_back(library_, BACKEND_ENGINECFG);
  const std::size_t got = heuristic.get(ATTR_ENGINEHEUR_RESULTS, configurations);

  std::vector<Listed> listed;
  for (std::size_t i = 0; i < got; ++i) {
    const std::optional<Listed> entry = look_at(library_, configurations[i], c, sheet_);
    if (entry.has_value()) listed.push_back(*entry);
  }
  // What is compiled already starts at once and takes no memory for its module. Convolutions in groups keep cuDNN's own
  // order: what it has ready for them treats every group as a convolution of its own, or pads it to a dense one.
  const bool in_groups = c.w[3] != c.x[3];
  if (!in_groups) {
    std::ranges::stable_sort(listed, {}, &Listed::compiled_at_run_time);
  }
  std::vector<Engine> engines;
  for (const Listed& entry : listed) {
    if (!engines.empty() && entry.workspace_bytes >= engines.back().workspace_bytes) continue;
    engines.push_back({name_of(library_, *entry.configuration, entry.index), entry.workspace_bytes});
  }
  return engines;
}

}  // namespace snug::cudnn
