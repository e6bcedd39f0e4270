// A checkpoint's network as an ONNX model.
#pragma once

#include <filesystem>

#include "train/export.h"

namespace snug {

struct OnnxOptions {
  bool fold_norms = false;  ///< norms behind a convolution or dense layer become part of it
  bool raw_input = false;   ///< the input is pixels as they were stored; the model normalises them
};

/// Writes the network with the weights that `evaluate` would use: opset 13, fp32, input N×C×H×W, N free. The output is
/// what the last layer gives: logits, unless that is a softmax or sigmoid. Class names stand in the model's metadata as
/// a JSON array, "class_names". Throws Error as `export_safetensors` does, and (C) for a model beyond the 2 GiB that
/// the format allows.
ExportResult export_onnx(const std::filesystem::path& checkpoint, const std::filesystem::path& out,
                         const OnnxOptions& options);

}  // namespace snug
