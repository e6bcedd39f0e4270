#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <vector>

#include "base/text.h"
#include "cli/command.h"
#include "cli/common.h"
#include "cli/target.h"
#include "report/terminal.h"
#include "train/export.h"
#include "train/onnx.h"

namespace snug {

namespace {

enum class Format { safetensors, onnx };

Format read_format(const Arguments& arguments) {
  static const std::vector<std::string> kFormats{"safetensors", "onnx"};
  const auto format = arguments.text("to");
  if (format == "safetensors") return Format::safetensors;
  if (format == "onnx") return Format::onnx;
  if (!format) {
    throw Error({.code = "C931",
                 .where = "--to",
                 .what = "`snug export` needs the format to write",
                 .fix = "--to onnx, or --to safetensors"});
  }
  throw Error({.code = "C931",
               .where = fmt::format("--to {}", *format),
               .what = fmt::format("--to is safetensors or onnx, not '{}'", *format),
               .fix = fmt::format("--to {}", nearest(*format, kFormats).value_or("safetensors"))});
}

/// What changes an ONNX model.
OnnxOptions read_options(const Arguments& arguments, Format format) {
  const OnnxOptions options{.fold_norms = arguments.has("fold-norms"), .raw_input = arguments.has("raw-input")};
  if (format == Format::safetensors && (options.fold_norms || options.raw_input)) {
    throw Error({.code = "C932",
                 .where = options.fold_norms ? "--fold-norms" : "--raw-input",
                 .what = "a state dict holds tensors alone: nothing is folded or normalised in it",
                 .fix = "--to onnx, or leave the option out"});
  }
  return options;
}

/// Where to write: nothing that is there already is written over.
std::filesystem::path read_out(const Arguments& arguments) {
  const auto out = arguments.text("out");
  if (!out || out->empty()) {
    throw Error({.code = "C933",
                 .where = "--out",
                 .what = "`snug export` needs a file to write to",
                 .fix = "--out model.onnx"});
  }
  std::error_code ignored;
  std::filesystem::path path = *out;
  if (std::filesystem::exists(std::filesystem::symlink_status(path, ignored))) {
    throw Error({.code = "C934",
                 .where = fmt::format("--out {}", *out),
                 .what = fmt::format("{} is there already and is not written over", path.filename().string()),
                 .fix = "name a new file with --out, or remove that one"});
  }
  return path;
}

/// How other programs open what was written.
void tell_use(const Arguments& arguments, Format format, const std::filesystem::path& out) {
  if (arguments.has("json") || arguments.has("quiet")) return;
  std::string name;  // as a Python string
  for (const char c : out.string()) name += c == '\'' || c == '\\' ? std::string{'\\', c} : std::string{c};
  write(Stream::out, format == Format::onnx ? fmt::format("\nin Python: onnxruntime.InferenceSession('{}')\n", name)
                                            : fmt::format("\nin Python: safetensors.torch.load_file('{}')\n", name));
}

int run(const Arguments& arguments) {
  const Format format = read_format(arguments);
  const OnnxOptions options = read_options(arguments, format);
  const std::filesystem::path out = read_out(arguments);
  require_device(arguments);
  (void)thread_count(arguments);  // taken as every command takes it; nothing here is slow
  const std::filesystem::path checkpoint = arguments.positional()[0];
  const ExportResult result =
      format == Format::onnx ? export_onnx(checkpoint, out, options) : export_safetensors(checkpoint, out);
  const nlohmann::ordered_json json{{"file", out.string()}, {"tensors", result.tensors}, {"bytes", result.bytes}};
  print_result(
      arguments, json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace),
      fmt::format("{} tensors, {}, written to {}\n", result.tensors, format_bytes(result.bytes), out.string()));
  tell_use(arguments, format, out);
  return 0;
}

}  // namespace

Command export_command() {
  return {
      .name = "export",
      .arguments = "CHECKPOINT",
      .summary = "the network with the weights that evaluation uses, as a file for other programs",
      .example = "snug export runs/quickstart-1 --to onnx --out model.onnx",
      .more =
          {"snug export runs/quickstart-1 --to safetensors --out net.safetensors   # for load_state_dict of PyTorch"},
      .least_arguments = 1,
      .most_arguments = 1,
      .options = {{"to", "FORMAT",
                   "onnx: the network (opset 13); safetensors: a state dict with PyTorch's names and shapes",
                   "onnx safetensors"},
                  {"out", "FILE", "the file to write; must not exist"},
                  {"fold-norms", "", "onnx: norms become part of the convolutions before them"},
                  {"raw-input", "", "onnx: pixels go in as they were stored; the model normalises them"},
                  kDeviceOption,
                  kThreadsOption},
      .run = run};
}

}  // namespace snug
