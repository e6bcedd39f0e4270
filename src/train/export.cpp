#include "train/export.h"

#include <span>
#include <utility>
#include <vector>

#include "train/inference.h"
#include "train/setup.h"

namespace snug {

ExportResult export_safetensors(const std::filesystem::path& path, const std::filesystem::path& out) {
  const Checkpoint checkpoint = open_checkpoint(path);
  const Graph graph = checked_graph(checkpoint_config(checkpoint.info, checkpoint.path));
  require_whole(checkpoint, graph);
  ExportResult result;
  std::vector<TensorSource> tensors;
  std::vector<float> buffer(static_cast<std::size_t>(largest_parameter(graph)));
  for (const Parameter* parameter : all_parameters(graph)) {
    const SafeTensor& stored = *checkpoint.file.find(parameter->name);
    const auto bytes = [&stored, &buffer] {
      const std::span<float> values = std::span(buffer).first(static_cast<std::size_t>(stored.elements()));
      read_floats(stored, values);
      return std::as_bytes(values);
    };
    tensors.push_back({.name = stored.name, .shape = stored.shape, .bytes = bytes});
    ++result.tensors;
    result.bytes += stored.elements() * size_bytes(DType::f32);
  }
  write_safetensors(out, std::move(tensors), {{"format", "pt"}});
  return result;
}

}  // namespace snug
