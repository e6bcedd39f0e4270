// Parameters between the program (convolutions OHWI, flattened maps channels last) and checkpoints (PyTorch's axis
// order), and their initial values.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"
#include "snug/config.h"

namespace snug {

/// The fp32 tensors that live from step to step, by name, wherever their memory is.
class TensorStore {
 public:
  virtual ~TensorStore() = default;
  /// 0: there is none of this name.
  [[nodiscard]] virtual std::int64_t elements(std::string_view name) const = 0;
  /// All values, until the next call of the store: the memory itself, or a copy of it. Empty when there is none.
  [[nodiscard]] virtual std::span<const float> read(std::string_view name) = 0;
  /// As many values as the tensor has.
  virtual void write(std::string_view name, std::span<const float> values) = 0;
};

/// Every parameter in graph order.
[[nodiscard]] std::vector<const Parameter*> all_parameters(const Graph& graph);
/// The names of the last layer's parameters (a convolution and its norm are one layer).
[[nodiscard]] std::vector<std::string> last_layer_parameters(const Graph& graph);

/// Shape in checkpoints: convolutions (out, in ÷ groups, height, width), everything else as it is.
[[nodiscard]] std::vector<std::int64_t> checkpoint_shape(const Parameter& parameter);
/// Both spans hold the whole parameter and do not overlap.
void to_checkpoint_order(const Parameter& parameter, std::span<const float> values, std::span<float> stored);
void from_checkpoint_order(const Parameter& parameter, std::span<const float> stored, std::span<float> values);

/// Draws weights from (seed, index of the parameter in graph order); biases 0, norms 1 and 0, running statistics 0 and
/// 1. Averages (EMA) begin as the weights.
void initialize_parameters(const Graph& graph, const TrainConfig& train, TensorStore& tensors);
/// Copies every weight into its average, where there is one.
void reset_averages(const Graph& graph, TensorStore& tensors);

}  // namespace snug
