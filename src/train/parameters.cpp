#include "train/parameters.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/ensure.h"
#include "base/rng.h"
#include "lowering/lowering.h"

namespace snug {

namespace {

/// Columns [begin, begin + channels · spatial) of every row: [spatial][channels] in the program, [channels][spatial] in
/// the checkpoint.
struct Piece {
  std::int64_t begin = 0, channels = 1, spatial = 1;
};

struct Permutation {
  std::int64_t rows = 1, columns = 1;
  std::vector<Piece> pieces;
};

Permutation permutation(const Parameter& parameter) {
  const Shape& shape = parameter.shape;
  const std::int64_t elements = shape.elements();
  if (parameter.kind == ParameterKind::conv_weight)
    return {.rows = shape[0], .columns = elements / shape[0], .pieces = {{0, shape[3], shape[1] * shape[2]}}};
  if (parameter.flattened_from.empty()) return {.rows = 1, .columns = elements, .pieces = {{0, 1, elements}}};
  Permutation result{.rows = elements / shape.back(), .columns = shape.back(), .pieces = {}};
  std::int64_t begin = 0;
  for (const Shape& from : parameter.flattened_from) {
    const std::int64_t channels = from.rank() == 3 ? from[2] : 1;
    result.pieces.push_back({begin, channels, from.elements() / channels});
    begin += from.elements();
  }
  ensure(begin == result.columns, "the pieces are all of the columns");
  return result;
}

/// Calls visit(place in the program, place in the checkpoint) for every element.
template <class Visit>
void visit_elements(const Permutation& p, Visit visit) {
  for (std::int64_t row = 0; row < p.rows; ++row)
    for (const Piece& piece : p.pieces)
      for (std::int64_t c = 0; c < piece.channels; ++c)
        for (std::int64_t s = 0; s < piece.spatial; ++s) {
          const std::int64_t begin = row * p.columns + piece.begin;
          visit(static_cast<std::size_t>(begin + s * piece.channels + c),
                static_cast<std::size_t>(begin + c * piece.spatial + s));
        }
}

void check_sizes(const Parameter& parameter, std::size_t a, std::size_t b) {
  const auto elements = static_cast<std::size_t>(parameter.shape.elements());
  ensure(a == elements && b == elements, "both orders hold the whole parameter");
}

/// A weight's distribution: normal with `scale` as its deviation, or uniform in ±scale.
struct Distribution {
  bool uniform = false;
  double scale = 0;
};

Distribution distribution(const Initializer& initializer, const Parameter& parameter) {
  const auto in = static_cast<double>(parameter.fan_in);
  const auto both = static_cast<double>(parameter.fan_in + parameter.fan_out);
  switch (initializer.kind) {
    case InitializerKind::he_normal: return {.uniform = false, .scale = std::sqrt(2.0 / in)};
    case InitializerKind::he_uniform: return {.uniform = true, .scale = std::sqrt(6.0 / in)};
    case InitializerKind::glorot_uniform: return {.uniform = true, .scale = std::sqrt(6.0 / both)};
    case InitializerKind::glorot_normal: return {.uniform = false, .scale = std::sqrt(2.0 / both)};
    case InitializerKind::normal: return {.uniform = false, .scale = initializer.std};
  }
  return {};
}

void draw_weight(const Distribution& d, std::uint64_t key, std::span<float> values) {
  Random random(key);
  for (float& value : values)
    value =
        static_cast<float>(d.scale * (d.uniform ? 2.0 * static_cast<double>(random.uniform()) - 1.0 : random.normal()));
}

}  // namespace

std::vector<const Parameter*> all_parameters(const Graph& graph) {
  std::vector<const Parameter*> parameters;
  for (const Node& node : graph.nodes)
    for (const Parameter& parameter : node.parameters) parameters.push_back(&parameter);
  return parameters;
}

std::vector<std::string> last_layer_parameters(const Graph& graph) {
  std::vector<std::string> names;
  const auto last =
      std::find_if(graph.nodes.rbegin(), graph.nodes.rend(), [](const Node& node) { return !node.parameters.empty(); });
  if (last == graph.nodes.rend()) return names;
  for (const Node& node : graph.nodes)
    if (node.layer == last->layer)
      for (const Parameter& parameter : node.parameters) names.push_back(parameter.name);
  return names;
}

std::vector<std::int64_t> checkpoint_shape(const Parameter& parameter) {
  const Shape& s = parameter.shape;
  if (parameter.kind == ParameterKind::conv_weight) return {s[0], s[3], s[1], s[2]};
  return {s.extents().begin(), s.extents().end()};
}

void to_checkpoint_order(const Parameter& parameter, std::span<const float> values, std::span<float> stored) {
  check_sizes(parameter, values.size(), stored.size());
  visit_elements(permutation(parameter),
                 [&](std::size_t inside, std::size_t outside) { stored[outside] = values[inside]; });
}

void from_checkpoint_order(const Parameter& parameter, std::span<const float> stored, std::span<float> values) {
  check_sizes(parameter, values.size(), stored.size());
  visit_elements(permutation(parameter),
                 [&](std::size_t inside, std::size_t outside) { values[inside] = stored[outside]; });
}

namespace {

/// Room for any parameter, taken once: plans count one such buffer at a time.
std::vector<float> room_for_any(const Graph& graph) {
  std::int64_t largest = 0;
  for (const Parameter* parameter : all_parameters(graph)) largest = std::max(largest, parameter->shape.elements());
  std::vector<float> values;
  values.reserve(static_cast<std::size_t>(largest));
  return values;
}

void draw_parameters(const Graph& graph, const TrainConfig& train, TensorStore& tensors) {
  std::uint64_t index = 0;
  std::vector<float> values = room_for_any(graph);
  for (const Parameter* parameter : all_parameters(graph)) {
    const std::uint64_t key = random_key(train.seed, RandomStream::initialization, index++);
    values.resize(static_cast<std::size_t>(parameter->shape.elements()));
    ensure(tensors.elements(parameter->name) == std::ssize(values), "every parameter has its memory");
    switch (parameter->kind) {
      case ParameterKind::conv_weight:
      case ParameterKind::dense_weight: draw_weight(distribution(train.initializer, *parameter), key, values); break;
      case ParameterKind::norm_weight:
      case ParameterKind::running_var: std::ranges::fill(values, 1.0F); break;
      case ParameterKind::bias:
      case ParameterKind::norm_bias:
      case ParameterKind::running_mean: std::ranges::fill(values, 0.0F); break;
    }
    tensors.write(parameter->name, values);
  }
}

}  // namespace

void initialize_parameters(const Graph& graph, const TrainConfig& train, TensorStore& tensors) {
  draw_parameters(graph, train, tensors);
  reset_averages(graph, tensors);
}

void reset_averages(const Graph& graph, TensorStore& tensors) {
  std::vector<float> values = room_for_any(graph);
  for (const Parameter* parameter : all_parameters(graph)) {
    const std::string average = std::string(state_prefix::kAverage) + parameter->name;
    if (tensors.elements(average) == 0) continue;
    const std::span<const float> now = tensors.read(parameter->name);
    values.assign(now.begin(), now.end());
    tensors.write(average, values);
  }
}

}  // namespace snug
