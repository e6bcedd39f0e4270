// A checkpoint made ready to run: what `evaluate` and `predict` share.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "snug/trainer.h"
#include "train/checkpoint.h"
#include "train/network.h"
#include "train/setup.h"

namespace snug {

/// A checkpoint's file, its metadata and its config.
struct Checkpoint {
  std::filesystem::path path;
  SafetensorsFile file;
  CheckpointInfo info;
};
/// `path`: a file or a run folder. Throws Error.
[[nodiscard]] Checkpoint open_checkpoint(const std::filesystem::path& path);

/// The graph of a config. Throws Error with its findings.
[[nodiscard]] Graph checked_graph(const Config& config);
/// Throws Error unless the checkpoint has every tensor of its own model, in shape, and no other.
void require_whole(const Checkpoint& checkpoint, const Graph& graph);
[[nodiscard]] std::int64_t output_count(const Graph& graph, Loss loss);
/// Names of `count` classes: those known, or numbers where another number of them is known.
[[nodiscard]] std::vector<std::string> class_names(const std::vector<std::string>& known, std::int64_t count);
[[nodiscard]] inline std::vector<std::string> class_names(const CheckpointInfo& info, std::int64_t count) {
  return class_names(info.classes, count);
}
/// Throws Error (D) unless the images have the scale of those that the network was trained on.
void check_scale(const CheckpointInfo& info, const DatasetInfo& images, const std::string& where);

/// A network that evaluates, with the checkpoint's weights and input scaling.
class Inference {
 public:
  /// Programs for each of `batches` (the whole one first). `with_loss`: labels go in, statistics come out.
  Inference(const Checkpoint& checkpoint, const Config& config, const Graph& graph,
            const std::vector<std::int64_t>& batches, bool with_loss, const Computer& computer);
  [[nodiscard]] Network& network() { return *network_; }

 private:
  std::unique_ptr<Backend> backend_;
  Plan plan_;
  std::unique_ptr<Network> network_;
};

}  // namespace snug
