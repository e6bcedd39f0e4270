// Weights as users and other programs see them: safetensors with PyTorch's names and axis order, and what `eval` and
// `predict` need besides.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "train/parameters.h"
#include "train/safetensors.h"

namespace snug {

inline constexpr int kCheckpointFormat = 1;

/// What a checkpoint says about itself.
struct CheckpointInfo {
  std::string config;                ///< the resolved config, TOML
  std::vector<std::string> classes;  ///< names
  InputScaling scaling;
  double integer_max = 255;  ///< of the type of the training's pixels; 0: floats
  std::int64_t batch = 0;    ///< of the training
  std::int64_t epoch = 0, step = 0;
  std::string metric;          ///< what chose the best checkpoint: "val_accuracy"
  std::optional<double> best;  ///< its value there
};

[[nodiscard]] Metadata to_metadata(const CheckpointInfo& info);
/// Throws Error (D) when it is not the metadata of a checkpoint of ours, or of a newer format.
[[nodiscard]] CheckpointInfo checkpoint_info(const Metadata& metadata, const std::string& where);

/// Writes every parameter and running statistic; `averages`: the EMA in place of the weights, where there is one.
/// `buffer` holds the largest parameter.
void write_checkpoint(const std::filesystem::path& path, const Graph& graph, TensorStore& tensors, bool averages,
                      const CheckpointInfo& info, std::vector<float>& buffer);

/// One finding per tensor of `file` that is missing, extra or of another shape; errors, except in the last layer with
/// `spare_last_layer` (notes: the layer keeps its values).
[[nodiscard]] std::vector<Diagnostic> compare_weights(const SafetensorsFile& file, const std::filesystem::path& path,
                                                      const Graph& graph, bool spare_last_layer);
/// Copies the tensors that fit into the parameters. Returns what `compare_weights` does.
[[nodiscard]] std::vector<Diagnostic> load_weights(const SafetensorsFile& file, const std::filesystem::path& path,
                                                   const Graph& graph, TensorStore& tensors, bool spare_last_layer);

/// The file that CHECKPOINT names: itself, or of a run folder best.safetensors, else last.safetensors.
/// Throws Error (C) when there is none.
[[nodiscard]] std::filesystem::path find_checkpoint(const std::filesystem::path& path);

}  // namespace snug
