// A checkpoint's weights as a file for other programs.
#pragma once

#include <cstdint>
#include <filesystem>

namespace snug {

struct ExportResult {
  std::int64_t tensors = 0, bytes = 0;  ///< bytes: of the tensors
};

/// Writes the tensors that `evaluate` would use (of a run folder its best checkpoint; where training averaged weights,
/// best.safetensors holds the averages) as PyTorch's state dict: names, axis order, fp32, metadata {"format": "pt"}.
/// Throws Error when the checkpoint is not whole or does not fit its own model, and when `out` cannot be written; a
/// file at `out` is then as it was.
ExportResult export_safetensors(const std::filesystem::path& checkpoint, const std::filesystem::path& out);

}  // namespace snug
